"""What a changed key of a spec does to a sweep that has run, for every key there is.

`CHANGES` holds another value for each: a field that is added to the spec has to be given one here,
and a kind in `sweeps.spec.meaning`, before these tests pass again.
"""

from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from types import UnionType
from typing import Union, get_args, get_origin, get_type_hints

import pytest
from histories import HistoryStudies, Tenths, open_driver
from hypothesis import given, settings
from hypothesis import strategies as st
from simulation import run_all, table, tiny_spec

from sweeps.errors import MeaningError
from sweeps.spec.cells import make_cells
from sweeps.spec.general import GeneralSpec
from sweeps.spec.meaning import KIND_OF_KEY, KeyKind, flatten, to_json
from sweeps.spec.searches import Range
from sweeps.spec.values import SweepSpec
from ulm.regimes import Regime
from ulm.text.corpora import CorpusSource

REGIMES = (Regime.BOW, Regime.DOMAIN, Regime.ULM)
RATES = Range(low=1e-4, high=1e-1, log=True)
FOLDER = {"corpus": CorpusSource(kind="folder", path=Path("here"))}
TABLE = {"corpus": CorpusSource(kind="csv", path=Path("here.csv"))}
GENERAL_TABLE = {"general": GeneralSpec(kind="csv", path=Path("here.csv"))}
WITHOUT_LABELS = {"corpus": CorpusSource(kind="csv", path=Path("here.csv"), part_column="part")}

CHANGES = {
    "corpus.kind": "imdb",
    "corpus.path": Path("there"),
    "corpus.text_column": "review",
    "corpus.label_column": "stars",
    "corpus.part_column": "split",
    "corpus.test_share": 0.5,
    "corpus.documents": 70,
    "corpus.seed": 1,
    "general.kind": "wikitext-2",
    "general.path": Path("there.csv"),
    "general.text_column": "review",
    "general.documents": 70,
    "general.epochs": 3,
    "general.minimum_steps": 9,
    "labels.train": 8,
    "labels.validation": 0.5,
    "labels.folds": 3,
    "test.documents": 5,
    "model.embedding": 16,
    "model.hidden": 16,
    "model.layers": 2,
    "model.vocabulary": 500,
    "model.minimum_count": 3,
    "model.vocabulary_rule": "subset",
    "language_model.epochs": 7,
    "language_model.minimum_steps": 9,
    "language_model.batch": 8,
    "language_model.bptt": 35,
    "language_model.dropout": 0.25,
    "language_model.weight_decay": 0.1,
    "language_model.clip": 0.1,
    "language_model.precision": "bf16",
    "classifier.epochs": 7,
    "classifier.minimum_steps": 9,
    "classifier.batch": 8,
    "classifier.bptt": 35,
    "classifier.maximum_tokens": 700,
    "classifier.dropout": 0.25,
    "classifier.weight_decay": 0.1,
    "classifier.ensemble": 3,
    "search.pruner": "none",
    "search.warmup_epochs": 2,
    "search.general.learning_rate": RATES,
    "search.language_model.learning_rate": RATES,
    "search.language_model.decay": Range(low=1.0, high=3.0),
    "search.language_model.warmup_epochs": 3,
    "search.classifier.learning_rate": RATES,
    "search.classifier.decay": Range(low=1.0, high=3.0),
    "search.classifier.warmup_epochs": 3,
    "search.bow.inverse_regularization": Range(low=0.5, high=50.0, log=True),
    "sizes": (10, 20, 40),
    "regimes": (*REGIMES, Regime.SCRATCH),
    "seeds": (0, 1, 2),
    "search.general.trials": 2,
    "search.language_model.trials": 4,
    "search.classifier.trials": 5,
    "search.bow.trials": 3,
    "order": "smallest_first",
    "storage": "elsewhere",
    "retries": 9,
    "search.parallel_trials": 3,
    "resources.cpus": 4,
    "resources.gpus": 0.5,
    "budget.hours": 100.0,
    "budget.accelerator_hours": 100.0,
    "budget.trial_hours": 1.0,
    "budget.price_per_accelerator_hour": 2.0,
    "tracking.uri": "http://elsewhere:5000",
    "ledger.url": "postgresql://elsewhere/ledger",
    "name": "another",
}
BEFORE = {
    "corpus.path": FOLDER,
    "corpus.text_column": TABLE,
    "corpus.label_column": TABLE,
    "corpus.part_column": WITHOUT_LABELS,
    "corpus.test_share": TABLE,
    "general.path": GENERAL_TABLE,
    "general.text_column": GENERAL_TABLE,
}
"""Specs in which a key has an effect, where it has none in every spec."""


