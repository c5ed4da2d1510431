"""Summary: the sentence that a run ends with (reads predictions)."""

from collections.abc import Iterable

from sweeps.answer.findings import find
from sweeps.answer.predictions import load_hits
from sweeps.answer.results import make_rows
from sweeps.paths import SweepPaths
from sweeps.report.sentences import answer
from sweeps.search.records import TrialRecord
from sweeps.spec.cells import make_cells
from sweeps.spec.values import SweepSpec


def first_sentence(paths: SweepPaths, spec: SweepSpec, records: Iterable[TrialRecord]) -> str:
    """The sentence a report begins with."""
    rows = make_rows(spec, make_cells(spec), records)
    return answer(spec, find(spec, rows, load_hits(paths, rows)), rows)[0]
