"""A sweep's table of results, read back."""

import csv
from dataclasses import fields, replace

from sweeps.answer.results import ResultRow

TIMING_COLUMNS = ("seconds", "search_seconds", "accelerator_seconds")
"""Columns that differ between two runs of the same sweep."""

PARSERS = {str: str, int: int, int | None: int, float | None: float}


def _parsed(text, kind):
    return None if text == "" and kind is not str else PARSERS[kind](text)


def read_csv(path):
    """The rows of which a `results.csv` was written."""
    with path.open(newline="", encoding="utf-8") as stream:
        return tuple(
            ResultRow(
                **{
                    column.name: _parsed(line[column.name], column.type)
                    for column in fields(ResultRow)
                }
            )
            for line in csv.DictReader(stream)
        )


def comparable(rows):
    """What two runs of the same sweep have in common: all but the seconds."""
    return [replace(row, **dict.fromkeys(TIMING_COLUMNS)) for row in rows]
