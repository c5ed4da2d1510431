from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.metrics import log_loss
from tiny import context_of, fresh_store, run_in_process, tiny_spec

from sweeps.run import classifiers, stages
from sweeps.run.context import Materials
from sweeps.run.final import ENSEMBLE_FILE
from sweeps.run.stages import run_trial
from sweeps.search.decisions import CellState
from sweeps.search.records import Outcome, StudyKey, TrialKey, TrialRequest
from sweeps.spec.cells import Stage, make_cells
from sweeps.spec.values import ClassifierSpec, LabelSpec, ResourceSpec
from ulm.regimes import Regime
from ulm.training.bag_of_words import BagOfWords, train_bag_of_words
from ulm.training.listener import EpochReport, TrainingDiverged

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("tokens")


@pytest.fixture
def spec(tmp_path):
    return tiny_spec(tmp_path)


def request_for(spec, regime, stage, *, size=None, encoder=None, **params):
    cell = next(c for c in make_cells(spec) if c.regime == regime and c.size == size)
    key = TrialKey(study=StudyKey(cell_id=cell.id, stage=stage), number=0)
    params = params or {"learning_rate": 0.005}
    return TrialRequest(key=key, cell=cell, params=params, encoder=encoder)


class Stopped(Exception):
    """Raised where Tune would end a trial."""


def go_on(progress, save):
    """Hears of an epoch and lets the trial train."""


def numbers(outcome):
    timing = ("seconds", "tokens_per_second", "peak_gib", "accelerator_seconds", "reused")
    return {name: value for name, value in outcome.metrics.items() if name not in timing}


def train_general(spec, context, store):
    request = request_for(spec, "general", Stage.LANGUAGE_MODEL)
    return run_trial(request, context, store, go_on).artifacts["encoder"]


def test_a_whole_sweep_runs_every_stage_of_every_regime(spec, cache, tmp_path):
    context = context_of(spec, cache)
    control = run_in_process(spec, context, fresh_store(spec))
    for cell in make_cells(spec):
        assert control.ledger.cell_status(cell, 0).state is CellState.FINISHED
    finals = [r for r in control.records if r.key.study.stage is Stage.FINAL]
    for record in finals:
        saved = np.load(tmp_path / "tiny" / record.outcome.artifacts["predictions"])
        accuracy = np.mean(saved["probabilities"].argmax(1) == saved["labels"])
        assert accuracy == record.outcome.value == record.outcome.metrics["test_accuracy"]
        assert len(saved["documents"]) == record.outcome.metrics["test_documents"] == 40
        assert 0 < record.outcome.metrics["coverage"] <= 1
        assert record.outcome.metrics["peak_gib"] > 0
    regimes = {cell.id: cell.regime for cell in make_cells(spec)}
    coverage = {
        (regimes[r.key.study.cell_id], r.key.study.stage): r.outcome.metrics["general_coverage"]
        for r in control.records
        if "general_coverage" in r.outcome.metrics
    }
    assert coverage.keys() == {("ulm", Stage.FINAL), ("ulm+domain", Stage.LANGUAGE_MODEL)}
    assert all(0.2 < share < 0.98 for share in coverage.values()), "two generated languages"


def test_the_same_request_gives_the_same_numbers(spec, cache):
    context = context_of(spec, cache)
    request = request_for(spec, "domain", Stage.LANGUAGE_MODEL, size=20)
    first, second = (run_trial(request, context, fresh_store(spec), go_on) for _ in range(2))
    assert numbers(first) == numbers(second)
    assert first.artifacts == second.artifacts


def test_another_name_of_the_sweep_changes_no_number(spec, cache, tmp_path):
    outcomes = []
    for named in (spec, tiny_spec(tmp_path, name="other")):
        request = request_for(named, "scratch", Stage.CLASSIFIER)
        outcomes.append(run_trial(request, context_of(named, cache), fresh_store(spec), go_on))
    assert numbers(outcomes[0]) == numbers(outcomes[1])


def test_an_encoder_in_the_store_is_reused_and_its_epochs_are_told_anew(spec, cache):
    context, store, told = context_of(spec, cache), fresh_store(spec), [[], []]
    request = request_for(spec, "domain", Stage.LANGUAGE_MODEL, size=20)
    outcomes = [
        run_trial(request, context, store, lambda p, save, to=to: to.append(p)) for to in told
    ]
    assert told[0] == told[1]
    assert len(told[0]) == 2
    assert outcomes[1].metrics["reused"] == 1
    assert numbers(outcomes[0]) == numbers(outcomes[1])
    assert outcomes[0].metrics["seconds"] == outcomes[1].metrics["seconds"]


