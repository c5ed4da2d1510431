"""Consult: what a sweep's folder says when it is asked (reads predictions and records).

Paths, a spec, records and a question come in; advice goes out. No figure is drawn, and nothing is
written but the spec that was asked for.
"""

import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sweeps.advice.advice import advise
from sweeps.advice.question import Question
from sweeps.advice.target_advice import Advice
from sweeps.advice.wanted import check_writable, write_spec
from sweeps.answer.findings import find, make_sweep_scores
from sweeps.answer.majority import find_majority
from sweeps.answer.predictions import fetch_predictions, load_hits
from sweeps.answer.results import make_rows, open_ledger
from sweeps.answer.search_curves import search_curve
from sweeps.answer.tried import search_panels
from sweeps.paths import SweepPaths
from sweeps.programs import typed
from sweeps.search.records import TrialRecord
from sweeps.search.studies import read_meaning
from sweeps.search.suggestions import CONTENT
from sweeps.spec.cells import make_cells
from sweeps.spec.values import SweepSpec
from sweeps.spec.volume import recorded_pool


def consult(
    paths: SweepPaths,
    spec: SweepSpec,
    records: Iterable[TrialRecord],
    asked: Mapping[str, Any],
) -> Advice:
    """Ask a sweep, finished or not, what to do next.

    Args:
        paths: Where the sweep lies.
        spec: Its spec.
        records: Everything its ledger remembers.
        asked: Fields of a `Question` by name; chance is added from the predictions, one half where
            there are none, the pool from the token array.

    Raises:
        QuestionError: What is asked for cannot be.
    """
    records = tuple(records)
    cells = make_cells(spec)
    rows = make_rows(spec, cells, records)
    content = read_meaning(paths, spec).get(CONTENT[0])
    pool = recorded_pool(spec.corpus, paths.tokens, content)
    majority = find_majority(paths, rows)
    chance = 0.5 if majority is None else majority.share
    question = Question(**asked, chance=chance, pool_documents=pool)
    scores = make_sweep_scores(spec, rows, load_hits(paths, rows))
    latest = open_ledger(spec, cells, records)[0].records
    found = (search_curve(panel) for panel in search_panels(spec, cells, latest))
    return advise(
        spec,
        rows,
        scores,
        find(spec, scores),
        question,
        [curve for curve in found if curve is not None],
    )


def advice_lines(
    paths: SweepPaths,
    spec: SweepSpec,
    records: Iterable[TrialRecord],
    asked: Mapping[str, Any],
    emit_spec: Path | None = None,
) -> list[str]:
    """What `sweep advise` prints; the spec with the cells to add is written where one is wanted.

    Raises:
        QuestionError: What is asked for cannot be, or the spec must not be written there.
    """
    if emit_spec is not None:
        check_writable(emit_spec)
    fetch_predictions(paths)
    advice = consult(paths, spec, records, asked)
    lines = [*advice.lines, f"cells to add: {advice.wanted.describe(spec)}"]
    if emit_spec is not None:
        write_spec(spec, advice.wanted, emit_spec)
        lines.append(f"go on with: {shlex.join([typed('sweep'), 'run', str(emit_spec)])}")
    return lines
