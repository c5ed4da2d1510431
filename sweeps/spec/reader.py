"""Reader: YAML nodes become the dataclasses of a spec, and every mistake is kept (pure).

A node and a dataclass come in; a value or FAILED goes out, with the mistakes beside it. Fields are
read from the dataclass's own annotations, so a new field needs nothing here. A value with a mistake
is replaced by one that breaks no rule and reading goes on: that is how all mistakes are found at
once, those of `__post_init__` included.
"""

import difflib
import math
import os
import types
from collections.abc import Sequence
from dataclasses import MISSING, fields, is_dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Literal, Union, get_args, get_origin, get_type_hints

import yaml

from sweeps.spec.general import GeneralSpec
from sweeps.spec.searches import Range
from sweeps.spec.values import LabelSpec, SweepSpec
from sweeps.spec.yaml_nodes import Node, entries, found, is_override, place, scalar
from ulm.text.corpora import CorpusSource

FAILED: Final = object()
MAX_SEEDS = 10_000
MAX_WHOLE = 2**53  # numbers below it are the same as floats and in 64 bits

# What stands in for a value with a mistake where the default, or the rest of the section, could
# break a rule between sections.
_PLACEHOLDERS: dict[str, object] = {
    "name": "sweep",
    "corpus": CorpusSource(kind="imdb"),
    "general": GeneralSpec(kind="synthetic-general"),
    "labels": LabelSpec(train=4),
    "sizes": (10**12,),
}


class SpecReader:
    """Reads dataclasses from nodes and collects what is wrong.

    Args:
        base: Folder that relative paths of the file are relative to.
    """

    def __init__(self, base: Path) -> None:
        self._base = base
        self._mistakes: list[tuple[tuple[bool, int, str], str]] = []

    @property
    def mistakes(self) -> tuple[str, ...]:
        """Every mistake so far as `place: key: message`, in the order of the file."""
        return tuple(f"{at[2]}: {text}" for at, text in sorted(self._mistakes))

    def section(self, node: Node, kind: type[Any], key: str = "") -> Any:
        """Read a dataclass from a mapping; FAILED where it cannot be made."""
        if not isinstance(node, yaml.MappingNode):
            names = ", ".join(entry.name for entry in fields(kind))
            return self._wrong(node, key, f"must be a mapping of {names}, found {found(node)}")
        hints = get_type_hints(kind)
        keys = self._known_keys(node, key, tuple(hints))
        values = {
            name: self._value(value, hints[name], _join(key, name))
            for name, (_, value) in keys.items()
        }
        for entry in fields(kind):
            if entry.name not in keys and entry.default is entry.default_factory is MISSING:
                values[entry.name] = self._wrong(node, _join(key, entry.name), "is missing; add it")
        value = self._build(node, kind, key, keys, values)
        is_sound = not any(text.startswith(f"{key}.") for _, text in self._mistakes)
        return value if is_sound or key not in _PLACEHOLDERS else FAILED

    def _wrong(self, node: Node, key: str, message: str) -> Any:
        self._mistakes.append((place(node), f"{key or 'spec'}: {message}"))
        return FAILED

    def _known_keys(
        self, node: Node, key: str, names: tuple[str, ...]
    ) -> dict[str, tuple[Node, Node]]:
        keys: dict[str, tuple[Node, Node]] = {}
        for name, key_node, value in entries(node):
            if name not in names:
                message = f"is not a key of {key or 'a spec'}{_allowed(name, names)}"
                self._wrong(key_node, _join(key, name), message)
            elif name in keys:
                first = keys[name][0].start_mark.line + 1
                self._wrong(key_node, _join(key, name), f"is given twice, first in line {first}")
            else:
                keys[name] = (key_node, value)
        return keys

    def _build(
        self,
        node: Node,
        kind: type[Any],
        key: str,
        keys: dict[str, tuple[Node, Node]],
        values: dict[str, Any],
    ) -> Any:
        """Make the value; a field its checks complain of is replaced, and the checks run again."""
        if values.get("kind") is FAILED:
            return FAILED  # every other rule of the section depends on it
        given = {name for name, value in values.items() if value is not FAILED}
        while True:
            arguments = {n: v if n in given else _stand_in(kind, n) for n, v in values.items()}
            try:
                return kind(**arguments)
            except ValueError as error:
                name, _, rule = str(error).partition(" ")
                if name not in keys:
                    return self._wrong(node, key, str(error))
                self._wrong(keys[name][0], _join(key, name), rule)
                if name not in given or name == "kind":
                    return FAILED
                given.remove(name)

    def _value(self, node: Node, kind: Any, key: str) -> Any:
        """Read one value of an annotated type."""
        if get_origin(kind) in (Union, types.UnionType):
            if isinstance(node, yaml.ScalarNode) and node.tag.endswith(":null"):
                return None
            kind = next(arm for arm in get_args(kind) if arm is not type(None))
        if kind is Range:
            return self._range(node, key)
        if is_dataclass(kind):
            return self.section(node, kind, key) if isinstance(kind, type) else FAILED
        if get_origin(kind) is tuple:
            return self._tuple(node, get_args(kind)[0], key)
        return self._scalar(node, kind, key)

    def _tuple(self, node: Node, kind: Any, key: str) -> Any:
        if key == "seeds" and isinstance(node, yaml.ScalarNode):
            count = self._scalar(node, int, key)
            if count is not FAILED and count > MAX_SEEDS:  # before a list of them is made
                return self._wrong(node, key, f"must be at most {MAX_SEEDS}, found {count}")
            return count if count is FAILED else tuple(range(count))
        if not isinstance(node, yaml.SequenceNode):
            return self._wrong(node, key, f"must be a list, found {found(node)}")
        items = [self._scalar(item, kind, key) for item in node.value]
        return FAILED if FAILED in items else tuple(items)

    def _range(self, node: Node, key: str) -> Any:
        if isinstance(node, yaml.ScalarNode):
            number = self._scalar(node, float, key)
            return number if number is FAILED else Range(low=number, high=number)
        form = "must be a number, {log: [low, high]} or {range: [low, high]}"
        if not isinstance(node, yaml.MappingNode) or len(node.value) != 1:
            return self._wrong(node, key, f"{form}, found {found(node)}")
        name, _, ends = next(entries(node))
        if name not in ("log", "range"):
            return self._wrong(node, key, f"{form}, found {{{name}: ..}}")
        if not isinstance(ends, yaml.SequenceNode) or len(ends.value) != 2:
            return self._wrong(ends, key, f"{form}, found {found(ends)} instead of two ends")
        low, high = (self._scalar(end, float, key) for end in ends.value)
        if low is FAILED or high is FAILED:
            return FAILED
        try:
            return Range(low=low, high=high, log=name == "log")
        except ValueError as error:
            return self._wrong(node, key, str(error))

    def _scalar(self, node: Node, kind: Any, key: str) -> Any:
        if not isinstance(node, yaml.ScalarNode):
            return self._wrong(node, key, f"must be {_noun(kind)}, found {found(node)}")
        try:
            value = scalar(node)
            if kind is Path:
                base = Path.cwd() if is_override(node) else self._base
                return Path(os.path.normpath(base / _with_home(Path(_text(value)))))
            return _convert(value, kind)
        except ValueError as error:
            return self._wrong(node, key, f"{error}, found {found(node)}{_hint(node, kind)}")


