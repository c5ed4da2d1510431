"""Scores: test accuracies arranged by point and seed, and how sure their contrasts are (numpy).

Result rows come in, and per-document hits where they are kept; weighted sums of means go out with
95 % intervals. The interval is Student's t over paired seeds plus a part for the choice of test
documents, because a percentile bootstrap of two to five seeds holds the truth far too rarely (docs/
statistics.md). Legend: P points, S seeds, D documents, K contrasts, R draws.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

from sweeps.answer.results import ResultRow

Floats: TypeAlias = NDArray[np.float64]
Point: TypeAlias = tuple[str, int | None]
"""Regime and size; size None where the regime has no size axis."""

LEVEL = 0.975  # two-sided 95 %
EQUAL = 1e-9  # means of the same counts may differ by rounding
NORMAL_QUANTILE = 1.959963984540054


@dataclass(frozen=True, kw_only=True, slots=True)
class Interval:
    """A 95 % interval; an end may be infinite where the data set no limit."""

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
class Spread:
    """Variance of the means of P points over S seeds, split by its source.

    Args:
        num_seeds: S.
        seeds: float64 [P, P], sample covariance over seeds divided by S; zero with one seed.
        documents: float64 [P, P], what the choice of test documents adds to it.
        least: float64 [P, P], what documents bring at these very seeds: no less is counted in all.
        is_known: Whether anything says how much the means vary.
        is_bound: Whether `documents` is the most that they may add: points of weights with one
            sign vary together, those with the other by themselves.
    """

    num_seeds: int
    seeds: Floats
    documents: Floats
    least: Floats
    is_known: bool
    is_bound: bool = False

    def half_widths(self, weights: Floats, level: float = LEVEL) -> Floats:
        """Half of the interval of each contrast, see `_quantile`.

        Args:
            weights: float64 [K, P].
            level: Of the quantile; two-sided 95 % where nothing else is asked for.

        Returns:
            float64 [K]; infinite where nothing is known.
        """
        if not self.is_known:
            return np.full(len(weights), np.inf)
        if self.is_bound:
            most = np.sqrt(np.diag(self.documents))
            above, below = (np.maximum(sign * weights, 0.0) @ most for sign in (1, -1))
            documents = above**2 + below**2
            seeds = _variances(weights, self.seeds)
            # of few seeds' intervals documents make some narrower
            with_them = _half_widths(seeds, documents, self.num_seeds, level)
            without = _half_widths(seeds, np.zeros_like(seeds), self.num_seeds, level)
            return np.asarray(np.maximum(with_them, without))
        parts = (self.seeds, self.documents, self.least)
        seeds, documents, least = (_variances(weights, part) for part in parts)
        # seeds that agree by chance say nothing of the documents
        documents = np.maximum(documents, least - seeds)
        return _half_widths(seeds, documents, self.num_seeds, level)

    def with_seeds(self, num_seeds: int) -> "Spread":
        """What it would be with so many seeds that vary as these; documents stay what they are."""
        part = self.num_seeds / num_seeds
        return replace(
            self,
            num_seeds=num_seeds,
            seeds=self.seeds * part,
            least=self.documents + (self.least - self.documents) * part,
        )


def _variances(weights: Floats, part: Floats) -> Floats:
    """float64 [K], of contrasts [K, P] of means with covariances [P, P]."""
    return np.asarray(np.maximum(((weights @ part) * weights).sum(axis=1), 0.0))


def _half_widths(seeds: Floats, documents: Floats, num_seeds: int, level: float) -> Floats:
    total = seeds + documents
    share = np.divide(seeds, total, out=np.zeros_like(total), where=total > 0)
    return np.asarray(_quantile(share, num_seeds, level) * np.sqrt(total))


def _quantile(share: Floats, num_seeds: int, level: float) -> Floats:
    """A quantile where seeds, with S - 1 degrees of freedom, bring a share of the variance.

    The average of Student's quantile and the normal one with the variances as weights (Cochran &
    Cox 1957, section 4.14) is too wide where documents matter; Student's with the degrees of
    freedom of Satterthwaite (1946) is too narrow. From three seeds on their mean holds what it
    claims (docs/statistics.md); with two only the wider one comes near.

    Args:
        share: float64 [K], in [0, 1].
        num_seeds: S.
        level: Of the quantile.
    """
    normal = ndtri(level)
    if num_seeds == 1:
        return np.full_like(share, normal)
    freedom = num_seeds - 1
    wide = share * stdtrit(freedom, level) + (1 - share) * normal
    if num_seeds == 2:
        return np.asarray(wide)
    narrow = stdtrit(freedom / np.maximum(share, 1e-6) ** 2, level)
    return np.asarray((wide + narrow) / 2)


def make_spread(
    values: Floats, hits: NDArray[np.bool_] | None, seen: NDArray[np.bool_] | None = None
) -> Spread:
    """The spread of paired points.

    Args:
        values: float64 [P, S], accuracies.
        hits: bool [P, S, D], the documents behind them; None where they are unknown.
        seen: bool [S, D], those that each seed was scored on; None for all.
    """
    num_points, num_seeds = values.shape
    nothing = np.zeros((num_points, num_points))
    seeds = _covariance(values) / num_seeds if num_seeds > 1 else nothing
    documents, least = nothing, nothing
    if hits is not None:
        floor = _unseen_errors(hits, seen)
        documents, least = (np.maximum(part, floor) for part in document_spread(hits, seen))
    return Spread(
        num_seeds=num_seeds,
        seeds=seeds,
        documents=documents,
        least=least,
        is_known=num_seeds > 1 or hits is not None,
    )


def _covariance(columns: Floats) -> Floats:
    centred = columns - columns.mean(axis=1, keepdims=True)
    return np.asarray(centred @ centred.T / (columns.shape[1] - 1))


def document_spread(
    hits: NDArray[np.bool_], seen: NDArray[np.bool_] | None
) -> tuple[Floats, Floats]:
    """Variance that documents add without what they add by seed, which is in the seeds' part; all.

    The first is the mean covariance of two seeds' accuracies: only documents that both were scored
    on bring any. Where all share theirs that is the mean square of documents minus that of the
    interaction in a crossed design without replication (Brennan 2001, chapter 2).
    """
    num_points, num_seeds, _ = hits.shape
    seen = np.ones(hits.shape[1:], dtype=np.bool_) if seen is None else seen
    count = seen.sum(axis=1, keepdims=True)
    # one document differs from itself by nothing: 0 / 1
    scale = seen / np.sqrt(np.maximum(count * (count - 1), 1))
    centred = (hits - hits.sum(axis=2, keepdims=True) / np.maximum(count, 1)) * scale
    by_document = centred.sum(axis=1)
    whole = by_document @ by_document.T
    if num_seeds == 1:
        return whole, whole
    flat = centred.reshape(num_points, -1)
    own = flat @ flat.T
    return (whole - own) / (num_seeds * (num_seeds - 1)), whole / num_seeds**2


def smoothed_variance(right: Floats, num_documents: int) -> Floats:
    """Agresti & Coull's variance (1998) of a share: of two right and two wrong documents more."""
    share = (right + 2) / (num_documents + 4)
    return share * (1 - share) / (num_documents + 4)