def test_larger_sizes_rates_and_seeds_train_other_encoders(spec, cache, tmp_path):
    context, store = context_of(spec, cache), fresh_store(spec)
    asked = [
        request_for(spec, "domain", Stage.LANGUAGE_MODEL, size=20),
        request_for(spec, "domain", Stage.LANGUAGE_MODEL, size=60),
        request_for(spec, "domain", Stage.LANGUAGE_MODEL, size=20, learning_rate=0.002),
    ]
    asked.append(replace(asked[0], cell=replace(asked[0].cell, seed=1)))
    keys = {run_trial(request, context, store, go_on).artifacts["encoder"] for request in asked}
    assert len(keys) == 4


def test_a_gradient_that_is_clipped_trains_another_encoder(spec, cache):
    limited = replace(spec, language_model=replace(spec.language_model, clip=1e-3))
    free, clipped = (
        run_trial(
            request_for(one, "domain", Stage.LANGUAGE_MODEL, size=20),
            context_of(one, cache),
            fresh_store(spec),
            go_on,
        )
        for one in (spec, limited)
    )
    assert free.artifacts["encoder"] != clipped.artifacts["encoder"]
    assert numbers(free) != numbers(clipped)


def test_a_union_vocabulary_holds_general_words_and_a_subset_one_only_the_cells_own(
    cache, tmp_path
):
    sizes = {}
    for rule in ("union", "subset"):
        spec = tiny_spec(tmp_path)
        spec = replace(spec, model=replace(spec.model, vocabulary_rule=rule, vocabulary=3000))
        context, store = context_of(spec, cache), fresh_store(spec)
        general = train_general(spec, context, store)
        request = request_for(spec, "ulm+domain", Stage.LANGUAGE_MODEL, size=20, encoder=general)
        key = run_trial(request, context, store, go_on).artifacts["encoder"]
        words = set(store.load(key).vocabulary.words)
        general_words = set(store.load(general).vocabulary.words)
        sizes[rule] = len(words)
        own = Materials(context, request.cell)
        assert words >= set(own.vocabulary(own.documents).words)
        assert (general_words <= words) is (rule == "union")
    assert sizes["union"] > sizes["subset"]


def test_a_trial_told_to_stop_stops_and_keeps_no_encoder(spec, cache):
    store = fresh_store(spec)
    request = request_for(spec, "domain", Stage.LANGUAGE_MODEL, size=20)

    def stop(progress, save):
        raise Stopped

    with pytest.raises(Stopped):
        run_trial(request, context_of(spec, cache), store, stop)
    assert list(Path(store._root).iterdir()) == []


def kept_weights(context):
    """Bytes of the one classifier that is kept."""
    files = list(Path(context.models).rglob("*.safetensors"))
    return files[0].read_bytes() if files else None


@pytest.mark.parametrize(
    ("stage", "folds", "ensemble"),
    [
        (Stage.CLASSIFIER, None, 1),
        (Stage.CLASSIFIER, 2, 1),
        (Stage.FINAL, None, 1),
        (Stage.FINAL, None, 3),
    ],
)
def test_a_trial_that_lost_its_worker_goes_on_from_its_last_epoch(
    cache, tmp_path, stage, folds, ensemble
):
    spec = tiny_spec(
        tmp_path,
        labels=LabelSpec(train=20, folds=folds),
        classifier=ClassifierSpec(epochs=2, batch=8, bptt=20, ensemble=ensemble),
    )
    context, store, told = context_of(spec, cache), fresh_store(spec), []
    request = request_for(spec, "scratch", stage)
    whole = run_trial(request, context, store, lambda p, save: told.append(p))
    epochs, model = len(told), kept_weights(context)
    assert (model is not None) == (stage is Stage.FINAL)
    assert [p.epoch for p in told] == list(range(1, epochs + 1))
    assert {p.num_epochs for p in told} == {epochs}

    for lost_after in range(1, epochs):
        folder = tmp_path / f"state{lost_after}"
        folder.mkdir()

        def vanish(progress, save, folder=folder, lost_after=lost_after):
            if progress.epoch == lost_after:
                save(folder)
                raise Stopped

        with pytest.raises(Stopped):
            run_trial(request, context, store, vanish)
        seen = []
        resumed = run_trial(
            request,
            context,
            store,
            lambda p, save, seen=seen: seen.append(p.epoch),
            resume_from=folder,
        )
        assert seen == list(range(lost_after + 1, epochs + 1))
        assert numbers(resumed) == numbers(whole)
        assert kept_weights(context) == model


