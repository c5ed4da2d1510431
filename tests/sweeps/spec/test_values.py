import pytest

from sweeps.spec.values import (
    BagOfWordsSearch,
    BudgetSpec,
    GeneralSpec,
    LabelSpec,
    ModelSpec,
    NeuralSearch,
    Range,
    SweepSpec,
    fixed,
)
from ulm.regimes import Regime
from ulm.text.corpora import CorpusSource


def make_spec(**changes):
    values = {"name": "tiny", "corpus": CorpusSource(kind="imdb"), "sizes": (500, 1000)}
    return SweepSpec(**{**values, **changes})


def test_the_middle_of_a_log_range_is_geometric():
    assert Range(low=1e-4, high=1e-2, log=True).middle == pytest.approx(1e-3)
    assert Range(low=1, high=4).middle == 2.5
    assert fixed(2.6).is_fixed


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Range(low=2, high=1), "low must not exceed high"),
        (lambda: Range(low=0, high=1, log=True), "starts above 0"),
        (lambda: LabelSpec(train=3), "train must be at least 4 labels, found 3"),
        (lambda: LabelSpec(folds=1), "folds must be at least 2, found 1"),
        (lambda: ModelSpec(layers=0), "layers must be at least 1, found 0"),
        (lambda: NeuralSearch(trials=0), "trials must be at least 1"),
        (lambda: NeuralSearch(learning_rate=fixed(0)), "learning_rate must be above 0, found 0"),
        (lambda: BagOfWordsSearch(inverse_regularization=fixed(0)), "must be above 0, found 0"),
        (lambda: BudgetSpec(hours=0), "hours must be above 0, found 0"),
        (lambda: GeneralSpec(kind="encoder"), "path is needed"),
        (lambda: GeneralSpec(path="x"), "path has no effect"),
        (lambda: make_spec(name="a/b"), "name must be letters"),
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


@pytest.mark.parametrize("kind", ["wikitext-2", "synthetic-general"])
def test_a_general_corpus_without_labels_gives_a_source(kind):
    assert GeneralSpec(kind=kind).source.kind == kind


def test_a_general_table_is_read_without_labels(tmp_path):
    source = GeneralSpec(kind="csv", path=tmp_path / "x.csv", text_column="body").source
    assert source.label_column is None
    assert source.text_column == "body"


def test_pretrained_weights_have_no_corpus():
    assert GeneralSpec(kind="wikitext-103").source is None


def test_wikitext103_weights_fix_the_model_sizes():
    with pytest.raises(ValueError, match=r"\(400, 1152, 3\).*found \(400, 1152, 2\)"):
        make_spec(model=ModelSpec(layers=2))
    make_spec(model=ModelSpec(layers=2), regimes=(Regime.BOW, Regime.DOMAIN))
