"""Classes: how frequent each is among the test documents, and what each cell makes of it (numpy).

Predictions and rows of a sweep come in; counts, the classes that each cell says, and the recall of
points go out. Where classes are uneven, an accuracy says little without them: half of the classes
may never be said, and it hardly shows.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from sweeps.answer.estimates import LEVEL, NORMAL_QUANTILE, Estimate, Interval
from sweeps.answer.predictions import Predicted
from sweeps.answer.results import ResultRow
from sweeps.answer.scores import Point, Scores
from sweeps.answer.spread import document_spread, make_spread, smoothed_variance

UNEVEN = 0.05  # above an equal share of every class
FEW = 5  # test documents: of fewer, one more found is over 20 points of recall
UNSEEN = -1  # in place of a label


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Classes:
    """The C classes of the test documents.

    Args:
        names: Of each class.
        share: Of the most frequent one among the test documents, mean over cells; 0.94 is 94 %.
        labels: Seed → int64 [D], the class of each of its test documents.
        said: Cell id → the classes that it says of any test document.
    """

    names: tuple[str, ...]
    share: float
    labels: Mapping[int, NDArray[np.int64]]
    said: Mapping[str, frozenset[int]]

    @property
    def counts(self) -> tuple[int, ...]:
        """Test documents of each class, at the seed that has the fewest of it."""
        counts = [np.bincount(own, minlength=len(self.names)) for own in self.labels.values()]
        return tuple(np.min(counts, axis=0).tolist())

    @property
    def is_uneven(self) -> bool:
        """Whether the most frequent class is clearly above an equal share."""
        return self.share > 1 / len(self.names) + UNEVEN

    @property
    def hides_some(self) -> bool:
        """Whether an accuracy may be high though classes are never found."""
        return self.is_uneven or len(self.names) > 2

    @property
    def constant(self) -> frozenset[str]:
        """Ids of the cells that say one class for every test document."""
        return frozenset(cell for cell, said in self.said.items() if len(said) == 1)

    def num_unsaid(self, rows: Iterable[ResultRow]) -> tuple[int, ...]:
        """How many classes that have test documents a cell never says, of each cell known."""
        present = {label for label, count in enumerate(self.counts) if count}
        return tuple(len(present - self.said[row.cell]) for row in rows if row.cell in self.said)

    def recalls(self, scores: Scores) -> dict[Point, Estimate]:
        """The mean over classes of the share of their test documents that are found, by point.

        Empty where some finished cell has no predictions.
        """
        is_whole = scores.hits is not None and scores.has_hits is None
        if not is_whole or not all(seed in self.labels for seed in scores.seeds):
            return {}
        assert scores.hits is not None, "it is whole"
        labels = np.stack([self.labels[seed] for seed in scores.seeds])
        if scores.seen is not None:
            placed = np.full(scores.seen.shape, UNSEEN)
            placed[scores.seen] = labels.ravel()
            labels = placed
        finished = np.isfinite(scores.values)
        return {
            point: _mean_recall(scores.hits[row, finished[row]], labels[finished[row]])
            for row, point in enumerate(scores.points)
        }


def _document_variances(
    hits: NDArray[np.bool_], own: NDArray[np.bool_], mean: float
) -> NDArray[np.float64]:
    """`documents` and `single` of a class's spread: its recall is an accuracy on its own documents.

    There may be few of them, and all be found by chance: what the smoothed variance has above that
    of single draws is added, and Student's quantile made up for. Fewer than `FEW` say nothing of
    their variance: no less is counted than if they were found as often as those of all classes.

    Args:
        hits: bool [S, D].
        own: bool [S, D], the documents of the class that each seed was scored on.
        mean: Recall over all classes, in [0, 1].
    """
    somewhere = own.any(axis=0)
    hits, own = (hits & own)[:, somewhere], own[:, somewhere]
    count = own.shape[1]
    variances = np.ravel(document_spread(hits[None], own))
    share = hits.sum() / own.sum()
    drawn = share * (1 - share) / max(count - 1, 1)
    variances += max(smoothed_variance(share * count, count) - drawn, 0.0)
    if count < FEW:
        return np.asarray(np.maximum(variances, mean * (1 - mean) / count))
    return np.asarray(variances * (stdtrit(count - 1, LEVEL) / NORMAL_QUANTILE) ** 2)


def _mean_recall(hits: NDArray[np.bool_], labels: NDArray[np.int64]) -> Estimate:
    """Recall, mean over classes, then over seeds.

    Documents are drawn class by class, so variances of classes add up; how frequent a class is
    must not count as chance, as it would in the variance of weighted documents.

    Args:
        hits: bool [S, D].
        labels: int64 [S, D], `UNSEEN` for the documents that a seed was not scored on.
    """
    classes = [labels == label for label in np.unique(labels[labels != UNSEEN])]
    counts = np.stack([own.sum(axis=1) for own in classes])
    found = np.stack([(hits & own).sum(axis=1) for own in classes])
    means = (found / np.maximum(counts, 1)).sum(axis=0) / (counts > 0).sum(axis=0)
    mean = float(means.mean())
    variances = [_document_variances(hits, own, mean) for own in classes]
    documents, single = np.sum(variances, axis=0).reshape(2, 1, 1) / len(classes) ** 2
    spread = replace(
        make_spread(means[None], None), documents=documents, single=single, is_known=True
    )
    half = float(spread.half_widths(np.ones((1, 1)))[0])
    interval = Interval(low=max(mean - half, 0.0), high=min(mean + half, 1.0))
    return Estimate(value=mean, interval=interval, num_seeds=len(means))


def find_classes(
    predicted: Mapping[str, Predicted], rows: Sequence[ResultRow], names: Sequence[str] = ()
) -> Classes | None:
    """Look at the predictions of cells; None where there are none.

    Args:
        predicted: Cell id → predictions.
        rows: Of the cells.
        names: Of the classes; they are numbered where there are none.
    """
    shares, labels, said, num_classes = [], {}, {}, 0
    for row in rows:
        found = predicted.get(row.cell)
        if found is None or not len(found.labels):
            continue
        num_classes = found.probabilities.shape[1]
        labels[row.seed] = found.labels
        said[row.cell] = frozenset(np.unique(found.probabilities.argmax(axis=1)).tolist())
        shares.append(np.bincount(found.labels).max() / len(found.labels))
    if not shares:
        return None
    return Classes(
        names=tuple(names) if len(names) == num_classes else tuple(map(str, range(num_classes))),
        share=float(np.mean(shares)),
        labels=labels,
        said=said,
    )
