from dataclasses import replace

import pytest
from simulation import outcome_of, tiny_search, tiny_spec

from sweeps.search.decisions import CellState
from sweeps.search.ledger import Ledger, replay
from sweeps.search.records import (
    Outcome,
    Progress,
    StudyKey,
    TrialKey,
    TrialRecord,
    TrialRequest,
    TrialState,
)
from sweeps.spec.cells import Stage, make_cells
from sweeps.spec.cost import TrialCosts
from sweeps.spec.general import GeneralSpec
from sweeps.spec.searches import NeuralSearch, Range
from sweeps.spec.values import BudgetSpec, ResourceSpec
from ulm.regimes import Regime


def new_ledger(spec, **options):
    return Ledger(spec, make_cells(spec), **options)


def ask(ledger, study, *, at=0.0, rate=0.02):
    """Hands out what a study wants; returns the request a worker would get."""
    wanted = ledger.next_trial(study)
    cell = next(cell for cell in ledger._cells.values() if cell.id == study.cell_id)
    params = wanted.params or {"learning_rate": rate}
    basis = wanted.basis
    record = TrialRecord(
        key=wanted.key,
        params=params,
        encoder=basis.encoder,
        started_at=at,
    )
    assert ledger.asked(record)
    return TrialRequest(
        key=wanted.key,
        cell=cell,
        params=params,
        encoder=basis.encoder,
    )


def finish(ledger, study, *, value=None, at=1.0, **metrics):
    request = ask(ledger, study)
    outcome = outcome_of(request)
    if value is not None:
        outcome = replace(outcome, value=value, metrics={**outcome.metrics, **metrics})
    assert ledger.finished(request.key, outcome, at)
    return request.key


def study_of(spec, regime, stage, size=None):
    cells = [c for c in make_cells(spec) if c.regime == regime and c.size == size and c.seed == 0]
    return StudyKey(cell_id=cells[0].id, stage=stage)


ONE = {"sizes": (10,), "seeds": (0,)}


def test_the_general_model_comes_first_and_holds_up_only_those_that_need_it():
    spec = tiny_spec(**ONE)
    regimes = [study.cell_id.rsplit("-", 1)[0] for study in new_ledger(spec).ready(0)]
    assert regimes[0].startswith("general")
    assert {name.split("-")[0] for name in regimes} == {"general", "bow", "scratch", "domain"}


def test_longest_first_puts_large_cells_before_small_ones_and_smallest_first_the_reverse():
    for order, sizes in (("longest_first", [40, 10]), ("smallest_first", [10, 40])):
        spec = tiny_spec(order=order, regimes=(Regime.DOMAIN,), seeds=(0,))
        ledger = new_ledger(spec, cost=TrialCosts.of(spec).seconds)
        assert all(
            f"n{size}-" in study.cell_id for size, study in zip(sizes, ledger.ready(0), strict=True)
        )


def test_smallest_first_has_every_regime_of_a_size_at_one_seed_before_the_next_seed():
    general = GeneralSpec(kind="wikitext-103")
    regimes = (Regime.DOMAIN, Regime.ULM_DOMAIN)
    spec = tiny_spec(order="smallest_first", general=general, regimes=regimes, seeds=(1, 0))
    ready = new_ledger(spec, general_encoder="wt103").ready(0)
    assert [study.cell_id.rsplit("-", 1)[0] for study in ready] == [
        f"{regime}-n{size}-s{seed}" for size in (10, 40) for seed in (0, 1) for regime in regimes
    ]


@pytest.mark.parametrize("order", ["longest_first", "smallest_first"])
def test_bow_comes_before_all_that_is_held_against_it(order):
    spec = tiny_spec(order=order)
    ledger = new_ledger(spec, cost=TrialCosts.of(spec).seconds)
    regimes = [study.cell_id.split("-")[0] for study in ledger.ready(0)]
    assert regimes[0] == "general"
    num_bow = regimes.count("bow")
    assert num_bow == len(spec.seeds)
    assert regimes[1 : 1 + num_bow] == ["bow"] * num_bow


