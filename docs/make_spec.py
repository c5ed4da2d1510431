"""Writes docs/spec.md: every key of a spec, from the docstrings and defaults of its values.

python docs/make_spec.py > docs/spec.md
"""

import inspect
import json
import re
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import get_type_hints

from sweeps.spec.meaning import KIND_OF_KEY, KeyKind, to_json
from sweeps.spec.values import SweepSpec

HEADER = """\
# Every key of a spec

Written by `python docs/make_spec.py` from the code. A spec is YAML; sections are mappings, and
`--set section.key=value` changes one key for one call. What is left out has its default. A searched
value is a number, `{range: [low, high]}`, or `{log: [low, high]}`, uniform in the logarithm.

*Later* says what a change does to a sweep that has recorded cells: **no** is refused (take another
`name`), **extends** trains the difference, **yes** changes no result.
"""
LATER = {KeyKind.MEANING: "no", KeyKind.EXTENDS: "extends", KeyKind.FREE: "yes"}


def descriptions(kind: type) -> dict[str, str]:
    """What the `Args` of a docstring say of each field, on one line each."""
    _, _, told = inspect.getdoc(kind).partition("Args:\n")
    told = re.split(r"\n\n|\nRaises:", told)[0]
    found = re.findall(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", told, flags=re.MULTILINE)
    return {name: " ".join(text.split()).replace("``", "`") for name, text in found}


def default(field: Field) -> str:
    """The default of a field as YAML."""
    if field.default is MISSING:
        return "needed"
    return f"`{json.dumps(to_json(field.default), ensure_ascii=False)}`".replace('"', "")


def section(kind: type, prefix: str = "") -> list[str]:
    """The rows of a section, then its sections."""
    told, hints = descriptions(kind), get_type_hints(kind)
    rows, below = [], []
    for field in fields(kind):
        key = f"{prefix}.{field.name}".lstrip(".")
        if is_dataclass(hints[field.name]) and key not in KIND_OF_KEY:
            inner = hints[field.name]
            summary = inspect.getdoc(inner).partition("\n\n")[0].replace("\n", " ")
            below += ["", f"## `{key}`", "", summary, *section(inner, key)]
            continue
        later = LATER[KIND_OF_KEY[key]]
        cell = told[field.name][:1].upper() + told[field.name][1:]
        rows.append(
            f"| `{key}` | {default(field)} | {cell.replace('|', chr(92) + '|')} | {later} |"
        )
    table = ["", "| key | default | meaning | later |", "|---|---|---|---|", *rows] if rows else []
    return [*table, *below]


def page() -> str:
    """The whole page."""
    return "\n".join([HEADER.rstrip(), *section(SweepSpec), ""])


if __name__ == "__main__":
    print(page(), end="")
