"""Consult: what a sweep's folder says when it is asked (reads predictions and records).

Paths, a ledger and a question come in; advice goes out. No figure is drawn, and nothing is written
but the spec that was asked for.
"""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sweeps.advice.advice import advise
from sweeps.advice.question import Question
from sweeps.advice.target_advice import Advice
from sweeps.advice.wanted import check_writable, write_spec
from sweeps.answer.predictions import fetch_predictions
from sweeps.paths import SweepPaths
from sweeps.programs import typed
from sweeps.report.evidence import Evidence
from sweeps.search.ledger import Ledger


def consult(evidence: Evidence, asked: Mapping[str, Any]) -> Advice:
    """Ask a sweep, finished or not, what to do next.

    Args:
        evidence: All that is known of it.
        asked: Fields of a `Question` by name; chance is added from the predictions, the pool from
            the token array, where these are known.

    Raises:
        QuestionError: What is asked for cannot be.
    """
    chance = None if evidence.classes is None else evidence.classes.share
    question = Question(**asked, chance=chance, pool_documents=evidence.pool_documents)
    return advise(evidence, question)


def advice_lines(
    paths: SweepPaths,
    ledger: Ledger,
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
    advice = consult(Evidence.gather(paths, ledger), asked)
    lines = [*advice.lines, f"cells to add: {advice.wanted.describe(ledger.spec)}"]
    if emit_spec is not None:
        write_spec(ledger.spec, advice.wanted, emit_spec)
        lines.append(f"go on with: {shlex.join([typed('sweep'), 'run', str(emit_spec)])}")
    return lines
