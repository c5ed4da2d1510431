"""Classes: how frequent each is among the test documents, and what each cell makes of it (numpy).

A sweep's paths and rows come in; counts, the classes that each cell says, and the recall of points
go out. Where classes are uneven, an accuracy says little without them: half of the classes may
never be said, and it hardly shows.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sweeps.answer.predictions import read_predictions
from sweeps.answer.results import ResultRow
from sweeps.answer.scores import Estimate, Point, Scores
from sweeps.paths import SweepPaths

UNEVEN = 0.05  # above an equal share of every class
FEW = 5  # test documents: of fewer, one more found is over 20 points of recall


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

        An accuracy in which documents are weighted so that every class counts the same; its
        interval is that of an accuracy. Empty where some finished cell has no predictions.
        """
        if scores.hits is None or not all(seed in self.labels for seed in scores.seeds):
            return {}
        each = np.stack([_weights(self.labels[seed]) for seed in scores.seeds])
        weights = each
        if scores.seen is not None:
            weights = np.zeros(scores.seen.shape)
            weights[scores.seen] = each.ravel()
        hits: Any = scores.hits * weights.astype(np.float32)
        means = hits.sum(axis=2) / each.shape[1]
        values = np.where(np.isfinite(scores.values), means, np.nan)
        weighted = replace(scores, values=values, hits=hits)
        return {point: weighted.contrast([point], [1.0]) for point in scores.points}


def _weights(labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Of each document, [D], with a mean of 1, and the same sum for every class."""
    counts = np.bincount(labels)
    return np.asarray(len(labels) / ((counts > 0).sum() * counts[labels]))


def find_classes(
    paths: SweepPaths, rows: Sequence[ResultRow], names: Sequence[str] = ()
) -> Classes | None:
    """Look at the predictions of finished cells; None where there are none.

    Args:
        paths: Where the sweep lies.
        rows: Its rows.
        names: Of the classes; they are numbered where there are none.
    """
    shares, labels, said, num_classes = [], {}, {}, 0
    for row in rows:
        found = read_predictions(paths.predictions(row.cell)) if row.is_finished else None
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
