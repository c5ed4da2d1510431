import math
from dataclasses import replace
from pathlib import Path

import pytest
from simulation import (
    Clock,
    SilentListener,
    open_control,
    outcome_of,
    run_all,
    run_trial,
    table,
    tiny_search,
    tiny_spec,
)

from sweeps.errors import MeaningError
from sweeps.record.recorder import ListRecorder
from sweeps.search.control import Control, NoRequest
from sweeps.search.decisions import CellState
from sweeps.search.records import Outcome, Progress, TrialState
from sweeps.search.studies import OptunaStudies
from sweeps.search.suggestions import InMemoryStudies
from sweeps.spec.cells import Stage, make_cells
from sweeps.spec.general import GeneralSpec
from sweeps.spec.values import BudgetSpec, LabelSpec, ResourceSpec
from ulm.regimes import Regime


@pytest.fixture(params=["memory", "optuna"])
def reopen(request, tmp_path):
    """Opens the same studies again and again, as each new driver would."""
    opened, memory = [], {}

    def studies(name="tiny"):
        if request.param == "memory":
            return memory.setdefault(name, InMemoryStudies(name))
        opened.append(OptunaStudies(f"sqlite:///{tmp_path / 'ledger.db'}", name))
        return opened[-1]

    yield studies
    for each in opened:
        each.close()


def unbroken(spec, studies=None):
    control = open_control(spec, studies or InMemoryStudies())
    run_all(control)
    return control


SMALL = {"sizes": (10,), "seeds": (0,)}


def test_a_sweep_runs_every_wanted_trial_and_finishes_every_cell(reopen):
    spec = tiny_spec(**SMALL)
    control = open_control(spec, reopen())
    assert run_all(control) == control.ledger.num_wanted
    states = {control.ledger.cell_status(cell, 0).state for cell in make_cells(spec)}
    assert states == {CellState.FINISHED}


def test_a_second_run_trains_nothing(reopen):
    spec = tiny_spec(**SMALL)
    run_all(open_control(spec, reopen()))
    again = open_control(spec, reopen())
    assert not again.has_work
    assert run_all(again) == 0
    assert again.num_recorded == again.ledger.num_wanted


@pytest.mark.parametrize("stop_after", [0, 1, 11])
def test_a_run_killed_between_and_inside_trials_ends_with_the_table_of_an_unbroken_one(
    reopen, stop_after
):
    spec = tiny_spec(**SMALL)
    control = open_control(spec, reopen())
    run_all(control, at_most=stop_after)
    orphan = control.next_request()
    control.report(orphan.key, Progress(epoch=1, num_epochs=3, value=0.5))
    control.close()

    listener = SilentListener()
    resumed = open_control(spec, reopen(), listener=listener)
    assert resumed.num_recorded == stop_after
    run_all(resumed)
    repeated = [key for key in listener.started if key.attempt]
    assert [(key.study, key.number) for key in repeated] == [(orphan.key.study, orphan.key.number)]
    assert table(resumed) == table(unbroken(spec, reopen("unbroken")))
    assert len(listener.started) == resumed.ledger.num_wanted - stop_after


def test_a_broken_optuna_run_gives_the_same_values_as_an_unbroken_one(tmp_path):
    spec = tiny_spec(search=tiny_search(classifiers=5), **SMALL)
    tables = []
    for name, parts in (("whole", [1000]), ("broken", [3, 4, 1, 1000])):
        for part in parts:
            studies = OptunaStudies(f"sqlite:///{tmp_path / name}.db", "tiny")
            control = open_control(spec, studies)
            run_all(control, at_most=part)
            control.next_request()
            control.close()
        tables.append(table(control))
    assert tables[0] == tables[1]


def test_renaming_the_sweep_changes_no_result():
    one, other = (unbroken(tiny_spec(name=name, **SMALL)) for name in ("one", "other"))
    assert table(one) == table(other)


def test_repeated_attempts_keep_their_hyperparameters():
    spec = tiny_spec(**SMALL)
    control = open_control(spec, InMemoryStudies())
    run_all(control, at_most=3)
    first = control.next_request()
    control.lose(first.key, "withdrawn")
    second = control.next_request()
    assert (second.key.number, second.key.attempt) == (first.key.number, 1)
    assert second.params == first.params


def test_a_trial_that_broke_for_its_run_is_asked_again_by_the_next():
    spec = tiny_spec(**SMALL)
    studies = InMemoryStudies()
    control = open_control(spec, studies)
    request = control.next_request()
    control.give_up(request.key, "worker vanished")
    assert control.ledger.latest(request.key).state is TrialState.FAILED
    assert control.next_request().key.study != request.key.study

    control = open_control(spec, studies)
    again = control.next_request()
    assert (again.key.study, again.key.number) == (request.key.study, request.key.number)
    assert again.key.attempt == 1


