"""Worth: what a point of accuracy over a reference line costs in computing (pure).

Rows and scores come in; seconds and accelerator hours per point, with their range, go out. All
trials of a cell count, the whole search included, because it was paid for; the general model is
left out: it is made once for all cells, and later sweeps.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

from sweeps.answer.estimates import Interval
from sweeps.answer.results import ResultRow
from sweeps.answer.scores import Point, Scores
from sweeps.answer.statistics import Difference, difference


@dataclass(frozen=True, kw_only=True, slots=True)
class Worth:
    """What one point of accuracy above a reference costs.

    Args:
        gain: The point minus the reference.
        seconds: Mean seconds of a cell's trials, search included, above those of the reference.
        accelerator_hours: Mean hours that a cell's trials held accelerators; None where not known.
        seconds_per_point: Seconds divided by points gained; None where nothing is gained.
        interval: Of `seconds_per_point`, from the ends of the gain's interval; infinite where that
            reaches zero.
    """

    gain: Difference
    seconds: float
    accelerator_hours: float | None
    seconds_per_point: float | None
    interval: Interval | None

    @property
    def accelerator_hours_per_point(self) -> float | None:
        """Accelerator hours divided by points gained; None where either is missing."""
        points = 100 * self.gain.accuracy.value
        if self.accelerator_hours is None or points <= 0:
            return None
        return self.accelerator_hours / points


def worth_over(scores: Scores, rows: Sequence[ResultRow], reference: Point) -> tuple[Worth, ...]:
    """One value per other point that shares a seed with the reference and reports seconds."""
    base = _mean([row.search_seconds for row in _of(rows, reference)])
    if base is None or not scores.has(reference):
        return ()
    found = []
    for point in scores.points:
        gain = None if point == reference else difference(scores, point, reference)
        seconds = _mean([row.search_seconds for row in _of(rows, point)])
        if gain is not None and seconds is not None:
            hours = _mean([row.accelerator_seconds for row in _of(rows, point)])
            found.append(_worth(gain, max(0.0, seconds - base), hours))
    return tuple(found)


def _of(rows: Sequence[ResultRow], point: Point) -> list[ResultRow]:
    return [row for row in rows if row.is_finished and (row.regime, row.size) == point]


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _worth(gain: Difference, seconds: float, accelerator_seconds: float | None) -> Worth:
    points = 100 * gain.accuracy.value
    ends = gain.accuracy.interval
    interval = None
    if points > 0 and ends is not None:
        dearest = inf if ends.low <= 0 else seconds / (100 * ends.low)
        interval = Interval(low=seconds / (100 * ends.high), high=dearest)
    return Worth(
        gain=gain,
        seconds=seconds,
        accelerator_hours=None if accelerator_seconds is None else accelerator_seconds / 3600,
        seconds_per_point=seconds / points if points > 0 else None,
        interval=interval,
    )
