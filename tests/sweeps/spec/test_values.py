import math
from dataclasses import astuple

import pytest

from sweeps.spec.values import (
    BudgetSpec,
    ClassifierSpec,
    LabelSpec,
    LanguageModelSpec,
    ModelSpec,
    ResourceSpec,
    SweepSpec,
)
from ulm.model.architecture import CLASSIFIER_DROPOUTS, LANGUAGE_MODEL_DROPOUTS
from ulm.regimes import Regime
from ulm.text.corpora import CorpusSource


def make_spec(**changes):
    values = {"name": "tiny", "corpus": CorpusSource(kind="imdb"), "sizes": (500, 1000)}
    return SweepSpec(**{**values, **changes})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LabelSpec(train=3), "train must be at least 4 labels, found 3"),
        (lambda: LabelSpec(folds=1), "folds must be at least 2, found 1"),
        (lambda: ModelSpec(layers=0), "layers must be at least 1, found 0"),
        (lambda: LanguageModelSpec(batch=0), "batch must be at least 1, found 0"),
        (lambda: LanguageModelSpec(weight_decay=-0.1), "weight_decay must be at least 0"),
        (lambda: LanguageModelSpec(clip=0.0), "clip must be a number above 0, found 0.0"),
        (lambda: LanguageModelSpec(clip=math.inf), "clip must be a number above 0, found inf"),
        (lambda: ClassifierSpec(batch=1), "batch must be at least 2, found 1"),
        (lambda: ClassifierSpec(bptt=70, maximum_tokens=139), r"twice bptt \(70\), found 139"),
        (
            lambda: ResourceSpec(gpus=1.5),
            "gpus must be from 0 to 1, found 1.5: a trial trains on one",
        ),
        (lambda: ResourceSpec(gpus=-1), "gpus must be from 0 to 1, found -1"),
        (lambda: BudgetSpec(hours=0), "hours must be above 0, found 0"),
        (lambda: make_spec(name="a/b"), "name must be letters"),
        (lambda: make_spec(name=".."), "a letter or digit first, found '..'"),
        (lambda: make_spec(sizes=()), "at least one size"),
        (lambda: make_spec(sizes=(1000, 500)), "sizes must ascend"),
        (lambda: make_spec(sizes=(100, 1000)), "at least labels.train"),
        (lambda: make_spec(seeds=(0, 0)), "seeds must not repeat"),
        (lambda: make_spec(seeds=(-1,)), "seeds must be >= 0"),
    ],
)
def test_a_broken_rule_is_refused_with_the_value_found(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("kind", "dropouts"),
    [(LanguageModelSpec, LANGUAGE_MODEL_DROPOUTS), (ClassifierSpec, CLASSIFIER_DROPOUTS)],
)
def test_a_dropout_is_refused_exactly_where_one_of_fastais_would_reach_one(kind, dropouts):
    limit = 1 / max(astuple(dropouts))
    dropouts.scaled(kind(dropout=limit - 1e-6).dropout)
    for make in (lambda: kind(dropout=limit), lambda: dropouts.scaled(limit)):
        with pytest.raises(ValueError, match="dropout"):
            make()


@pytest.mark.parametrize(
    ("labels", "held_out"),
    [
        (LabelSpec(train=100, validation=0.3), 30),
        (LabelSpec(train=4, validation=0.1), 1),
        (LabelSpec(train=100, validation=0.3, folds=5), 100),
    ],
)
def test_folds_judge_a_classifier_on_every_label_and_a_share_on_those_held_out(labels, held_out):
    assert labels.num_held_out == held_out


def test_wikitext103_weights_fix_the_model_sizes():
    with pytest.raises(ValueError, match=r"\(400, 1152, 3\).*found \(400, 1152, 2\)"):
        make_spec(model=ModelSpec(layers=2))
    make_spec(model=ModelSpec(layers=2), regimes=(Regime.BOW, Regime.DOMAIN))