def test_a_cell_that_has_begun_is_finished_before_another_of_its_cost_begins():
    spec = tiny_spec(regimes=(Regime.SCRATCH,), seeds=(0, 1, 2), sizes=(10,))
    ledger = new_ledger(spec, cost=TrialCosts.of(spec).seconds)
    while ledger.ready(0):
        begun = ledger.ready(0)[0]
        key = finish(ledger, begun)
        is_last = key.study.stage is Stage.FINAL
        if not is_last:
            assert ledger.ready(0)[0].cell_id == begun.cell_id


def test_a_study_runs_one_trial_at_a_time_unless_told_otherwise():
    for parallel, more in ((1, False), (2, True)):
        spec = tiny_spec(search=tiny_search(parallel_trials=parallel), **ONE)
        ledger = new_ledger(spec)
        study = study_of(spec, "scratch", Stage.CLASSIFIER)
        ask(ledger, study)
        assert (study in ledger.ready(0)) is more


def test_stages_follow_each_other_and_final_takes_the_chosen_settings():
    spec = tiny_spec(regimes=(Regime.SCRATCH,), **ONE)
    ledger = new_ledger(spec)
    study = study_of(spec, "scratch", Stage.CLASSIFIER)
    final = study_of(spec, "scratch", Stage.FINAL)
    keys = []
    for value in (0.5, 0.7, 0.6):
        assert ledger.basis(final) is None
        keys.append(finish(ledger, study, value=value))
    assert ledger.chosen(study).key == keys[1]
    wanted = ledger.next_trial(final)
    assert wanted.params == ledger.chosen(study).params


def test_equal_accuracies_are_decided_by_loss_then_by_the_earlier_trial():
    spec = tiny_spec(regimes=(Regime.SCRATCH,), **ONE)
    ledger = new_ledger(spec)
    study = study_of(spec, "scratch", Stage.CLASSIFIER)
    for loss in (0.5, 0.4, 0.4):
        finish(ledger, study, value=0.7, validation_loss=loss)
    assert ledger.chosen(study).key.number == 1


def test_the_language_model_with_the_smallest_loss_is_what_the_classifier_starts_from():
    spec = tiny_spec(regimes=(Regime.DOMAIN,), **ONE)
    ledger = new_ledger(spec)
    study = study_of(spec, "domain", Stage.LANGUAGE_MODEL, size=10)
    for value in (4.0, 3.0):
        finish(ledger, study, value=value)
    chosen = ledger.chosen(study)
    assert chosen.outcome.value == 3.0
    classifier = study_of(spec, "domain", Stage.CLASSIFIER, size=10)
    assert ledger.next_trial(classifier).basis.encoder == chosen.outcome.artifacts["encoder"]


def test_a_space_with_nothing_to_search_needs_one_trial():
    search = replace(
        tiny_search(), classifier=NeuralSearch(trials=7, learning_rate=Range(low=0.01, high=0.01))
    )
    spec = tiny_spec(search=search, regimes=(Regime.SCRATCH,), **ONE)
    assert new_ledger(spec).num_wanted == 2


def test_a_suggestion_sees_ended_trials_with_smaller_numbers_only():
    spec = tiny_spec(search=tiny_search(parallel_trials=3), regimes=(Regime.SCRATCH,), **ONE)
    ledger = new_ledger(spec)
    study = study_of(spec, "scratch", Stage.CLASSIFIER)
    first, second = ask(ledger, study), ask(ledger, study)
    ledger.finished(second.key, outcome_of(second), 1.0)
    ledger.lost(first.key, "vanished", 1.0)
    assert ledger.next_trial(study).key.number == 0
    assert ledger.next_trial(study).history == ()


def test_events_that_come_twice_or_name_unknown_trials_change_nothing():
    spec = tiny_spec(**ONE)
    ledger = new_ledger(spec)
    study = study_of(spec, "bow", Stage.CLASSIFIER)
    request = ask(ledger, study)
    record = ledger.latest(request.key)
    unknown = TrialKey(study=StudyKey(cell_id="nobody", stage=Stage.FINAL), number=0)
    progress, outcome = Progress(epoch=1, num_epochs=2, value=0.5), Outcome(value=0.5)
    assert not ledger.asked(record)
    assert not ledger.asked(replace(record, key=unknown))
    assert ledger.progressed(request.key, progress)
    assert not ledger.progressed(request.key, progress)
    assert not ledger.progressed(unknown, progress)
    assert ledger.finished(request.key, outcome, 1.0)
    before = ledger.records
    assert not ledger.finished(request.key, outcome, 2.0)
    assert not ledger.failed(request.key, "late", 2.0)
    assert not ledger.lost(request.key, "late", 2.0)
    assert not ledger.pruned(unknown, 2.0)
    assert ledger.records == before