def test_a_final_fit_whose_members_are_not_known_begins_anew(cache, tmp_path):
    spec = tiny_spec(tmp_path)
    request = request_for(spec, "scratch", Stage.FINAL)
    trial = partial(run_trial, request, context_of(spec, cache), fresh_store(spec))
    whole = trial(lambda progress, save: save(tmp_path))
    (tmp_path / ENSEMBLE_FILE).unlink()
    seen = []
    again = trial(lambda p, save: seen.append(p.epoch), resume_from=tmp_path)
    assert seen[0] == 1
    assert numbers(again) == numbers(whole)


def test_folds_are_judged_by_the_mean_of_the_ends_of_their_curves(cache, tmp_path):
    spec = tiny_spec(tmp_path, labels=LabelSpec(train=20, folds=2))
    told = []
    request = request_for(spec, "scratch", Stage.CLASSIFIER)
    outcome = run_trial(
        request, context_of(spec, cache), fresh_store(spec), lambda p, s: told.append(p)
    )
    assert outcome.value == pytest.approx(np.mean([told[1].value, told[3].value]))
    assert outcome.metrics["epochs"] == 2
    assert "best_epoch" not in outcome.metrics
    for name in ("steps", "tokens", "seconds"):
        of_both = told[1].metrics[name] + told[3].metrics[name]
        assert outcome.metrics[name] == pytest.approx(of_both), name


def test_a_classifier_is_judged_by_the_end_of_its_curve_and_not_by_its_best_epoch():
    def history(*accuracies):
        return tuple(
            EpochReport(
                epoch=epoch,
                num_epochs=2,
                steps=1,
                tokens=1,
                seconds=1.0,
                train_loss=1.0,
                learning_rate=0.1,
                validation_loss=1 - accuracy,
                validation_accuracy=accuracy,
            )
            for epoch, accuracy in enumerate(accuracies, 1)
        )

    metrics = classifiers._curve_metrics([history(0.9, 0.5), history(0.8, 0.7)])
    assert metrics["validation_accuracy"] == pytest.approx(0.6)
    assert metrics["validation_loss"] == pytest.approx(0.4)


def test_final_scores_the_mean_probability_of_its_ensemble(cache, tmp_path):
    def probabilities(ensemble):
        shape = ClassifierSpec(epochs=2, batch=8, bptt=20, ensemble=ensemble)
        spec = tiny_spec(tmp_path, classifier=shape)
        context = context_of(spec, cache)
        request = request_for(spec, "scratch", Stage.FINAL)
        outcome = run_trial(request, context, fresh_store(spec), go_on)
        with np.load(Path(spec.storage) / spec.name / outcome.artifacts["predictions"]) as kept:
            assert outcome.value == np.mean(kept["probabilities"].argmax(1) == kept["labels"])
            return kept["probabilities"], outcome.metrics

    (one, alone), (two, both) = probabilities(1), probabilities(2)
    second = 2 * two - one
    assert not np.allclose(second, one, atol=1e-4)
    assert np.allclose(second.sum(1), 1, atol=1e-5)
    assert (second >= -1e-5).all()
    assert both["steps"] == 2 * alone["steps"]
    assert both["epochs"] == alone["epochs"]


def test_coverage_is_of_the_test_documents_and_the_general_ones_of_what_a_cell_reads(spec, cache):
    context, store = context_of(spec, cache), fresh_store(spec)
    general = train_general(spec, context, store)
    words = store.load(general).vocabulary
    request = request_for(spec, "ulm+domain", Stage.LANGUAGE_MODEL, size=60, encoder=general)
    own = Materials(context, request.cell)
    metrics = run_trial(request, context, store, go_on).metrics
    assert metrics["general_coverage"] == own.coverage(words, own.documents)
    assert metrics["general_coverage"] != own.coverage(words, own.labelled)
    request = request_for(spec, "scratch", Stage.FINAL)
    words = own.vocabulary(own.labelled)
    metrics = run_trial(request, context, store, go_on).metrics
    assert metrics["coverage"] == own.coverage(words, own.test)
    assert metrics["coverage"] != own.coverage(words, own.labelled)


