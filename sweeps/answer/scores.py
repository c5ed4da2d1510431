"""Scores: test accuracies arranged by point and seed, and how sure their contrasts are (numpy).

Result rows come in, and per-document hits where they are kept; weighted sums of means go out with
95 % intervals. Legend: P points, S seeds, D documents, R draws.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from sweeps.answer.estimates import LEVEL, Estimate, Floats, Interval
from sweeps.answer.results import ResultRow
from sweeps.answer.spread import Spread, make_spread, smoothed_variance

Point: TypeAlias = tuple[str, int | None]
"""Regime and size; size None where the regime has no size axis."""

EQUAL = 1e-9  # means of the same counts may differ by rounding


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Scores:
    """Accuracies of points by seeds.

    Args:
        points: The P points, in the order of the rows.
        seeds: The S seeds.
        values: float64 [P, S]; NaN where a cell is not finished.
        hits: bool [P, S, D], which test documents were classified correctly; None where no cell
            says.
        has_hits: bool [P, S], which cells say; None for all that are finished.
        seen: bool [S, D], which of them each seed was scored on; None for all.
        num_documents: Fewest test documents of a cell, where no cell says which it had right.
    """

    points: tuple[Point, ...]
    seeds: tuple[int, ...]
    values: Floats
    hits: NDArray[np.bool_] | None = None
    seen: NDArray[np.bool_] | None = None
    num_documents: int | None = None
    has_hits: NDArray[np.bool_] | None = None
    _rows: Mapping[Point, int] = field(init=False, repr=False)
    _finished: NDArray[np.bool_] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_rows", {point: row for row, point in enumerate(self.points)})
        object.__setattr__(self, "_finished", np.isfinite(self.values))

    @property
    def draws_documents(self) -> bool:
        """Whether intervals reflect the choice of test documents by their predictions."""
        return self.hits is not None

    @property
    def shares_documents(self) -> bool:
        """Whether all seeds were scored on the same documents."""
        return self.seen is None

    def has(self, *points: Point) -> bool:
        """Whether some seed has all these points finished."""
        return self.count(*points) > 0

    def count(self, *points: Point) -> int:
        """Seeds that have all these points finished."""
        return self._common(points).size

    def settled(self) -> "Scores":
        """Without the points that one seed has where their regime has others with more.

        A cell that is finished early tells of its seed and not of its size: it is shown, and
        nothing is said of it.
        """
        most = {regime: 1 for regime, _ in self.points}
        for point in self.points:
            most[point[0]] = max(most[point[0]], self.count(point))
        kept = [p for p in self.points if self.count(p) > 1 or most[p[0]] == 1]
        rows = [self._rows[point] for point in kept]
        return replace(
            self,
            points=tuple(kept),
            values=self.values[rows],
            hits=None if self.hits is None else self.hits[rows],
            has_hits=None if self.has_hits is None else self.has_hits[rows],
        )

    def lacks_hits(self, point: Point, seed: int) -> bool:
        """Whether a finished cell does not say which documents it had right, where others do."""
        place = self._rows[point], self.seeds.index(seed)
        return self.has_hits is not None and not self.has_hits[place]

    def by_seed(self, point: Point) -> tuple[tuple[int, float], ...]:
        """(seed, accuracy) of one point, finished seeds only."""
        values = self.values[self._rows[point]]
        pairs = zip(self.seeds, values, strict=True)
        return tuple((seed, float(value)) for seed, value in pairs if np.isfinite(value))

    def paired(self, *points: Point) -> Floats:
        """float64 [points, seeds]: accuracies at the seeds that have all these points."""
        rows = [self._rows[point] for point in points]
        return self.values[rows][:, self._common(points)]

    def paired_hits(self, *points: Point) -> NDArray[np.bool_] | None:
        """Bool [points, seeds, D] at the seeds that have all these points; None if one has none."""
        rows, seeds = [self._rows[point] for point in points], self._common(points)
        is_missing = self.has_hits is not None and not self.has_hits[rows][:, seeds].all()
        return None if self.hits is None or is_missing else self.hits[rows][:, seeds]

    def means(self, *points: Point) -> Floats:
        """float64 [points]: means over the seeds that have all these points."""
        return np.asarray(self.paired(*points).mean(axis=1))

    def spread(self, *points: Point) -> Spread:
        """How much these means vary."""
        seen = None if self.seen is None else self.seen[self._common(points)]
        hits = self.paired_hits(*points)
        found = make_spread(self.paired(*points), hits, seen)
        if hits is None and self.hits is not None:
            found = self._without_hits(found, points)
        # beside points of several seeds documents alone would look like the surest of all
        is_known = found.is_known and (found.num_seeds > 1 or len(self.seeds) == 1)
        unit = 1 / self.num_documents if self.num_documents and found.num_seeds > 1 else 0.0
        return replace(found, is_known=is_known, unit=unit)

    def _without_hits(self, spread: Spread, points: Sequence[Point]) -> Spread:
        """With what as many documents as other cells were scored on may add at most."""
        assert self.hits is not None, "other cells have theirs"
        number = self.hits.shape[2] if self.seen is None else int(self.seen.sum(axis=1).min())
        deviations = np.sqrt(smoothed_variance(self.means(*points) * number, number))
        most = np.outer(deviations, deviations)
        return replace(spread, documents=most, single=most, is_known=True, is_bound=True)

    def contrast(
        self, points: Sequence[Point], weights: Sequence[float], level: float = LEVEL
    ) -> Estimate:
        """A weighted sum of the means of points, paired by seed, with its interval.

        The interval ends where accuracies in [0, 1] let the sum end.
        """
        row = np.asarray([weights], dtype=np.float64)
        spread = self.spread(*points)
        value, half = (
            float((row @ self.means(*points))[0]),
            float(spread.half_widths(row, level)[0]),
        )
        interval = None
        if spread.is_known:
            least, most = float(row[row < 0].sum()), float(row[row > 0].sum())
            interval = Interval(low=max(value - half, least), high=min(value + half, most))
        return Estimate(value=value, interval=interval, num_seeds=spread.num_seeds)

    def one_run(self, point: Point, level: float = LEVEL) -> Interval | None:
        """Where the accuracy of one run more is, with 95 %: a prediction interval.

        On documents of the same source at large, or on these where intervals know nothing of test
        documents; None with one seed.
        """
        spread, mean = self.spread(point), float(self.means(point)[0])
        if spread.num_seeds == 1:
            return None
        whole = np.ones((1, 1))
        half = float(spread.half_widths(whole, level, run=spread.run_variances(whole))[0])
        return Interval(low=max(mean - half, 0.0), high=min(mean + half, 1.0))

    def draws(self, points: Sequence[Point], num_draws: int) -> Floats:
        """Means drawn around those found, for what is not a weighted sum of them.

        Seeds' residuals get random weights whose sum follows Student's t, documents a normal part.
        Together they would be as much too wide as the wider quantile of `Spread`, so all are
        drawn in until the mean over the points is spread as its interval says.

        Returns:
            float64 [R, points].
        """
        values, spread = self.paired(*points), self.spread(*points)
        rng = np.random.default_rng(0)
        shape = (num_draws, values.shape[1])
        moved = np.zeros((num_draws, len(points)))
        if spread.num_seeds > 1:
            freedom = spread.num_seeds - 1
            residuals = values - values.mean(axis=1, keepdims=True)
            scale = np.sqrt(freedom / rng.chisquare(freedom, size=(num_draws, 1)))
            shift = rng.standard_normal(shape) @ residuals.T
            moved += scale * shift / np.sqrt(spread.num_seeds * freedom)
        sizes, axes = np.linalg.eigh(spread.documents)
        root = axes * np.sqrt(np.maximum(sizes, 0.0))
        moved += rng.standard_normal((num_draws, len(sizes))) @ root.T
        found = np.quantile(np.abs(moved.mean(axis=1)), 2 * LEVEL - 1)
        told = spread.half_widths(np.full((1, len(points)), 1 / len(points)))[0]
        return np.asarray(values.mean(axis=1) + moved * (told / found if found > 0 else 1.0))

    def _common(self, points: Sequence[Point]) -> NDArray[np.intp]:
        if any(point not in self._rows for point in points):
            return np.empty(0, dtype=np.intp)
        rows = [self._rows[point] for point in points]
        return np.flatnonzero(self._finished[rows].all(axis=0))


def _usable(
    hits: Mapping[str, NDArray[np.bool_]],
    seed_of: Mapping[str, int],
    samples: Mapping[int, NDArray[np.int64]] | None,
) -> dict[str, NDArray[np.bool_]]:
    """Hits of these cells: those of the length that most have, and that their seed's sample has."""
    own = {cell: hits[cell] for cell in seed_of if cell in hits}
    lengths = Counter(len(hit) for hit in own.values())
    known = {cell: hit for cell, hit in own.items() if len(hit) == lengths.most_common(1)[0][0]}
    if not samples:
        return known
    # the sample of a seed may be of the one file that is of another length
    sizes = {seed: len(documents) for seed, documents in samples.items()}
    return {cell: hit for cell, hit in known.items() if sizes.get(seed_of[cell]) == len(hit)}