@pytest.mark.parametrize("retries", [0, 2])
def test_a_run_that_is_stopped_says_of_no_trial_that_it_broke(retries):
    spec = tiny_spec(retries=retries, **SMALL)
    studies = InMemoryStudies()
    for _ in range(retries + 1):
        control = open_control(spec, studies)
        request = control.next_request()
        control.close("the run was stopped")
        stopped = control.ledger.latest(request.key)
        assert (stopped.state, stopped.failure) == (TrialState.LOST, "the run was stopped")


def test_diverged_values_are_failed_suggestions_and_are_never_asked_again(reopen):
    spec = tiny_spec(**SMALL)
    control = open_control(spec, reopen())
    reported, finished = control.next_request(), None
    assert not control.report(reported.key, Progress(epoch=1, num_epochs=3, value=math.nan))
    finished = control.next_request()
    control.finish(finished.key, replace(outcome_of(finished), value=math.inf))
    states = [control.ledger.latest(key).state for key in (reported.key, finished.key)]
    assert states == [TrialState.FAILED, TrialState.FAILED]
    control.close()
    again = open_control(spec, reopen())
    assert again.num_recorded == 2


def test_a_cell_whose_classifiers_all_fail_is_failed_with_the_reason_and_others_go_on():
    spec = tiny_spec(**SMALL)
    control = open_control(spec, InMemoryStudies())
    while (request := control.next_request()) is not NoRequest.DONE:
        if request.cell.regime == "domain" and request.key.study.stage is Stage.CLASSIFIER:
            control.fail(request.key, "diverged: loss nan")
        else:
            run_trial(control, request)
    statuses = {c.regime: control.ledger.cell_status(c, 0) for c in make_cells(spec)}
    assert str(statuses.pop("domain")) == (
        "failed: no classifier trial finished: diverged: loss nan"
    )
    assert {status.state for status in statuses.values()} == {CellState.FINISHED}


def test_a_failed_general_model_fails_the_cells_that_need_it():
    spec = tiny_spec(**SMALL)
    control = open_control(spec, InMemoryStudies())
    request = control.next_request()
    assert request.cell.is_general
    control.fail(request.key, "out of memory")
    run_all(control)
    statuses = {c.regime: control.ledger.cell_status(c, 0) for c in make_cells(spec)}
    assert statuses["ulm"].reason == (
        "general model: no language model trial finished: out of memory"
    )
    assert statuses["ulm+domain"].state is CellState.FAILED
    assert statuses["scratch"].state is CellState.FINISHED


def test_a_bad_trial_is_pruned_and_told_to_stop(reopen):
    spec = tiny_spec(search=tiny_search(classifiers=4), regimes=(Regime.SCRATCH,), **SMALL)
    control = open_control(spec, reopen())
    run_all(control, at_most=2)
    request = control.next_request()
    assert not control.report(request.key, Progress(epoch=1, num_epochs=3, value=0.01))
    assert control.ledger.latest(request.key).state is TrialState.PRUNED
    control.finish(request.key, outcome_of(request))
    assert control.ledger.latest(request.key).state is TrialState.PRUNED


MODELS = {"regimes": (Regime.DOMAIN,), **SMALL}


def after_two_models(studies, **search):
    """A control and its third language model; the first two had losses of 4.0 at every epoch."""
    spec = tiny_spec(search=tiny_search(language_models=3, **search), **MODELS)
    control = open_control(spec, studies)
    for _ in range(2):
        request = control.next_request()
        assert all(goes_on(control, request, epoch, loss=4.0) for epoch in (1, 2, 3))
        control.finish(request.key, replace(outcome_of(request), value=4.0))
    request = control.next_request()
    assert request.key.study.stage is Stage.LANGUAGE_MODEL
    return control, request


def goes_on(control, request, epoch, *, loss):
    return control.report(request.key, Progress(epoch=epoch, num_epochs=3, value=loss))


def test_a_language_model_is_pruned_for_a_higher_loss_and_not_for_a_lower_one(reopen):
    control, better = after_two_models(reopen("better"))
    assert all(goes_on(control, better, epoch, loss=3.0) for epoch in (1, 2, 3))
    control, worse = after_two_models(reopen("worse"))
    assert not goes_on(control, worse, 1, loss=5.0)
    assert control.ledger.latest(worse.key).state is TrialState.PRUNED


