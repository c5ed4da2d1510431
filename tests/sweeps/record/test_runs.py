import json
from dataclasses import replace

import pytest

from sweeps.answer.results import make_rows
from sweeps.record.book import RunBook
from sweeps.record.environment import describe_environment
from sweeps.record.runs import RunStatus, cell_run, curve_runs, trial_run
from sweeps.search.records import Progress, TrialState
from sweeps.search.spending import Spent
from sweeps.spec.cells import Stage, make_cells
from sweeps.spec.load import spec_to_json
from sweeps.spec.values import BudgetSpec, LedgerSpec, TrackingSpec
from tests.sweeps.example_sweep import (
    cell_of,
    example_records,
    example_spec,
    longer,
    replayed,
    study_of,
)

SPEC = example_spec()
RECORDS = example_records(SPEC)


def first_record(regime, size, stage):
    study = study_of(SPEC, regime, size, 0, stage)
    return next(record for record in RECORDS if record.key.study == study)


def test_a_trial_run_carries_its_cell_its_hyperparameters_and_a_curve_over_epochs():
    record = first_record("domain", 400, Stage.LANGUAGE_MODEL)
    run = trial_run(record, cell_of(SPEC, "domain", 400, 0))
    assert run.name == "domain n=400 seed 0 language model #0"
    assert run.params == {
        "regime": "domain",
        "size": "400",
        "seed": "0",
        "stage": "language_model",
        "number": "0",
        **{name: repr(value) for name, value in record.params.items()},
    }
    curve = [point for point in run.points if point.name == "validation_loss"]
    assert [point.step for point in curve] == [1, 2, 3]
    assert [point.value for point in curve] == [entry.value for entry in record.progress]
    assert record.started_at < curve[0].at < curve[1].at < curve[2].at == record.ended_at


def test_a_repeated_attempt_is_counted_from_one():
    record = first_record("domain", 400, Stage.LANGUAGE_MODEL)
    again = replace(record, key=replace(record.key, attempt=1))
    run = trial_run(again, cell_of(SPEC, "domain", 400, 0))
    assert run.name == "domain n=400 seed 0 language model #0 attempt 2"


def test_a_cell_run_lasts_from_its_first_trial_to_the_end_of_its_last():
    cell = cell_of(SPEC, "domain", 400, 0)
    own = [record for record in RECORDS if record.key.study.cell_id == cell.id]
    row = next(row for row in make_rows(replayed(SPEC, RECORDS)) if row.cell == cell.id)
    run = cell_run(row, cell, own)
    assert (run.started_at, run.ended_at) == (own[0].started_at, own[-1].ended_at)
    assert own[0].ended_at < own[-1].ended_at


def test_final_numbers_do_not_mix_with_the_curve_over_epochs():
    record = first_record("domain", 400, Stage.CLASSIFIER)
    run = trial_run(record, cell_of(SPEC, "domain", 400, 0))
    at_the_end = {point.name: point.value for point in run.points if point.step == 0}
    assert at_the_end["end_validation_accuracy"] == record.outcome.value
    assert "end_validation_loss" in at_the_end
    assert at_the_end["total_steps"] == record.outcome.metrics["steps"]
    assert len({(point.name, point.step) for point in run.points}) == len(run.points)


def test_a_final_trial_has_one_test_accuracy_and_its_epochs_have_losses():
    record = first_record("domain", 400, Stage.FINAL)
    epochs = tuple(
        Progress(epoch=n, num_epochs=2, value=loss, metrics={"train_loss": loss})
        for n, loss in ((1, 0.7), (2, 0.5))
    )
    run = trial_run(replace(record, progress=epochs), cell_of(SPEC, "domain", 400, 0))
    told = [(p.step, p.value) for p in run.points if p.name == "test_accuracy"]
    assert told == [(0, record.outcome.value)]
    losses = [(p.step, p.value) for p in run.points if p.name == "train_loss"]
    assert losses == [(1, 0.7), (2, 0.5)]


def test_a_final_number_that_is_a_curve_already_is_left_to_the_curve():
    record = first_record("domain", 400, Stage.CLASSIFIER)
    speed = replace(record.progress[0], metrics={"tokens_per_second": 100.0})
    metrics = {**record.outcome.metrics, "tokens_per_second": 99.0}
    record = replace(record, progress=(speed,), outcome=replace(record.outcome, metrics=metrics))
    points = trial_run(record, cell_of(SPEC, "domain", 400, 0)).points
    speeds = [(point.step, point.value) for point in points if point.name == "tokens_per_second"]
    assert speeds == [(1, 100.0)]


def test_values_that_are_not_finite_are_left_out():
    record = first_record("domain", 400, Stage.LANGUAGE_MODEL)
    bad = Progress(epoch=4, num_epochs=4, value=float("nan"), metrics={"train_loss": float("inf")})
    run = trial_run(
        replace(record, progress=(*record.progress, bad)), cell_of(SPEC, "domain", 400, 0)
    )
    assert all(point.step != 4 for point in run.points)


@pytest.mark.parametrize(
    ("state", "status"),
    [
        (TrialState.RUNNING, RunStatus.RUNNING),
        (TrialState.FINISHED, RunStatus.FINISHED),
        (TrialState.PRUNED, RunStatus.FINISHED),
        (TrialState.FAILED, RunStatus.FAILED),
        (TrialState.LOST, RunStatus.KILLED),
    ],
)
def test_a_trials_state_decides_the_status_of_its_run(state, status):
    record = replace(first_record("ulm", None, Stage.CLASSIFIER), state=state)
    run = trial_run(record, cell_of(SPEC, "ulm", None, 0))
    assert run.status is status
    assert run.tags["ulm.state"] == state.value


