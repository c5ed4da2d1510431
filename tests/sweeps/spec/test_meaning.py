import json
from dataclasses import replace
from pathlib import Path

import pytest

from sweeps.spec.cells import make_cells
from sweeps.spec.general import GeneralSpec
from sweeps.spec.meaning import digest, meaning, to_json
from sweeps.spec.searches import NeuralSearch, Range, SearchSpec
from sweeps.spec.values import BudgetSpec, LabelSpec, LanguageModelSpec, ResourceSpec, SweepSpec
from ulm.regimes import Regime
from ulm.text.corpora import CorpusSource


def make_spec(**changes):
    values = {
        "name": "tiny",
        "corpus": CorpusSource(kind="synthetic"),
        "general": GeneralSpec(kind="synthetic-general"),
        "labels": LabelSpec(train=20),
        "sizes": (20, 40),
    }
    return SweepSpec(**{**values, **changes})


@pytest.mark.parametrize(
    "changes",
    [
        {"sizes": (20, 40, 80)},
        {"seeds": (0, 1, 2, 3)},
        {"regimes": (Regime.BOW,)},
        {"name": "other"},
        {"storage": "elsewhere"},
        {"resources": ResourceSpec(cpus=2)},
        {"budget": BudgetSpec(hours=1)},
        {"order": "smallest_first"},
        {"search": SearchSpec(parallel_trials=4)},
        {"search": SearchSpec(classifier=replace(SearchSpec().classifier, trials=9))},
    ],
)
def test_changes_that_extend_or_are_free_keep_the_digest(changes):
    assert digest(make_spec(**changes)) == digest(make_spec())


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"corpus": CorpusSource(kind="imdb")}, "corpus.kind"),
        ({"labels": LabelSpec(train=10)}, "labels.train"),
        ({"search": SearchSpec(pruner="none")}, "search.pruner"),
        (
            {"search": SearchSpec(language_model=NeuralSearch(decay=Range(low=1.5, high=4.0)))},
            "search.language_model.decay",
        ),
    ],
)
def test_a_changed_meaning_is_named_by_its_key(changes, key):
    before, after = meaning(make_spec()), meaning(make_spec(**changes))
    assert digest(make_spec(**changes)) != digest(make_spec())
    assert [name for name in before if before[name] != after[name]] == [key]


def test_a_meaning_survives_json():
    assert json.loads(json.dumps(meaning(make_spec()))) == meaning(make_spec())


def test_whole_numbers_mean_the_same_as_floats():
    one = make_spec(search=SearchSpec(language_model=NeuralSearch(decay=Range(low=2, high=3))))
    two = make_spec(search=SearchSpec(language_model=NeuralSearch(decay=Range(low=2.0, high=3.0))))
    assert digest(one) == digest(two)


def test_ranges_are_written_as_in_yaml():
    assert to_json(Range(low=0.1, high=1.0, log=True)) == {"log": [0.1, 1]}
    assert to_json(Range(low=1.5, high=4.0)) == {"range": [1.5, 4]}
    assert to_json(Range(low=2.6, high=2.6)) == 2.6
    assert to_json(Path("a") / "b") == "a/b"
    assert to_json((Regime.BOW, 3, None)) == ["bow", 3, None]
    with pytest.raises(TypeError, match="must be a number, text"):
        to_json({"a": 1})


def test_cells_are_the_same_wherever_the_corpora_lie():
    here, there = (
        make_spec(
            corpus=CorpusSource(kind="csv", path=folder / "reviews.csv"),
            general=GeneralSpec(kind="folder", path=folder / "general"),
        )
        for folder in (Path("/laptop/project"), Path("/home/ubuntu/clone"))
    )
    assert make_cells(here) == make_cells(there)


def test_cell_ids_follow_the_meaning_alone():
    ids = {cell.id for cell in make_cells(make_spec())}
    extended = {cell.id for cell in make_cells(make_spec(sizes=(20, 40, 80), name="other"))}
    changed = {cell.id for cell in make_cells(make_spec(labels=LabelSpec(train=10)))}
    assert ids < extended
    assert not ids & changed


def test_a_key_that_came_later_changes_ids_only_where_it_is_used():
    unlimited = make_spec(language_model=LanguageModelSpec(clip=None))
    assert "language_model.clip" not in meaning(unlimited)
    limited = make_spec(language_model=LanguageModelSpec(clip=0.25))
    assert meaning(limited) == {**meaning(unlimited), "language_model.clip": 0.25}
    assert not {c.id for c in make_cells(limited)} & {c.id for c in make_cells(unlimited)}