def test_nothing_is_pruned_before_the_warm_up_is_over(reopen):
    control, worse = after_two_models(reopen(), warmup_epochs=2)
    assert goes_on(control, worse, 1, loss=5.0)
    assert not goes_on(control, worse, 2, loss=5.0)


def test_a_stage_may_have_a_warm_up_of_its_own(reopen):
    control, worse = after_two_models(reopen("longer"), own_warmup=2)
    assert goes_on(control, worse, 1, loss=5.0)
    assert not goes_on(control, worse, 2, loss=5.0)
    control, worse = after_two_models(reopen("shorter"), warmup_epochs=3, own_warmup=1)
    assert not goes_on(control, worse, 1, loss=5.0)


def test_nothing_is_pruned_where_there_is_no_pruner(reopen):
    control, worse = after_two_models(reopen(), pruner="none")
    assert all(goes_on(control, worse, epoch, loss=5.0) for epoch in (1, 2, 3))


def test_losses_are_asked_to_fall_and_accuracies_to_rise():
    class Asked(InMemoryStudies):
        def suggest(self, question):
            asked.append(question.maximize)
            return super().suggest(question)

    asked = []
    spec = tiny_spec(search=tiny_search(language_models=2, classifiers=3), **MODELS)
    run_all(open_control(spec, Asked()))
    assert asked == [False] * 2 + [True] * 3


def test_no_two_trials_of_a_study_are_the_same(reopen):
    control = open_control(tiny_spec(regimes=(Regime.SCRATCH,), **SMALL), reopen())
    run_all(control, at_most=3)
    rates = [record.params["learning_rate"] for record in control.records]
    assert len(set(rates)) == len(rates) == 3


def test_extending_seeds_sizes_and_trials_trains_only_the_difference(reopen):
    small, large = tiny_spec(**SMALL), tiny_spec()
    before = open_control(small, reopen())
    run_all(before)
    recorded = before.ledger.num_wanted
    before.close()
    after = open_control(large, reopen())
    assert after.num_recorded == recorded
    assert run_all(after) == after.ledger.num_wanted - recorded


def test_what_was_spent_is_not_told_otherwise_by_later_resources(reopen):
    control = open_control(tiny_spec(resources=ResourceSpec(cpus=2), **SMALL), reopen())
    run_all(control)
    spent = control.ledger.spent(0.0)
    control.close()
    more = open_control(tiny_spec(resources=ResourceSpec(cpus=16), **SMALL), reopen())
    assert spent.accelerator_seconds > 0
    assert more.ledger.spent(0.0) == spent


def test_more_trials_supersede_what_was_built_on_a_choice_they_replace(reopen):
    few = tiny_spec(search=tiny_search(language_models=1, classifiers=1), **SMALL)
    many = tiny_spec(search=tiny_search(language_models=6, classifiers=2), **SMALL)
    control = open_control(few, reopen())
    run_all(control)
    control.close()
    extended = open_control(many, reopen())
    run_all(extended)
    extended.close()
    for cell in make_cells(many):
        assert extended.ledger.cell_status(cell, 0).state is CellState.FINISHED
    finals = [r for r in extended.records if r.key.study.stage is Stage.FINAL]
    for final in finals:
        chosen = extended.ledger.basis(final.key.study)
        assert (final.encoder, dict(final.params)) == (chosen.encoder, chosen.params)
    again = [final.key for final in finals if final.key.attempt]
    assert again, "no choice was replaced: a test of nothing"
    assert {replace(key, attempt=0) for key in again} <= {r.key for r in extended.superseded}
    assert {record.state for record in extended.superseded} == {TrialState.FINISHED}
    told = open_control(many, reopen()).recorder.runs  # a new driver's, of all that is kept
    for key in again:
        assert told[str(replace(key, attempt=0))].tags["ulm.state"] == "superseded"
        assert told[str(key)].tags["ulm.state"] == "finished"


def test_an_extended_sweep_ends_with_the_table_of_a_fresh_one():
    few = tiny_spec(search=tiny_search(language_models=1, classifiers=1), **SMALL)
    many = tiny_spec(search=tiny_search(language_models=6, classifiers=2), **SMALL)
    studies = InMemoryStudies()
    run_all(open_control(few, studies))
    extended = open_control(many, studies)
    run_all(extended)
    assert table(extended) == table(unbroken(many))


def test_a_changed_meaning_is_refused_and_names_every_key(reopen):
    run_all(open_control(tiny_spec(**SMALL), reopen()), at_most=1)
    changed = tiny_spec(labels=LabelSpec(train=8, validation=0.3), **SMALL)
    with pytest.raises(MeaningError, match=r"(?s)labels.train: recorded 10, now 8.*validation"):
        open_control(changed, reopen())