def keys_of(kind, prefix=""):
    """Every dotted key of a dataclass and of those below it, by their types alone."""
    if get_origin(kind) in (Union, UnionType):
        kind = next((arm for arm in get_args(kind) if is_dataclass(arm)), None)
    if not is_dataclass(kind) or kind is Range:
        return {prefix}
    hints = get_type_hints(kind)
    names = {field.name: f"{prefix}.{field.name}".lstrip(".") for field in fields(kind)}
    return {key for name, path in names.items() for key in keys_of(hints[name], path)}


def with_value(spec, key, value):
    name, _, rest = key.partition(".")
    return replace(spec, **{name: with_value(getattr(spec, name), rest, value) if rest else value})


def of_kind(*kinds):
    return sorted(key for key, kind in KIND_OF_KEY.items() if kind in kinds)


def finished_sweep(**changes):
    spec = tiny_spec(seeds=(0,), sizes=(10,), regimes=REGIMES, **changes)
    studies = HistoryStudies()
    driver = open_driver(spec, studies, Tenths())
    run_all(driver)
    return spec, studies, driver


def test_every_field_below_a_spec_says_what_its_change_does_and_is_changed_here():
    assert keys_of(SweepSpec) == set(KIND_OF_KEY)
    assert set(CHANGES) == set(KIND_OF_KEY)


@pytest.mark.parametrize("key", of_kind(KeyKind.MEANING))
def test_what_alters_recorded_cells_is_refused_with_key_old_and_new_value(key):
    spec, studies, before = finished_sweep(**BEFORE.get(key, {}))
    changed = with_value(spec, key, CHANGES[key])
    values = (to_json(dict(flatten(spec))[key]), to_json(CHANGES[key]))
    old, new = ("null" if value is None else repr(value) for value in values)
    with pytest.raises(MeaningError) as refusal:
        open_driver(changed, studies, Tenths())
    assert f"  {key}: recorded {old}, now {new}\n" in str(refusal.value)
    again = open_driver(spec, studies, Tenths())
    assert not again.has_work
    assert table(again) == table(before)


@pytest.mark.parametrize("key", of_kind(KeyKind.FREE))
def test_what_alters_no_result_is_accepted_and_trains_nothing(key):
    spec, studies, before = finished_sweep(**BEFORE.get(key, {}))
    after = open_driver(with_value(spec, key, CHANGES[key]), studies, Tenths())
    assert not after.has_work
    assert table(after) == table(before)


EXTENDING = sorted({*of_kind(KeyKind.EXTENDS)} - {"name"})  # another name is another sweep


@settings(max_examples=60, deadline=None)
@given(keys=st.lists(st.sampled_from(EXTENDING), min_size=1, unique=True), free=st.booleans())
def test_what_asks_for_more_trains_the_difference_alone_and_ends_as_if_asked_at_once(keys, free):
    spec, studies, before = finished_sweep()
    recorded = table(before)
    for key in (*keys, *(of_kind(KeyKind.FREE) if free else ())):
        if key in BEFORE:
            continue
        if key != "search.parallel_trials":  # which gives up that a table can be repeated
            spec = with_value(spec, key, CHANGES[key])
    after = open_driver(spec, studies, Tenths())
    trained = run_all(after)

    whole = open_driver(spec, HistoryStudies(), Tenths())
    run_all(whole)
    assert table(after) == table(whole)
    kept = {trial for trial, result in table(after).items() if recorded.get(trial) == result}
    assert trained == len(table(whole)) - len(kept)
    assert {cell.id for cell in make_cells(spec)} >= {
        record.key.study.cell_id for record in before.records
    }
