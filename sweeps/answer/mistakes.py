"""Mistakes: which test documents more text sets right, and the errors made most surely (pure).

Predictions of one regime by size and seed come in; documents by index go out. A document counts as
learnt only where no seed had it right at the smallest size and every seed has it right at the
largest, and what was forgotten is counted the same way: a few of either come about by chance.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from sweeps.answer.estimates import Floats
from sweeps.answer.predictions import Predicted

SHOWN = 6


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """One test document.

    Args:
        document: Its index in the corpus.
        label: Its class.
        chances: (size, probability of its class, mean over seeds), ascending in size.
    """

    document: int
    label: int
    chances: tuple[tuple[int, float], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Mistaken:
    """A document that the largest size gets wrong.

    Args:
        document: Its index in the corpus.
        label: Its class.
        said: The class it was given.
        chance: Probability of that, mean over seeds.
    """

    document: int
    label: int
    said: int
    chance: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Mistakes:
    """What changes with size, and what stays wrong.

    Args:
        sizes: Sizes compared, ascending.
        num_seeds: Seeds that have all of them.
        num_documents: Test documents that all these cells scored.
        num_learnt: Wrong at the smallest size at every seed, right at the largest at every seed.
        num_forgotten: The reverse.
        num_never: Wrong at every size and seed.
        learnt: The learnt documents whose class gained most probability.
        surest: The most confident errors at the largest size, one class of answer by mean
            probability over seeds.
    """

    sizes: tuple[int, ...]
    num_seeds: int
    num_documents: int
    num_learnt: int
    num_forgotten: int
    num_never: int
    learnt: tuple[Judged, ...]
    surest: tuple[Mistaken, ...]


def find_mistakes(predicted: Mapping[int, Mapping[int, Predicted]]) -> Mistakes | None:
    """Compare the sizes of one regime.

    Args:
        predicted: Size → seed → predictions.

    Returns:
        None without a seed that has every size, or a document that all of them scored.
    """
    sizes = sorted(predicted)
    seeds = (
        [n for n in predicted[sizes[0]] if all(n in predicted[s] for s in sizes)] if sizes else []
    )
    cells = [[predicted[size][seed] for seed in seeds] for size in sizes]
    if not seeds:
        return None
    documents = reduce(np.intersect1d, (cell.documents for of_size in cells for cell in of_size))
    if not len(documents):
        return None
    labels = _of(cells[0][0], documents)[0]
    chances = np.array([[_of(cell, documents)[1] for cell in of_size] for of_size in cells])
    right = chances.argmax(axis=3) == labels  # [sizes, seeds, documents]
    return _compared(sizes, documents, labels, chances.mean(axis=1), right)


def _of(
    cell: Predicted, documents: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    places = np.searchsorted(cell.documents, documents)
    return cell.labels[places], cell.probabilities[places]


def _compared(
    sizes: Sequence[int],
    documents: NDArray[np.int64],
    labels: NDArray[np.int64],
    chances: Floats,
    right: NDArray[np.bool_],
) -> Mistakes:
    """Legend: chances [sizes, documents, classes], right [sizes, seeds, documents]."""
    first, last = right[0], right[-1]
    learnt = ~first.any(axis=0) & last.all(axis=0)
    of_label = chances[:, np.arange(len(labels)), labels]
    return Mistakes(
        sizes=tuple(sizes),
        num_seeds=right.shape[1],
        num_documents=len(documents),
        num_learnt=int(learnt.sum()),
        num_forgotten=int((first.all(axis=0) & ~last.any(axis=0)).sum()),
        num_never=int((~right.any(axis=(0, 1))).sum()),
        learnt=tuple(
            Judged(
                document=int(documents[place]),
                label=int(labels[place]),
                chances=tuple(
                    (size, float(of_label[index, place])) for index, size in enumerate(sizes)
                ),
            )
            for place in _largest(of_label[-1] - of_label[0], learnt)
        ),
        surest=_surest(documents, labels, chances[-1]),
    )


def _largest(values: Floats, among: NDArray[np.bool_]) -> list[int]:
    """Places of the largest values among some documents, the first of equal ones first."""
    places = np.flatnonzero(among)
    return [int(place) for place in places[np.argsort(-values[places], kind="stable")][:SHOWN]]


def _surest(
    documents: NDArray[np.int64], labels: NDArray[np.int64], chances: Floats
) -> tuple[Mistaken, ...]:
    said = chances.argmax(axis=1)
    sure = chances.max(axis=1)
    return tuple(
        Mistaken(
            document=int(documents[place]),
            label=int(labels[place]),
            said=int(said[place]),
            chance=float(sure[place]),
        )
        for place in _largest(sure, said != labels)
    )
