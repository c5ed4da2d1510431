"""What `final` keeps of the test documents: whose each row is, and of which model."""

from pathlib import Path

import numpy as np
import pytest
from tiny import context_of, fresh_store, tiny_spec

from sweeps.run import predictions
from sweeps.run.context import Materials
from sweeps.run.stages import run_trial
from sweeps.search.records import StudyKey, TrialKey, TrialRequest
from sweeps.spec.cells import Stage, make_cells
from sweeps.spec.values import ClassifierSpec
from ulm.labeller import load_labeller
from ulm.text.vocabulary import UNKNOWN
from ulm.training.bag_of_words import BagOfWords

pytestmark = pytest.mark.torch

PARAMS = {"bow": {"inverse_regularization": 3.0}, "scratch": {"learning_rate": 0.1}}


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("tokens")


@pytest.fixture
def score(tmp_path, cache):
    """Runs `final` of a regime: what it found, what it kept, its materials, the model it serves."""

    def run(regime, ensemble=1):
        shape = ClassifierSpec(epochs=8, batch=8, bptt=20, ensemble=ensemble)
        spec = tiny_spec(tmp_path, classifier=shape)
        cell = next(cell for cell in make_cells(spec) if cell.regime == regime)
        key = TrialKey(study=StudyKey(cell_id=cell.id, stage=Stage.FINAL), number=0)
        request = TrialRequest(key=key, cell=cell, params=PARAMS[regime])
        context = context_of(spec, cache)
        outcome = run_trial(request, context, fresh_store(spec), lambda progress, save: None)
        with np.load(tmp_path / spec.name / outcome.artifacts["predictions"]) as file:
            kept = dict(file)
        labeller = load_labeller(Path(context.models) / cell.id)
        return outcome, kept, Materials(context, cell), labeller

    return run


@pytest.mark.parametrize("block", [predictions.BLOCK_DOCUMENTS, 7])
@pytest.mark.parametrize(("regime", "ensemble"), [("bow", 1), ("scratch", 1), ("scratch", 2)])
def test_kept_probabilities_are_those_that_the_kept_model_gives_each_test_document(
    score, monkeypatch, regime, ensemble, block
):
    monkeypatch.setattr(predictions, "BLOCK_DOCUMENTS", block)
    _, kept, materials, labeller = score(regime, ensemble)
    assert kept["documents"].tolist() == materials.test.tolist()
    assert kept["labels"].tolist() == materials.labels(materials.test).tolist()
    again = labeller.predict(materials.encode(materials.test, labeller.vocabulary))
    assert np.ptp(again[:, 0]) > 1e-3, "documents are told apart"
    assert kept["probabilities"] == pytest.approx(again, abs=1e-6)


def test_documents_in_which_bow_knows_no_word_are_counted(score, monkeypatch):
    assert score("bow")[0].metrics["unseen_documents"] == 0
    monkeypatch.setattr(BagOfWords, "knows", lambda self, documents: np.arange(len(documents)) > 2)
    assert score("bow")[0].metrics["unseen_documents"] == 3


@pytest.mark.parametrize("regime", ["bow", "scratch"])
def test_coverage_is_the_share_of_the_test_tokens_that_the_model_knows(score, regime):
    outcome, _, materials, labeller = score(regime)
    tokens = materials.encode(materials.test, labeller.vocabulary).ids
    assert outcome.metrics["coverage"] == pytest.approx(np.mean(tokens != UNKNOWN))
    assert outcome.metrics["coverage"] < 1
