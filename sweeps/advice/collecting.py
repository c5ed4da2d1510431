"""Collecting: what a number of documents should score, gain and take (pure).

Rows, scores and a size come in; ranges of accuracy and gain go out, from the measured curve within
the measured sizes and from the forms beyond them.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from math import log

import numpy as np

from sweeps.answer.estimates import Interval
from sweeps.answer.extrapolation import ALL_REFUTED, Extrapolation, why_not
from sweeps.answer.results import ResultRow
from sweeps.answer.scores import Scores


@dataclass(frozen=True, kw_only=True, slots=True)
class Outlook:
    """What a size should bring.

    Args:
        size: Domain documents.
        start: The largest measured size below it, or the smallest of all.
        accuracy: Range of the accuracy.
        gain: Range of the accuracy minus that at `start`; None where both are the same.
        num_forms: Forms that it was extrapolated by; 0 within the measured sizes.
        is_measured: Whether it is one of these.
        accelerator_hours: Of one cell with its search, linear in size; None where not reported.
    """

    size: int
    start: int
    accuracy: Interval
    gain: Interval | None
    num_forms: int
    is_measured: bool
    accelerator_hours: float | None


def outlook_at(
    rows: Sequence[ResultRow],
    scores: Scores,
    regime: str,
    known: Sequence[int],
    size: int,
    model: Extrapolation | None,
) -> Outlook | str:
    """What a size should bring, or the reason why nothing can be said.

    Args:
        rows: One row per cell.
        scores: Their scores.
        regime: A regime with a size axis.
        known: Its finished sizes, ascending.
        size: Domain documents.
        model: Its extrapolation; None where too few sizes are finished.
    """
    if size < known[0]:
        return f"the smallest measured size is {known[0]:,}"
    hours = _accelerator_hours(rows, regime, size)
    if size <= known[-1]:
        return _within(scores, regime, known, size, hours)
    if model is None or not model.trusted:
        reason = why_not(scores, regime, known) or ALL_REFUTED
        return f"it lies beyond the measured sizes, and their curve is not extrapolated: {reason}"
    if size > model.limit:
        return (
            f"it is more than four times the largest measured size, {known[-1]:,}: no form is "
            "trusted that far"
        )
    return Outlook(
        size=size,
        start=model.sizes[-1],
        accuracy=model.accuracy_range(size),
        gain=model.gain_range(size),
        num_forms=len(model.trusted),
        is_measured=False,
        accelerator_hours=hours,
    )


def _within(
    scores: Scores, regime: str, known: Sequence[int], size: int, hours: float | None
) -> Outlook | str:
    place = bisect_left(known, size)
    below, above = known[max(0, place - 1)], known[place]
    points = [(regime, below), (regime, above)]
    if not scores.has(*points):
        return f"no seed has both {below:,} and {above:,}"
    part = 1.0 if below == above else log(size / below) / log(above / below)
    accuracy = scores.contrast(points, [1 - part, part])
    gain = scores.contrast(points, [-part, part]).interval
    if accuracy.num_seeds < 2 or accuracy.interval is None:
        return "one seed shows no spread"
    return Outlook(
        size=size,
        start=below,
        accuracy=accuracy.interval,
        gain=gain if size > below else None,
        num_forms=0,
        is_measured=size in known,
        accelerator_hours=hours,
    )


def _accelerator_hours(rows: Sequence[ResultRow], regime: str, size: int) -> float | None:
    """A straight line through the cells' accelerator seconds, never below none."""
    seen = [
        (row.size, row.accelerator_seconds)
        for row in rows
        if row.is_finished and row.regime == regime and row.size and row.accelerator_seconds
    ]
    if not seen:
        return None
    sizes, seconds = np.array(seen, dtype=np.float64).T
    if len(set(sizes)) < 2:
        return float(seconds.mean() * size / sizes.mean() / 3600)
    slope, constant = np.polyfit(sizes, seconds, 1)
    return float(max(0.0, slope * size + constant) / 3600)
