from dataclasses import replace

import pytest

from sweeps.answer.results import make_rows, to_csv
from sweeps.search.ledger import Ledger
from sweeps.search.records import TrialState
from sweeps.spec.cells import Stage, make_cells
from sweeps.spec.general import GeneralSpec
from sweeps.spec.values import BudgetSpec, ResourceSpec
from tests.sweeps.example_sweep import (
    cell_of,
    example_records,
    example_spec,
    longer,
    replayed,
    study_of,
)
from tests.sweeps.results_table import TIMING_COLUMNS, read_csv
from ulm.regimes import Regime


def rows_of(spec, records):
    return make_rows(replayed(spec, records))


def row_of(spec, records, regime, size, seed):
    cell = cell_of(spec, regime, size, seed)
    return next(row for row in rows_of(spec, records) if row.cell == cell.id)


def in_study(records, study):
    return [record for record in records if record.key.study == study]


def test_every_grid_cell_has_a_row_and_the_general_model_has_none():
    spec = example_spec()
    rows = rows_of(spec, ())
    assert len(rows) == 3 * 2 + 2 * 3 * 2
    assert {row.regime for row in rows} == {regime.value for regime in Regime}
    assert {row.status for row in rows} == {"unstarted"}


def test_a_finished_row_names_the_trials_that_were_chosen():
    spec = example_spec()
    records = example_records(spec)
    models = in_study(records, study_of(spec, "domain", 400, 1, Stage.LANGUAGE_MODEL))
    classifiers = in_study(records, study_of(spec, "domain", 400, 1, Stage.CLASSIFIER))
    (final,) = in_study(records, study_of(spec, "domain", 400, 1, Stage.FINAL))
    model = min(models, key=lambda record: record.outcome.value)
    classifier = next(record for record in classifiers if record.params == final.params)

    row = row_of(spec, records, "domain", 400, 1)

    assert row.status == "finished"
    assert row.lm_loss == model.outcome.value
    assert row.lm_learning_rate == model.params["learning_rate"]
    assert row.classifier_learning_rate == classifier.params["learning_rate"]
    assert row.decay == classifier.params["decay"]
    assert row.validation_accuracy == max(record.outcome.value for record in classifiers)
    assert row.test_accuracy == final.outcome.value
    assert row.test_documents == 1000
    assert (row.lm_best_epoch, row.vocabulary, row.coverage) == (3, 4000, 0.94)


def test_steps_and_seconds_are_of_the_path_and_the_search_is_counted_apart():
    spec = example_spec()
    row = row_of(spec, example_records(spec), "domain", 1600, 0)
    assert (row.lm_steps, row.classifier_steps, row.final_steps) == (400, 400, 400)
    assert row.steps == 1200
    assert row.tokens == 1200 * 4480
    assert row.seconds == pytest.approx(1200 / 7.3)
    assert row.search_seconds == pytest.approx(6 * 400 / 7.3)  # 2 models, 3 classifiers, final
    assert row.trials == 6


def test_accelerator_seconds_are_those_held_times_the_accelerators_of_a_trial():
    spec = example_spec(resources=ResourceSpec(cpus=2))
    row = row_of(spec, example_records(spec), "domain", 1600, 0)
    assert row.accelerator_seconds == pytest.approx(2 * row.search_seconds)
    assert row.accelerator_seconds > 0


def test_bow_has_a_regularisation_and_no_learning_rate():
    spec = example_spec()
    row = row_of(spec, example_records(spec), "bow", None, 0)
    assert row.inverse_regularization is not None
    assert row.classifier_learning_rate is None
    assert row.lm_loss is None


def test_a_choice_is_shown_only_once_its_study_has_spent_its_trials():
    spec = example_spec()
    study = study_of(spec, "domain", 400, 0, Stage.LANGUAGE_MODEL)
    (first, *_) = in_study(example_records(spec), study)
    row = row_of(spec, [first], "domain", 400, 0)
    assert row.status == "incomplete"
    assert row.lm_loss is None
    assert row.trials == 1
    assert row.search_seconds == pytest.approx(first.outcome.metrics["seconds"])


def test_seconds_that_a_trial_took_over_are_counted_once():
    spec = example_spec()
    study = study_of(spec, "domain", 400, 0, Stage.LANGUAGE_MODEL)
    (finished, *_) = in_study(example_records(spec), study)
    seconds = finished.outcome.metrics["seconds"]
    lost = replace(
        finished,
        state=TrialState.LOST,
        outcome=None,
        ended_at=finished.started_at + 0.75 * seconds,
    )
    again = replace(
        finished, key=replace(finished.key, attempt=1), inherited_seconds=0.75 * seconds
    )
    row = row_of(spec, [lost, again], "domain", 400, 0)
    assert row.search_seconds == pytest.approx(seconds)


def test_a_running_trial_makes_its_cell_running():
    spec = example_spec()
    record = replace(
        example_records(spec, limit=1)[0],
        state=TrialState.RUNNING,
        outcome=None,
        ended_at=None,
        key=replace(
            example_records(spec, limit=1)[0].key,
            study=study_of(spec, "scratch", None, 0, Stage.CLASSIFIER),
        ),
        encoder=None,
    )
    row = row_of(spec, [record], "scratch", None, 0)
    assert row.status == "running"
    assert row.search_seconds == 0