def _join(section: str, name: str) -> str:
    return f"{section}.{name}" if section else name


def _allowed(name: str, names: Sequence[str]) -> str:
    nearest = difflib.get_close_matches(name, names, n=1)
    hint = f"; did you mean {nearest[0]}?" if nearest else ";"
    return f"{hint} Allowed: {', '.join(names)}"


def _stand_in(kind: type[Any], name: str) -> object:
    if kind is SweepSpec and name in _PLACEHOLDERS:
        return _PLACEHOLDERS[name]
    entry = next(entry for entry in fields(kind) if entry.name == name)
    return entry.default if entry.default_factory is MISSING else entry.default_factory()


def _choices(kind: Any) -> tuple[str, ...]:
    if get_origin(kind) is Literal:
        return get_args(kind)
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return tuple(member.value for member in kind)
    return ()


def _noun(kind: Any) -> str:
    if choices := _choices(kind):
        return f"one of {', '.join(choices)}"
    nouns = {int: "a whole number", float: "a number", str: "text", Path: "a path"}
    return nouns[kind]


def _hint(node: Node, kind: Any) -> str:
    nearest = difflib.get_close_matches(str(node.value), _choices(kind), n=1)
    if nearest:
        return f"; did you mean {nearest[0]}?"
    is_other = kind in (str, Path) and node.value and not node.tag.endswith(":str")
    return "; put it in quotes" if is_other else ""


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("must be text")
    return value


def _with_home(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError:
        raise ValueError("must start with the home of a user there is") from None


def _convert(value: Any, kind: Any) -> Any:
    """Check a plain value against int, float, str, a Literal or an enum.

    Raises:
        ValueError: It is none, with the rule as text.
    """
    if kind is str:
        return _text(value)
    if choices := _choices(kind):
        if value in choices:
            return value if get_origin(kind) is Literal else kind(value)
    elif isinstance(value, int) and abs(value) >= MAX_WHOLE:
        raise ValueError("must lie between -2^53 and 2^53")
    elif kind is int and isinstance(value, int) and not isinstance(value, bool):
        return value
    elif kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        if math.isfinite(value):
            return float(value)
        raise ValueError("must be finite")
    raise ValueError(f"must be {_noun(kind)}")