def test_the_digest_sees_content_and_not_times():
    record = first_record("ulm", None, Stage.CLASSIFIER)
    cell = cell_of(SPEC, "ulm", None, 0)
    later = replace(record, started_at=record.started_at + 5)
    shorter = replace(record, progress=record.progress[:-1])
    assert trial_run(later, cell).digest == trial_run(record, cell).digest
    assert trial_run(shorter, cell).digest != trial_run(record, cell).digest


def test_a_curve_has_a_point_at_every_size_and_a_level_line_where_there_is_no_size():
    rows = make_rows(replayed(SPEC, RECORDS))
    runs = {run.key: run for run in curve_runs(SPEC, rows)}
    assert len(runs) == 5 * 2

    def curve(key):
        return {p.step: p.value for p in runs[key].points if p.name == "test_accuracy"}

    growing = {
        row.size: row.test_accuracy for row in rows if row.regime == "domain" and not row.seed
    }
    (level,) = [row.test_accuracy for row in rows if row.regime == "bow" and not row.seed]
    assert curve("curve/domain/0") == growing
    assert curve("curve/bow/0") == {100: level, 400: level, 1600: level}


def test_cells_that_are_asked_for_more_trials_keep_their_runs_and_the_sweep_has_not_ended():
    more = longer(SPEC, classifier=9)
    cells = make_cells(more)
    told = {}
    for spec in (SPEC, more):
        book = RunBook(spec=spec, cells=cells)
        book.reconcile(RECORDS)
        runs = book.publish(make_rows(replayed(spec, RECORDS)))
        told[spec] = {run.key: run for run in runs}, book.close()[-1]
    (before, ended), (after, stopped) = told[SPEC], told[more]
    assert (ended.status, stopped.status) == (RunStatus.FINISHED, RunStatus.KILLED)
    assert stopped.tags["ulm.cells"] == "2 of 18 finished", "`bow` has no more trials"
    for key, run in before.items():
        if run.kind in ("cell", "curve"):
            assert after[key].points == run.points
            assert after[key].params == run.params
    states = {run.tags["ulm.state"] for run in after.values() if run.kind == "cell"}
    assert states == {"finished", "extended: its score is of the search before"}


def test_what_was_spent_wasted_and_paid_for_stands_at_the_seconds_since_the_sweep_began():
    priced = replace(SPEC, budget=BudgetSpec(price_per_accelerator_hour=3.0))
    times = iter([1000.0, 1090.5])
    book = RunBook(spec=priced, cells=make_cells(priced), clock=lambda: next(times))
    run = book.spend(Spent(accelerator_seconds=7200.0, wasted_seconds=360.0))
    assert {point.name: (point.step, point.value) for point in run.totals} == {
        "spent_accelerator_seconds": (90, 7200.0),
        "wasted_accelerator_seconds": (90, 360.0),
        "spent_money": (90, 6.0),
    }


def test_a_cell_run_has_its_size_as_a_number_that_a_chart_can_have_for_an_axis():
    book = RunBook(spec=SPEC, cells=make_cells(SPEC))
    runs = book.publish(make_rows(replayed(SPEC, RECORDS)))
    sizes = {}
    for run in (run for run in runs if run.kind == "cell"):
        told = {point.name: point.value for point in run.points}
        sizes[run.params.get("size")] = told.get("log10_size")
    assert sizes.pop(None) is None
    assert sizes == {"100": 2.0, "400": pytest.approx(2.60206), "1600": pytest.approx(3.20412)}


def test_what_an_extension_may_change_is_a_tag_and_not_a_param():
    run = RunBook(spec=SPEC, cells=make_cells(SPEC), clock=lambda: 5.0).sweep_run()
    assert run.params["model.embedding"] == "400"
    assert run.tags["spec.sizes"] == "[100, 400, 1600]"
    assert "sizes" not in run.params


def test_a_password_of_a_uri_is_in_no_param_and_no_tag():
    spec = replace(
        SPEC,
        tracking=TrackingSpec(uri="http://me:hunter2@host:5000"),
        ledger=LedgerSpec(url="postgresql://me:hunter2@host/db"),
    )
    book = RunBook(spec=spec, cells=make_cells(spec))
    runs = [book.sweep_run(), *book.reconcile(RECORDS), *book.close()]
    assert "hunter2" not in repr(runs)
    assert "hunter2" not in spec_to_json(spec)
    assert json.loads(spec_to_json(spec))["name"] == spec.name


def test_the_command_is_kept_without_its_passwords(monkeypatch):
    uri = "tracking.uri=http://me:pw@host:5000"
    monkeypatch.setattr("sys.argv", ["/usr/bin/sweep", "run", "demo", "--set", uri])
    command = describe_environment()["command"]
    assert command.startswith("sweep run demo --set ")
    assert command.endswith("@host:5000")
    assert "pw" not in command


def test_the_environment_names_versions_and_hardware():
    found = describe_environment()
    assert found["numpy"]
    assert "GiB" in found["memory"]
    assert all(isinstance(text, str) and text for text in found.values())