def _unseen_errors(hits: NDArray[np.bool_], seen: NDArray[np.bool_] | None) -> Floats:
    """What to count at least where next to no document is wrong, or right, and none can vary.

    The smoothed variance, for each point that on average over seeds has less than one document
    wrong, or right.

    Returns:
        float64 [P, P], minus infinity off the diagonal and for other points.
    """
    num_documents = hits.shape[2] if seen is None else int(seen.any(axis=0).sum())
    scored = hits[0].size if seen is None else int(seen.sum())
    right = hits.sum(axis=(1, 2)) / scored * num_documents
    is_near = np.minimum(right, num_documents - right) < 1
    floor = np.full((len(hits), len(hits)), -np.inf)
    np.fill_diagonal(floor, np.where(is_near, smoothed_variance(right, num_documents), -np.inf))
    return floor


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
    """

    points: tuple[Point, ...]
    seeds: tuple[int, ...]
    values: Floats
    hits: NDArray[np.bool_] | None = None
    seen: NDArray[np.bool_] | None = None
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
        return replace(found, is_known=is_known)

    def _without_hits(self, spread: Spread, points: Sequence[Point]) -> Spread:
        """With what as many documents as other cells were scored on may add at most."""
        assert self.hits is not None, "other cells have theirs"
        number = self.hits.shape[2] if self.seen is None else int(self.seen.sum(axis=1).min())
        deviations = np.sqrt(smoothed_variance(self.means(*points) * number, number))
        most = np.outer(deviations, deviations)
        return replace(spread, documents=most, least=most, is_known=True, is_bound=True)

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

    def draws(self, points: Sequence[Point], num_draws: int) -> Floats:
        """Means drawn around those found, for what is not a weighted sum of them.

        Seeds' residuals get random weights whose sum follows Student's t, documents a normal part.
        Together they would be as much too wide as the wider quantile of `_quantile`, so all are
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
    hits = {row.cell: hits[row.cell] for row in finished if row.cell in hits} if hits else {}
    known = _of_one_length(hits)
    seed_of = {row.cell: row.seed for row in finished}
    if samples:  # that of a seed may be of the one file that is of another length
        known = {
            cell: hit
            for cell, hit in known.items()
            if len(samples.get(seed_of[cell], ())) == len(hit)
        }
    if not known:
        return Scores(points=points, seeds=seeds, values=values)
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


def _of_one_length(hits: Mapping[str, NDArray[np.bool_]]) -> Mapping[str, NDArray[np.bool_]]:
    """Those of the length that most have."""
    lengths = Counter(len(hit) for hit in hits.values())
    return {cell: hit for cell, hit in hits.items() if len(hit) == lengths.most_common(1)[0][0]}