def test_a_cell_whose_trials_all_diverged_is_failed_with_the_reason_on_one_line():
    spec = example_spec()
    study = study_of(spec, "scratch", None, 1, Stage.CLASSIFIER)
    records = example_records(spec, diverging=lambda key: key.study == study)
    row = row_of(spec, records, "scratch", None, 1)
    assert row.is_failed
    assert "loss is not finite at epoch 2: lower the learning rate" in row.failure
    assert row.test_accuracy is None


def test_a_cell_that_is_asked_for_more_trials_keeps_its_score_and_says_so():
    spec = example_spec()
    records = example_records(spec)
    before, after = rows_of(spec, records), rows_of(longer(spec, classifier=5), records)
    changed = [row for row in after if row.regime != "bow"]
    assert {row.status for row in changed} == {"extended: its score is of the search before"}
    assert all(row.is_finished and row.is_extended for row in changed)
    for old, new in zip(before, after, strict=True):
        assert replace(new, status=old.status) == old


def test_the_score_before_stands_until_there_is_another():
    spec = example_spec(regimes=(Regime.DOMAIN,), sizes=(100,), seeds=(0,))
    more = longer(spec, language_model=4, classifier=5)
    old = example_records(spec)
    (before,) = rows_of(spec, old)
    whole = example_records(more)
    ledger = Ledger(more, make_cells(more), records=old)
    known = list(old)
    while ready := ledger.ready(0.0):
        wanted = ledger.next_trial(ready[0])
        (row,) = rows_of(more, known)
        assert row.is_extended
        assert row.test_accuracy == before.test_accuracy
        assert row.lm_learning_rate == before.lm_learning_rate
        assert row.classifier_learning_rate == before.classifier_learning_rate
        fresh = next(
            r for r in whole if (r.key.study, r.key.number) == (wanted.key.study, wanted.key.number)
        )
        known.append(replace(fresh, key=wanted.key, encoder=wanted.basis.encoder))
        if wanted.params is not None:
            known[-1] = replace(known[-1], params=wanted.params)
        ledger.asked(known[-1])
    (row,) = rows_of(more, known)
    assert row.status == "finished"
    assert row.trials == 4 + 5 + 1
    assert known[-1].key.attempt == 1, "a new choice replaced the old score"


def test_a_spent_budget_is_named_where_it_leaves_a_cell_unfinished():
    spec = example_spec(budget=BudgetSpec(accelerator_hours=1e-4))
    first = example_records(replace(spec, budget=BudgetSpec()), limit=2)
    rows = rows_of(spec, first)
    (begun,) = [row for row in rows if row.trials]
    assert begun.status == "incomplete: budget spent after 1 of 5 trials"
    assert {row.status for row in rows if row != begun} == {"unstarted: budget spent"}


def test_cells_that_need_a_failed_general_model_are_failed_too():
    spec = example_spec()
    records = example_records(spec, diverging=lambda key: key.study.cell_id.startswith("general"))
    by_regime = {row.regime: row for row in rows_of(spec, records)}
    assert by_regime["ulm+domain"].is_failed
    assert "general" in by_regime["ulm+domain"].failure
    assert by_regime["domain"].is_finished


def test_a_pretrained_general_model_is_recognised_from_the_trials_that_started_from_it():
    spec = example_spec(general=GeneralSpec(), regimes=(Regime.ULM,), seeds=(0,))
    trained = example_spec(regimes=(Regime.ULM,), seeds=(0,))
    source = cell_of(trained, "ulm", None, 0).id
    target = cell_of(spec, "ulm", None, 0).id
    records = [
        replace(r, key=replace(r.key, study=replace(r.key.study, cell_id=target)))
        for r in example_records(trained)
        if r.key.study.cell_id == source
    ]
    assert row_of(spec, records, "ulm", None, 0).status == "finished"


def test_a_table_read_back_equals_the_one_written_to_the_last_digit(tmp_path):
    spec = example_spec()
    rows = rows_of(spec, example_records(spec, limit=60))
    (tmp_path / "results.csv").write_text(to_csv(rows))
    assert read_csv(tmp_path / "results.csv") == rows


def test_the_table_starts_with_the_columns_readers_rely_on():
    header = to_csv(()).strip().split(",")
    scores = ["validation_accuracy", "test_accuracy", "test_documents", "lm_loss"]
    settings = ["lm_learning_rate", "classifier_learning_rate", "steps", "seconds", "status"]
    assert set(header) >= {"regime", "size", "seed", *scores, *settings}
    assert set(TIMING_COLUMNS) <= set(header)


def test_of_a_cell_that_was_asked_for_more_twice_the_last_score_stands():
    spec = example_spec(regimes=(Regime.DOMAIN,), sizes=(100,), seeds=(0,))
    more = longer(spec, language_model=4, classifier=5)
    known = list(example_records(spec))
    whole = {(r.key.study, r.key.number): r for r in example_records(more)}
    ledger = Ledger(more, make_cells(more), records=known)
    while ready := ledger.ready(0.0):
        wanted = ledger.next_trial(ready[0])
        record = replace(
            whole[wanted.key.study, wanted.key.number],
            key=wanted.key,
            encoder=wanted.basis.encoder,
        )
        if wanted.params is not None:
            record = replace(record, params=wanted.params)
        known.append(record)
        ledger.asked(record)
    (first,), (second,) = rows_of(spec, known[: len(example_records(spec))]), rows_of(more, known)
    assert first.test_accuracy != second.test_accuracy
    (row,) = rows_of(longer(more, classifier=8), known)
    assert row.is_extended
    assert row.test_accuracy == second.test_accuracy
    assert row.lm_learning_rate == second.lm_learning_rate
