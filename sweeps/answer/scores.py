"""Scores: test accuracies arranged by point and seed, and their bootstrap (pure numpy).

Result rows come in, and per-document hits where they are kept; means with resampled means go out.
Seeds are drawn once for all points of a comparison, so whatever regimes share at a seed (labels,
documents, test set) cancels in their difference. Legend: R resamples, P points, S seeds,
D documents.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from sweeps.answer.results import ResultRow

Floats: TypeAlias = NDArray[np.float64]
Point: TypeAlias = tuple[str, int | None]
"""Regime and size; size None where the regime has no size axis."""

RESAMPLES = 2000
_CHUNK = 100  # resamples whose document weights are held at once: 10 MB for 25,000 documents


@dataclass(frozen=True, kw_only=True, slots=True)
class Interval:
    """A 95 % percentile interval."""

    low: float
    high: float

    @property
    def includes_zero(self) -> bool:
        """Whether zero is inside or on its edge."""
        return self.low <= 0 <= self.high


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """A value with its interval; None with one seed and no per-document hits."""

    value: float
    interval: Interval | None
    num_seeds: int


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Scores:
    """Accuracies of points by seeds.

    Args:
        points: The P points, in the order of the rows.
        seeds: The S seeds.
        values: float64 [P, S]; NaN where a cell is not finished.
        resampled: float64 [R, P, S]: accuracies with test documents drawn anew in each resample;
            `values` R times over where no hits were given.
        draws_documents: Whether `resampled` varies with test documents.
    """

    points: tuple[Point, ...]
    seeds: tuple[int, ...]
    values: Floats
    resampled: Floats
    draws_documents: bool

    def has(self, *points: Point) -> bool:
        """Whether some seed has all these points finished."""
        return self._common(points).size > 0

    def by_seed(self, point: Point) -> tuple[tuple[int, float], ...]:
        """(seed, accuracy) of one point, finished seeds only."""
        values = self.values[self.points.index(point)]
        pairs = zip(self.seeds, values, strict=True)
        return tuple((seed, float(value)) for seed, value in pairs if np.isfinite(value))

    def paired(self, *points: Point) -> Floats:
        """float64 [points, seeds]: accuracies at the seeds that have all these points."""
        rows = [self.points.index(point) for point in points]
        return self.values[rows][:, self._common(points)]

    def means(self, *points: Point) -> tuple[Floats, Floats]:
        """Means over the seeds that have all these points, and their bootstrap.

        Returns:
            float64 [points] and float64 [R, points]; each resample draws seeds (the same for all
            points) and, where hits are known, documents.
        """
        seeds = self._common(points)
        rows = [self.points.index(point) for point in points]
        resampled = self.resampled[:, rows][:, :, seeds]
        rng = np.random.default_rng(0)
        drawn = rng.integers(len(seeds), size=(resampled.shape[0], 1, len(seeds)))
        drawn = np.broadcast_to(drawn, resampled.shape)
        return self.paired(*points).mean(axis=1), np.take_along_axis(resampled, drawn, 2).mean(
            axis=2
        )

    def estimate(self, value: float, samples: Floats, num_seeds: int) -> Estimate:
        """A value with the 95 % percentile interval of its resamples [R]."""
        known = samples[np.isfinite(samples)]
        interval = None
        if known.size and (num_seeds > 1 or self.draws_documents):
            low, high = np.percentile(known, [2.5, 97.5])
            interval = Interval(low=float(low), high=float(high))
        return Estimate(value=float(value), interval=interval, num_seeds=num_seeds)

    def _common(self, points: Sequence[Point]) -> NDArray[np.intp]:
        if any(point not in self.points for point in points):
            return np.empty(0, dtype=np.intp)
        rows = [self.points.index(point) for point in points]
        return np.flatnonzero(np.isfinite(self.values[rows]).all(axis=0))


def _draw_documents(hits: NDArray[np.bool_], resamples: int) -> Floats:
    """float64 [R, cells]: accuracies on documents drawn with replacement, from hits [cells, D]."""
    num_documents = hits.shape[1]
    columns = hits.T.astype(np.float32)
    rng = np.random.default_rng(1)
    parts = []
    for start in range(0, resamples, _CHUNK):
        size = (min(_CHUNK, resamples - start), num_documents)
        drawn = rng.integers(num_documents, size=size)
        weights = np.stack([np.bincount(row, minlength=num_documents) for row in drawn])
        parts.append(weights.astype(np.float32) @ columns / num_documents)
    return np.concatenate(parts).astype(np.float64)


def make_scores(
    rows: Sequence[ResultRow],
    hits: Mapping[str, NDArray[np.bool_]] | None = None,
    *,
    resamples: int = RESAMPLES,
) -> Scores:
    """Arrange finished rows.

    Args:
        rows: Rows of one sweep; unfinished ones leave a gap.
        hits: Cell id → bool [D], whether each test document was classified correctly, in an order
            of documents that all cells of a seed share. Used only where every finished cell has
            them, in equal number.
        resamples: R.
    """
    finished = [row for row in rows if row.is_finished and row.test_accuracy is not None]
    points = tuple(dict.fromkeys((row.regime, row.size) for row in finished))
    seeds = tuple(sorted({row.seed for row in finished}))
    values = np.full((len(points), len(seeds)), np.nan)
    places = [(points.index((row.regime, row.size)), seeds.index(row.seed)) for row in finished]
    for place, row in zip(places, finished, strict=True):
        values[place] = row.test_accuracy
    resampled = np.broadcast_to(values, (resamples, *values.shape))
    known = [hits[row.cell] for row in finished if row.cell in hits] if hits else []
    is_whole = len(known) == len(finished) > 0 and len({hit.shape for hit in known}) == 1
    if is_whole:
        resampled = resampled.copy()
        resampled[:, *np.transpose(places)] = _draw_documents(np.stack(known), resamples)
    return Scores(
        points=points,
        seeds=seeds,
        values=values,
        resampled=resampled,
        draws_documents=is_whole,
    )