def test_a_pretrained_general_model_is_what_ulm_starts_from():
    spec = tiny_spec(
        regimes=(Regime.ULM,), general=replace(tiny_spec().general, kind="wikitext-103")
    )
    control = open_control(spec, InMemoryStudies(), general_encoder="wt103:1.0")
    assert control.next_request().encoder == "wt103:1.0"


def test_waiting_for_a_node_is_kept_and_a_resumed_driver_counts_no_second_of_it(reopen):
    spec = tiny_spec(**SMALL)
    clock = Clock()
    control = open_control(spec, reopen(), clock=clock)
    first, second = (control.next_request(waits=True) for _ in range(2))
    clock.now += 1000.0
    control.begins(first.key)
    begun_at = clock.now
    control.report(first.key, Progress(epoch=1, num_epochs=3, value=0.5))
    held = control.ledger.running(first.key).held_seconds(begun_at + 100.0)
    assert held == pytest.approx(100.0)
    assert control.ledger.running(second.key).held_seconds(begun_at + 100.0) == 0.0

    resumed = open_control(spec, reopen(), clock=clock)  # the driver was killed
    assert resumed.ledger.latest(second.key).state is TrialState.LOST
    assert 0.0 < resumed.ledger.spent(clock.now).accelerator_seconds < 10.0


def test_a_report_says_that_a_waiting_trial_has_begun(reopen):
    control = open_control(tiny_spec(**SMALL), reopen())
    request = control.next_request(waits=True)
    control.report(request.key, Progress(epoch=1, num_epochs=3, value=0.5))
    assert control.ledger.running(request.key).waiting_since is None


def test_a_runner_without_room_for_the_most_urgent_trial_gets_the_next_that_fits(reopen):
    spec = tiny_spec(regimes=(Regime.BOW, Regime.SCRATCH), **SMALL)
    control = open_control(spec, reopen())
    request = control.next_request(fits=lambda cell: cell.regime == Regime.BOW)
    assert request.cell.regime == Regime.BOW
    assert control.next_request(fits=lambda cell: False) is NoRequest.WAIT


def test_a_trial_whose_encoder_is_lost_is_repeated_alone_and_the_table_stays(reopen):
    spec = tiny_spec(sizes=(10,), seeds=(0,))
    control = open_control(spec, reopen())
    total = run_all(control)
    before = table(control)
    made = [r for r in control.records if r.outcome and r.outcome.artifacts.get("encoder")]
    for encoder in sorted({record.encoder for record in control.records} - {None}):
        assert control.encoder_lost(encoder, f"encoder {encoder} is damaged")
        makers = [record for record in made if record.outcome.artifacts["encoder"] == encoder]
        request = control.next_request()
        assert (request.key.study, request.key.number) == (
            makers[0].key.study,
            makers[0].key.number,
        )
        assert request.key.attempt == makers[0].key.attempt + 1
        run_trial(control, request)
        assert control.next_request() is NoRequest.DONE
    assert table(control) == before
    control.close()
    again = open_control(spec, reopen())
    assert (again.num_recorded, again.has_work, table(again)) == (total, False, before)


def test_trials_wait_for_an_encoder_that_was_lost_under_them():
    spec = tiny_spec(regimes=(Regime.DOMAIN,), sizes=(10,), seeds=(0,))
    listener = SilentListener()
    control = open_control(spec, InMemoryStudies(), listener=listener)
    run_all(control, at_most=2)
    request = control.next_request()
    assert request.key.study.stage is Stage.CLASSIFIER
    assert control.encoder_lost(request.encoder, "encoder k is gone")
    control.lose(request.key, "encoder k is gone")
    assert listener.messages == ["encoder k is gone; it is trained again"]
    again = control.next_request()
    assert again.key.study.stage is Stage.LANGUAGE_MODEL
    assert control.encoder_lost(request.encoder, "told twice, while it is trained")
    assert control.next_request() is NoRequest.WAIT
    run_trial(control, again)
    after = control.next_request()
    assert (after.key.study, after.key.number) == (request.key.study, request.key.number)
    assert after.key.attempt == request.key.attempt + 1
    assert after.params == request.params


def test_an_encoder_that_is_lost_again_and_again_is_given_up():
    spec = tiny_spec(regimes=(Regime.DOMAIN,), sizes=(10,), seeds=(0,), retries=2)
    control = open_control(spec, InMemoryStudies())
    run_all(control)
    encoder = control.records[-1].encoder
    for _ in range(spec.retries + 1):
        assert control.encoder_lost(encoder, "encoder k is damaged")
        run_all(control)
    assert not control.encoder_lost(encoder, "encoder k is damaged")


