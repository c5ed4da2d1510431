"""Spread: how much means of paired points vary, and by what (numpy).

Accuracies by point and seed come in, and per-document hits where they are kept; variances and half
widths of 95 % intervals go out. The interval is Student's t over paired seeds plus a part for the
choice of test documents, because a percentile bootstrap of two to five seeds holds the truth far
too rarely (docs/statistics.md). Legend: P points, S seeds, D documents, K contrasts.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

from sweeps.answer.estimates import LEVEL, Floats


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Spread:
    """Variance of the means of P points over S seeds, split by its source.

    Args:
        num_seeds: S.
        seeds: float64 [P, P], sample covariance over seeds divided by S; zero with one seed.
        documents: float64 [P, P], what the choice of test documents adds to it.
        single: float64 [P, P], what that choice brings to one seed's accuracies: `documents`, and
            what is in `seeds`. No less than what is expected from it is counted in all.
        is_known: Whether anything says how much the means vary.
        is_bound: Whether `documents` is the most that they may add: points of weights with one
            sign vary together, those with the other by themselves.
        unit: What an accuracy is known to where nothing else says how much test documents bring: a
            seed's variance is its square at least.
    """

    num_seeds: int
    seeds: Floats
    documents: Floats
    single: Floats
    is_known: bool
    is_bound: bool = False
    unit: float = 0.0

    def half_widths(
        self, weights: Floats, level: float = LEVEL, *, run: Floats | None = None
    ) -> Floats:
        """Half of the interval of each contrast, see `_quantile`.

        Args:
            weights: float64 [K, P].
            level: Of the quantile; two-sided 95 % where nothing else is asked for.
            run: float64 [K], variance of one run more around the contrast, where the interval is
                to hold that run; see `run_variances`.

        Returns:
            float64 [K]; infinite where nothing is known.
        """
        if not self.is_known:
            return np.full(len(weights), np.inf)
        around = np.zeros(len(weights)) if run is None else run
        if self.is_bound:
            most = np.sqrt(np.diag(self.documents))
            above, below = (np.maximum(sign * weights, 0.0) @ most for sign in (1, -1))
            documents = above**2 + below**2
            seeds = self._of_seeds(weights) + around
            # of few seeds' intervals documents make some narrower
            with_them = _half_widths(seeds, documents, self.num_seeds, level)
            without = _half_widths(seeds, np.zeros_like(seeds), self.num_seeds, level)
            return np.asarray(np.maximum(with_them, without))
        seeds = self._of_seeds(weights)
        shared, single = (_variances(weights, part) for part in (self.documents, self.single))
        # seeds that agree by chance say nothing of the documents
        least = shared + (single - shared) / self.num_seeds
        documents = np.maximum(shared, least - seeds)
        if run is not None:
            documents = np.maximum(documents, single - run)
        # where documents count for more, the quantile is smaller
        halves = (
            _half_widths(seeds + around, part, self.num_seeds, level)
            for part in (shared, documents)
        )
        return np.asarray(np.maximum(*halves))

    def run_variances(self, weights: Floats) -> Floats:
        """float64 [K]: how much one run, which varies as these seeds, scatters around contrasts."""
        return self.num_seeds * self._of_seeds(weights)

    def _of_seeds(self, weights: Floats) -> Floats:
        least = self.unit**2 * (weights**2).sum(axis=1) / self.num_seeds
        return np.asarray(np.maximum(_variances(weights, self.seeds), least))

    def with_seeds(self, num_seeds: int) -> "Spread":
        """What it would be with so many seeds that vary as these; documents stay what they are."""
        part = self.num_seeds / num_seeds
        return replace(self, num_seeds=num_seeds, seeds=self.seeds * part)


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
    documents, single = nothing, nothing
    if hits is not None:
        floor = _unseen_errors(hits, seen)
        documents, single = (np.maximum(part, floor) for part in document_spread(hits, seen))
    return Spread(
        num_seeds=num_seeds,
        seeds=seeds,
        documents=documents,
        single=single,
        is_known=num_seeds > 1 or hits is not None,
    )


def _covariance(columns: Floats) -> Floats:
    centred = columns - columns.mean(axis=1, keepdims=True)
    return np.asarray(centred @ centred.T / (columns.shape[1] - 1))


def document_spread(
    hits: NDArray[np.bool_], seen: NDArray[np.bool_] | None
) -> tuple[Floats, Floats]:
    """Variance that documents add without what they add by seed; what they bring to one seed.

    The first is the mean covariance of two seeds' accuracies: only documents that both were scored
    on bring any. Where all share theirs that is the mean square of documents minus that of the
    interaction in a crossed design without replication (Brennan 2001, chapter 2). The second is the
    mean variance of a seed's accuracy.
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
    return (whole - own) / (num_seeds * (num_seeds - 1)), own / num_seeds


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