def test_nothing_new_starts_when_the_wall_hours_of_this_run_are_spent():
    spec = tiny_spec(budget=BudgetSpec(hours=1.0), **ONE)
    ledger = new_ledger(spec, opened_at=1000.0)
    bow = next(cell for cell in make_cells(spec) if cell.regime == "bow")
    assert ledger.ready(1000.0 + 3599)
    assert ledger.ready(1000.0 + 3600) == ()
    assert str(ledger.cell_status(bow, 1000.0)) == "waiting"
    assert str(ledger.cell_status(bow, 4600.0)) == "unstarted: budget spent"
    finish(ledger, study_of(spec, "bow", Stage.CLASSIFIER))
    assert str(ledger.cell_status(bow, 4600.0)) == "unstarted: budget spent after 1 of 3 trials"


def test_accelerator_hours_count_every_attempt_and_running_trials_but_no_bow_beside_gpus():
    spec = tiny_spec(
        budget=BudgetSpec(accelerator_hours=1.0), resources=ResourceSpec(gpus=0.5), **ONE
    )
    ledger = new_ledger(spec)
    study = study_of(spec, "scratch", Stage.CLASSIFIER)
    lost = ask(ledger, study, at=0.0)
    ledger.lost(lost.key, "vanished", at=3600.0)
    ask(ledger, study, at=3600.0)
    ask(ledger, study_of(spec, "bow", Stage.CLASSIFIER), at=0.0)
    assert ledger.spent(5400.0).accelerator_seconds == 0.5 * 5400
    assert ledger.ready(7199.0)
    assert ledger.ready(7200.0) == ()


def test_a_trial_that_waits_for_a_node_costs_nothing_until_a_worker_has_it():
    spec = tiny_spec(**ONE)
    ledger = new_ledger(spec)
    key = ask(ledger, study_of(spec, "scratch", Stage.CLASSIFIER), at=0.0).key
    assert ledger.waits(key, 0.0)
    assert not ledger.waits(key, 50.0), "it waits already"
    assert ledger.spent(100.0).accelerator_seconds == 0.0
    assert ledger.begins(key, 100.0)
    assert not ledger.begins(key, 110.0), "it has begun"
    assert ledger.spent(130.0).accelerator_seconds == 30.0
    assert ledger.waits(key, 130.0), "its node vanished"
    assert ledger.spent(500.0).accelerator_seconds == 30.0
    assert ledger.begins(key, 500.0)
    ledger.failed(key, "diverged", 510.0)
    assert ledger.spent(1000.0).accelerator_seconds == 40.0
    assert not ledger.waits(key, 1000.0), "it has ended"


def test_a_trial_that_ends_while_it_waits_has_cost_what_it_held():
    spec = tiny_spec(**ONE)
    ledger = new_ledger(spec)
    key = ask(ledger, study_of(spec, "scratch", Stage.CLASSIFIER), at=0.0).key
    assert ledger.waits(key, 20.0)
    ledger.lost(key, "the run was stopped", 400.0)
    assert ledger.spent(1000.0).accelerator_seconds == 20.0


def test_a_running_cell_says_so():
    spec = tiny_spec(**ONE)
    ledger = new_ledger(spec)
    ask(ledger, study_of(spec, "scratch", Stage.CLASSIFIER))
    scratch = next(cell for cell in make_cells(spec) if cell.regime == "scratch")
    assert ledger.cell_status(scratch, 0).state is CellState.RUNNING