def test_an_encoder_that_no_trial_trains_came_from_outside():
    spec = tiny_spec(regimes=(Regime.ULM,), general=GeneralSpec(kind="encoder", path=Path("e")))
    control = open_control(spec, InMemoryStudies(), general_encoder="theirs")
    request = control.next_request()
    assert request.encoder == "theirs"
    assert not control.encoder_lost("theirs", "encoder theirs is gone")


def test_times_do_not_jump_with_the_clock_of_the_machine(monkeypatch):
    spec = tiny_spec(budget=BudgetSpec(hours=1.0), **SMALL)
    cells = make_cells(spec)
    recorder = ListRecorder(spec=spec, cells=cells)
    control = Control(spec, cells, InMemoryStudies(), lambda: recorder, SilentListener())
    request = control.next_request()
    for jump in (86_400.0, -86_400.0):
        monkeypatch.setattr("time.time", lambda jump=jump: 1e9 + jump)
        assert not control.is_over_budget
    run_trial(control, request)
    record = control.ledger.latest(request.key)
    assert 0 <= record.ended_at - record.started_at < 3600


def test_a_model_that_is_not_kept_is_told_and_its_score_counts():
    listener = SilentListener()
    control = open_control(tiny_spec(**SMALL), InMemoryStudies(), listener=listener)
    run_all(control, at_most=2)
    request = control.next_request()
    control.finish(request.key, Outcome(value=0.8, artifacts={"no_model": "no such bucket"}))
    assert control.ledger.latest(request.key).state is TrialState.FINISHED
    assert len(listener.messages) == 1
    assert listener.messages[0].endswith(": its model is not kept: no such bucket")


class Opened(list):
    """Opens recorders, and keeps them."""

    def __init__(self, spec, cells):
        super().__init__()
        self.sweep = {"spec": spec, "cells": cells}

    def __call__(self):
        self.append(ListRecorder(**self.sweep))
        return self[-1]


def test_a_run_with_nothing_new_opens_no_recorder():
    spec, studies = tiny_spec(**SMALL), InMemoryStudies()
    run_all(open_control(spec, studies))
    opened = Opened(spec, make_cells(spec))
    control = Control(spec, make_cells(spec), studies, opened, SilentListener())
    control.tell_spent()
    assert control.next_request() is NoRequest.DONE
    assert control.close_recorder()
    assert opened == []


def test_a_recorder_that_is_opened_by_the_first_event_is_told_all_that_was_kept():
    spec, studies = tiny_spec(**SMALL), InMemoryStudies()
    before = open_control(spec, studies)
    for _ in range(3):
        run_trial(before, before.next_request())
    opened = Opened(spec, make_cells(spec))
    control = Control(spec, make_cells(spec), studies, opened, SilentListener())
    assert opened == []
    run_all(control)
    control.tell_spent()
    assert control.close_recorder()
    (recorder,) = opened
    kept = {str(record.key) for record in control.records}
    assert len(kept) > 3
    assert kept <= set(recorder.runs)
    (sweep,) = (run for run in recorder.runs.values() if run.kind == "sweep")
    assert sweep.totals[0].value == control.ledger.spent().accelerator_seconds > 0


def test_a_trial_that_was_repeated_for_its_lost_encoder_is_one_that_was_trained():
    spec = tiny_spec(regimes=(Regime.DOMAIN,), sizes=(10,), seeds=(0,))
    control, is_lost = open_control(spec, InMemoryStudies()), False
    while (request := control.next_request()) is not NoRequest.DONE:
        if request.encoder and not is_lost:
            is_lost = True
            control.encoder_lost(request.encoder, "damaged")
            control.lose(request.key, "damaged")
        else:
            run_trial(control, request)
    assert is_lost
    assert control.num_trained == control.num_recorded == control.ledger.num_wanted


def test_a_sweep_that_is_whole_was_not_cut_short_however_late_it_is_asked():
    small = {"sizes": (10,), "seeds": (0,), "regimes": (Regime.SCRATCH,)}
    clock = Clock()
    control = open_control(
        tiny_spec(budget=BudgetSpec(hours=1.0), **small), InMemoryStudies(), clock=clock
    )
    assert not control.is_cut_short
    run_all(control, at_most=1)
    clock.now += 4000.0
    assert control.is_cut_short
    clock.now -= 4000.0
    run_all(control)
    clock.now += 4000.0
    assert not control.is_cut_short
