"""Consult: what a sweep's folder says when it is asked (reads predictions and records).

Paths, a ledger and a question come in; advice goes out. No figure is drawn, and nothing is written
but the spec that was asked for.
"""

import shlex
from dataclasses import replace
from pathlib import Path

from sweeps.advice.advice import advise
from sweeps.advice.question import Question
from sweeps.advice.wanted import check_writable, write_spec
from sweeps.answer.predictions import fetch_predictions
from sweeps.paths import SweepPaths
from sweeps.programs import typed
from sweeps.report.evidence import Evidence
from sweeps.search.ledger import Ledger


def advice_lines(
    paths: SweepPaths, ledger: Ledger, question: Question, emit_spec: Path | None
) -> list[str]:
    """What `sweep advise` prints; the spec with the cells to add is written where one is wanted.

    Args:
        paths: Where the sweep lies, finished or not.
        ledger: What is recorded of it.
        question: As the user asks it: what is known of the corpus is added here.
        emit_spec: File for that spec; None where none is wanted.

    Raises:
        QuestionError: What is asked for cannot be, or the spec must not be written there.
    """
    if emit_spec is not None:
        check_writable(emit_spec)
    fetch_predictions(paths)
    evidence = Evidence.gather(paths, ledger)
    chance = None if evidence.classes is None else evidence.classes.share
    known = replace(question, chance=chance, pool_documents=evidence.pool_documents)
    advice = advise(evidence, known)
    lines = [*advice.lines, f"cells to add: {advice.wanted.describe(ledger.spec)}"]
    if emit_spec is not None:
        write_spec(ledger.spec, advice.wanted, emit_spec)
        lines.append(f"go on with: {shlex.join([typed('sweep'), 'run', str(emit_spec)])}")
    return lines
