from collections import Counter

from sweeps.spec.cells import GENERAL, Stage, make_cells
from sweeps.spec.general import GeneralSpec
from sweeps.spec.values import LabelSpec, SweepSpec
from ulm.regimes import Regime
from ulm.text.corpora import CorpusSource


def make_spec(**changes):
    values = {
        "name": "tiny",
        "corpus": CorpusSource(kind="synthetic"),
        "general": GeneralSpec(kind="synthetic-general"),
        "labels": LabelSpec(train=20),
        "sizes": (20, 40),
        "seeds": (0, 1, 2),
    }
    return SweepSpec(**{**values, **changes})


def test_a_cell_exists_per_size_only_where_the_regime_has_a_size_axis():
    counts = Counter(cell.regime for cell in make_cells(make_spec()))
    assert counts == {GENERAL: 1, "bow": 3, "scratch": 3, "ulm": 3, "domain": 6, "ulm+domain": 6}


def test_the_general_model_comes_first_and_is_waited_for():
    general, *others = make_cells(make_spec())
    assert general.is_general
    assert general.stages == (Stage.LANGUAGE_MODEL,)
    for cell in others:
        assert cell.needs == ((general.id,) if Regime(cell.regime).starts_from_general else ())


def test_existing_general_weights_need_no_cell():
    spec = make_spec(general=GeneralSpec(kind="wikitext-103"))
    assert not any(cell.is_general or cell.needs for cell in make_cells(spec))


def test_no_general_model_is_trained_where_no_regime_starts_from_it():
    spec = make_spec(regimes=(Regime.BOW, Regime.DOMAIN))
    assert not any(cell.is_general for cell in make_cells(spec))


def test_only_domain_regimes_have_a_language_model_stage():
    for cell in make_cells(make_spec()):
        assert (Stage.LANGUAGE_MODEL in cell.stages) == (cell.size is not None or cell.is_general)


def test_ids_are_unique_and_labels_readable():
    cells = make_cells(make_spec())
    assert len({cell.id for cell in cells}) == len(cells)
    assert [cell.label for cell in cells[:2]] == ["general", "bow seed 0"]
    assert cells[-1].label == "ulm+domain n=40 seed 2"
    assert cells[-1].id.startswith("ulm+domain-n40-s2-")
