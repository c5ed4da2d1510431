"""Meaning: which keys of a spec say what a recorded cell is, and which may change (pure).

A SweepSpec comes in; a flat dictionary of dotted keys and its digest go out, and are held against
what is recorded. Cell ids derive from the digest, so a key is listed under MEANING exactly where
results from before and after a change of it must not share a table. Where a corpus lies is no such
key, what it holds is compared once it is read (`CONTENT`): a sweep goes on where its files have
moved. A key in no group is an error: whoever adds a field to the spec decides here what it does to
recorded cells.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from enum import StrEnum
from pathlib import Path
from typing import TypeAlias

from sweeps.errors import MeaningError
from sweeps.spec.searches import Range
from sweeps.spec.values import SweepSpec

JSON: TypeAlias = bool | int | float | str | list["JSON"] | dict[str, "JSON"] | None


class KeyKind(StrEnum):
    """What a change of a spec key does to the cells that are already recorded."""

    MEANING = "meaning"  # alters what a recorded cell means: refused
    EXTENDS = "extends"  # asks for more cells or trials: the difference is trained
    FREE = "free"  # where, how fast and under which limits: no effect on results


_GROUPS: dict[KeyKind, dict[str, str]] = {
    KeyKind.MEANING: {
        "corpus": "kind text_column label_column part_column test_share documents seed",
        "general": "kind text_column documents epochs minimum_steps",
        "labels": "train validation folds",
        "test": "documents",
        "model": "embedding hidden layers vocabulary minimum_count vocabulary_rule",
        "language_model": "epochs minimum_steps batch bptt dropout weight_decay clip precision",
        "classifier": "epochs minimum_steps batch bptt maximum_tokens dropout weight_decay "
        "ensemble",
        "search": "pruner warmup_epochs",
        "search.general": "learning_rate",
        "search.language_model": "learning_rate decay warmup_epochs",
        "search.classifier": "learning_rate decay warmup_epochs",
        "search.bow": "inverse_regularization",
    },
    KeyKind.EXTENDS: {
        "": "name sizes regimes seeds",
        "search.general": "trials",
        "search.language_model": "trials",
        "search.classifier": "trials",
        "search.bow": "trials",
    },
    KeyKind.FREE: {
        "": "order storage retries",
        "corpus": "path",
        "general": "path",
        "search": "parallel_trials",
        "resources": "cpus gpus",
        "budget": "hours accelerator_hours trial_hours price_per_accelerator_hour",
        "tracking": "uri",
        "ledger": "url",
    },
}

KIND_OF_KEY: dict[str, KeyKind] = {
    f"{section}.{name}".lstrip("."): kind
    for kind, sections in _GROUPS.items()
    for section, names in sections.items()
    for name in names.split()
}


ADDED: dict[str, JSON] = {
    "language_model.clip": None,
    "search.language_model.warmup_epochs": None,
    "search.classifier.warmup_epochs": None,
}
"""Keys of MEANING that came later, with what all cells recorded before had: left out where that is
still so, lest those cells have other ids."""

CONTENT = ("corpus.content", "general.content")
"""Keys of what corpora and general encoder hold, known once they are read: compared where both
sides have them, so that paths need not be."""


def flatten(value: object, prefix: str = "") -> Iterator[tuple[str, object]]:
    """Dotted key and value of every leaf of nested dataclasses, in field order.

    A `Range` and a tuple are leaves.
    """
    if is_dataclass(value) and not isinstance(value, Range):
        for entry in fields(value):
            key = f"{prefix}.{entry.name}" if prefix else entry.name
            yield from flatten(getattr(value, entry.name), key)
    else:
        yield prefix, value


def to_json(value: object) -> JSON:
    """A leaf in the form it has in YAML: a fixed range as its number, else `{log: [..]}`.

    Raises:
        TypeError: A value of a kind that no spec field has.
    """
    if isinstance(value, Range):
        if value.is_fixed:
            return to_json(value.low)
        return {"log" if value.log else "range": [to_json(value.low), to_json(value.high)]}
    if isinstance(value, tuple):
        return [to_json(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)  # 0 and 0.0 mean the same and must hash the same
    if isinstance(value, Path | StrEnum):
        return str(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"a spec value must be a number, text, path, range or tuple, found {value!r}")


def meaning(spec: SweepSpec) -> dict[str, JSON]:
    """Dotted key → value of every field that alters what a recorded cell means."""
    values = {
        key: to_json(value) for key, value in flatten(spec) if KIND_OF_KEY[key] is KeyKind.MEANING
    }
    return {key: value for key, value in values.items() if (key, value) not in ADDED.items()}


def digest(spec: SweepSpec) -> str:
    """SHA-256 (64 hex digits) of `meaning` as canonical JSON."""
    text = json.dumps(meaning(spec), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _said(value: JSON) -> str:
    return "null" if value is None else repr(value)


def _explained(key: str) -> str:
    if key not in CONTENT:
        return ""
    return (
        " (a fingerprint of what it holds, wherever it lies, and of which documents are for "
        "testing, which another version of this program may draw otherwise)"
    )


def check_meaning(recorded: Mapping[str, JSON], now: Mapping[str, JSON], name: str) -> None:
    """Refuse a spec that no longer means what is recorded.

    Raises:
        MeaningError: Names each differing key with its recorded and its present value.
    """
    both = recorded.keys() & now.keys()
    changed = [
        f"  {key}: recorded {_said(recorded.get(key))}, now {_said(now.get(key))}{_explained(key)}"
        for key in sorted({*recorded, *now})
        if recorded.get(key) != now.get(key) and (key in both or key not in CONTENT)
    ]
    if changed:
        raise MeaningError(
            f"a spec must mean what the recorded cells of sweep {name!r} mean; keys that differ:\n"
            + "\n".join(changed)
            + "\ngive the sweep another name, or put the recorded values back"
        )