def make_scores(
    rows: Sequence[ResultRow],
    hits: Mapping[str, NDArray[np.bool_]] | None = None,
    samples: Mapping[int, NDArray[np.int64]] | None = None,
) -> Scores:
    """Arrange finished rows.

    Args:
        rows: Rows of one sweep; unfinished ones leave a gap.
        hits: Cell id → bool [D], whether each test document was classified correctly, in an order
            of documents that all cells of a seed share. Where a cell has none, or another number
            of them than most, its intervals count what documents may add at most.
        samples: Seed → int64 [D], the documents of its hits, ascending; None where all seeds
            share them.
    """
    finished = [row for row in rows if row.is_finished and row.test_accuracy is not None]
    points = tuple(dict.fromkeys((row.regime, row.size) for row in finished))
    seeds = tuple(sorted({row.seed for row in finished}))
    values = np.full((len(points), len(seeds)), np.nan)
    places = [(points.index((row.regime, row.size)), seeds.index(row.seed)) for row in finished]
    for place, row in zip(places, finished, strict=True):
        values[place] = row.test_accuracy
    seed_of = {row.cell: row.seed for row in finished}
    known = _usable(hits or {}, seed_of, samples)
    if not known:
        counts = [row.test_documents for row in finished if row.test_documents]
        least = min(counts) if counts and len(counts) == len(finished) else None
        return Scores(points=points, seeds=seeds, values=values, num_documents=least)
    number = len(next(iter(known.values())))
    drawn = {seed_of[cell]: samples[seed_of[cell]] for cell in known} if samples else {}
    documents = np.unique(np.concatenate([np.arange(0 if drawn else number), *drawn.values()]))
    seen = np.stack([np.isin(documents, drawn.get(seed, documents)) for seed in seeds])
    arranged = np.zeros((*values.shape, len(documents)), dtype=np.bool_)
    has_hits = np.zeros(values.shape, dtype=np.bool_)
    for place, row in zip(places, finished, strict=True):
        if row.cell in known:
            arranged[place][seen[place[1]]] = known[row.cell]
            has_hits[place] = True
    return Scores(
        points=points,
        seeds=seeds,
        values=values,
        hits=arranged,
        seen=None if seen.all() else seen,
        has_hits=None if len(known) == len(finished) else has_hits,
    )