def test_fewer_trials_than_recorded_are_those_of_a_fresh_sweep():
    many = tiny_spec(search=tiny_search(classifiers=4), regimes=(Regime.SCRATCH,), **ONE)
    ledger = new_ledger(many)
    study = study_of(many, "scratch", Stage.CLASSIFIER)
    for value in (0.1, 0.2, 0.3, 0.9):
        finish(ledger, study, value=value)
    few = tiny_spec(search=tiny_search(classifiers=2), regimes=(Regime.SCRATCH,), **ONE)
    fewer = new_ledger(few, records=ledger.records)
    assert fewer.chosen(study).key.number == 1
    assert (fewer.num_counted, fewer.num_left_out) == (2, 2)
    again = new_ledger(many, records=fewer.attempts)
    assert again.chosen(study).key.number == 3
    assert again.num_left_out == 0


def test_classifiers_of_a_choice_that_comes_back_are_not_tried_again():
    def spec_of(num_models):
        search = tiny_search(language_models=num_models, classifiers=1)
        return tiny_spec(search=search, regimes=(Regime.DOMAIN,), **ONE)

    many, few = spec_of(2), spec_of(1)
    model = study_of(many, "domain", Stage.LANGUAGE_MODEL, 10)
    classifier, final = (
        study_of(many, "domain", stage, 10) for stage in (Stage.CLASSIFIER, Stage.FINAL)
    )
    ledger = new_ledger(many)
    for rate, value in ((0.01, 5.0), (0.02, 4.0)):
        request = ask(ledger, model, rate=rate)
        ledger.finished(request.key, replace(outcome_of(request), value=value), 1.0)
    for study in (classifier, final):
        finish(ledger, study, value=0.7)
    fewer = new_ledger(few, records=ledger.attempts)
    for study in (classifier, final):
        assert finish(fewer, study, value=0.6).attempt == 1
    again = new_ledger(many, records=fewer.attempts)
    assert again.chosen(classifier).key.attempt == 0
    assert finish(again, final, value=0.7).attempt == 2, "predictions are those of the last one"


def test_what_ran_when_the_driver_was_killed_is_lost_with_what_was_last_heard_of_it():
    spec = tiny_spec(**ONE)
    ledger, study = new_ledger(spec), study_of(spec, "scratch", Stage.CLASSIFIER)
    key = ask(ledger, study, at=5.0).key
    ledger.progressed(key, Progress(epoch=1, num_epochs=2, value=0.5, metrics={}), 9.0)
    ledger.stopped()
    (lost,) = (record for record in ledger.records if record.key == key)
    assert (lost.state, lost.ended_at, ledger.num_running) == (TrialState.LOST, 9.0, 0)


@pytest.mark.parametrize("stage", list(Stage))
def test_a_study_key_reads_as_a_path(stage):
    key = TrialKey(study=StudyKey(cell_id="domain-n10-s0-12345678", stage=stage), number=2)
    assert str(key) == f"domain-n10-s0-12345678/{stage.value}/2"
    assert str(replace(key, attempt=1)) == f"domain-n10-s0-12345678/{stage.value}/2.1"


def test_recorded_trials_of_cells_the_spec_no_longer_names_are_counted_and_left_out():
    larger = tiny_spec(sizes=(10,), seeds=(0, 1))
    ledger = new_ledger(larger)
    bow = [study for study in ledger.ready(0) if study.cell_id.startswith("bow")]
    for study in bow:
        finish(ledger, study)
    smaller = new_ledger(tiny_spec(**ONE), records=ledger.attempts)
    assert (ledger.num_left_out, smaller.num_left_out) == (0, 1)
    assert len(smaller.records) == len(bow) - 1 == 1


def test_replayed_records_stand_on_the_general_encoder_that_was_started_from_last():
    general = GeneralSpec(kind="wikitext-103")
    spec = tiny_spec(general=general, regimes=(Regime.ULM,), seeds=(0,), sizes=(10,))
    study = StudyKey(cell_id=make_cells(spec)[0].id, stage=Stage.CLASSIFIER)
    old = TrialRecord(
        key=TrialKey(study=study, number=0),
        params={"learning_rate": 0.02},
        encoder="old",
        state=TrialState.FINISHED,
        outcome=Outcome(value=0.5),
        started_at=100.0,
        ended_at=110.0,
    )
    new = replace(
        old, key=TrialKey(study=study, number=1), encoder="new", started_at=200.0, ended_at=210.0
    )
    for records in ([old, new], [new, old]):
        assert replay(spec, make_cells(spec), records).records == (new,)