@pytest.mark.parametrize(("regime", "seconds"), [("scratch", 10.0), (Regime.BOW, 0.0)])
def test_a_gpu_is_held_by_the_share_of_it_that_a_trial_has(
    spec, cache, monkeypatch, regime, seconds
):
    spec = replace(spec, resources=ResourceSpec(cpus=2, gpus=0.5))
    ticks = iter([100.0, 120.0])
    for known in (stages._NEURAL, stages._BOW):
        monkeypatch.setitem(known, Stage.FINAL, lambda job: Outcome(value=1.0))
    clock = SimpleNamespace(perf_counter=lambda: next(ticks))  # threads read the one of all
    monkeypatch.setattr(stages, "time", clock)
    request = request_for(spec, regime, Stage.FINAL)
    outcome = run_trial(request, context_of(spec, cache), fresh_store(spec), go_on)
    assert outcome.metrics["accelerator_seconds"] == seconds


def test_regimes_at_a_seed_share_labels_and_test_documents(spec, cache):
    context = context_of(spec, cache)
    cells = [cell for cell in make_cells(spec) if not cell.is_general]
    materials = [Materials(context, cell) for cell in cells]
    for other in materials[1:]:
        assert np.array_equal(other.labelled, materials[0].labelled)
        assert np.array_equal(other.test, materials[0].test)
        assert np.array_equal(other.label_splits[0][0], materials[0].label_splits[0][0])


def test_a_rate_that_diverges_says_so(spec, cache):
    request = request_for(spec, "domain", Stage.LANGUAGE_MODEL, size=20, learning_rate=1e30)
    with pytest.raises(TrainingDiverged, match="must stay finite"):
        run_trial(request, context_of(spec, cache), fresh_store(spec), go_on)


def test_bow_is_chosen_and_scored_without_an_encoder(spec, cache, tmp_path):
    context = context_of(spec, cache)
    params = {"inverse_regularization": 10.0}
    chosen = run_trial(
        request_for(spec, Regime.BOW, Stage.CLASSIFIER, **params), context, None, go_on
    )
    assert 0 <= chosen.value <= 1
    assert "best_epoch" not in chosen.metrics
    final = run_trial(request_for(spec, Regime.BOW, Stage.FINAL, **params), context, None, go_on)
    assert Path(tmp_path / "tiny" / final.artifacts["predictions"]).is_file()


def test_folds_of_bow_are_judged_by_their_mean(cache, tmp_path):
    spec = tiny_spec(tmp_path, labels=LabelSpec(train=20, folds=3))
    context = context_of(spec, cache)
    request = request_for(spec, Regime.BOW, Stage.CLASSIFIER, inverse_regularization=10.0)
    materials = Materials(context, request.cell)
    words = materials.every_word(materials.labelled)
    accuracies, losses, tokens = [], [], 0
    for train, held_out in materials.label_splits:
        documents, labels = materials.encode(train, words), materials.labels(held_out)
        model = train_bag_of_words(documents, materials.labels(train), vocabulary=words)
        predicted = model.predict(materials.encode(held_out, words))
        accuracies.append(np.mean(predicted.argmax(1) == labels))
        losses.append(log_loss(labels, predicted))
        tokens += len(documents.ids)
    metrics = run_trial(request, context, None, go_on).metrics
    assert len(set(accuracies)) > 1
    assert metrics["validation_accuracy"] == pytest.approx(np.mean(accuracies))
    assert metrics["validation_loss"] == pytest.approx(np.mean(losses))
    assert metrics["tokens"] == tokens


def test_bow_has_every_word_of_the_labels_and_counts_test_documents_without_one(
    spec, cache, monkeypatch
):
    context = context_of(replace(spec, model=replace(spec.model, vocabulary=30)), cache)
    request = request_for(spec, Regime.BOW, Stage.FINAL, inverse_regularization=10.0)
    materials = Materials(context, request.cell)
    every = len(materials.every_word(materials.labelled))
    known = iter([np.arange(40) >= 7])
    monkeypatch.setattr(BagOfWords, "knows", lambda model, documents: next(known))
    metrics = run_trial(request, context, None, go_on).metrics
    assert metrics["vocabulary"] == every > 30
    assert metrics["unseen_documents"] == 7
