"""Draws: which documents and labels each cell is given, from the parts and labels of a corpus.

A spec, a cell and two arrays come in; indices of documents go out. All draws depend on the cell's
seed alone, so regimes at one seed see the same documents and labels, and a sweep under another name
the same numbers. `check_draws` makes all of them before the first trial, and before any text is
tokenised where it is asked to: what a corpus can not give is known then.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from sweeps.spec.cells import Cell, make_cells
from sweeps.spec.values import SweepSpec
from ulm.seeding import seed_for
from ulm.text.listing import Part
from ulm.text.subsets import (
    Split,
    Subset,
    fold_labels,
    language_model_split,
    make_subset,
    sample_test,
    split_labels,
)
from ulm.text.tokens import TokenArray

Indices = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Draws:
    """What one cell of the grid is given of the domain corpus.

    Args:
        spec: The sweep.
        cell: The cell.
        parts: uint8 [N], part of each document.
        labels: int16 [N], label of each document.
        label_names: Names of the classes, for messages.
    """

    spec: SweepSpec
    cell: Cell
    parts: NDArray[np.uint8]
    labels: NDArray[np.int16]
    label_names: tuple[str, ...] = ()

    @property
    def subset(self) -> Subset:
        """Documents the cell may read, and those whose labels it may use."""
        num_labels = self.spec.labels.train
        return make_subset(
            self.parts,
            self.labels,
            num_labels=num_labels,
            size=self.cell.size or num_labels,
            seed=self.cell.seed,
            of_each=self.spec.labels.folds or 2,
        )

    @property
    def label_splits(self) -> tuple[Split, ...]:
        """Labels to train and to choose on: one held-out share, or folds."""
        budget, names = self.spec.labels, self.label_names
        given, seed = (self.subset.labelled, self.labels), seed_for("labels", self.cell.seed)
        if budget.folds is not None:
            return fold_labels(*given, folds=budget.folds, seed=seed, names=names)
        return (split_labels(*given, share=budget.validation, seed=seed, names=names),)

    @property
    def test(self) -> Indices:
        """Documents that `final` scores."""
        return sample_test(
            self.parts, self.labels, documents=self.spec.test.documents, seed=self.cell.seed
        )


def check_draws(
    spec: SweepSpec,
    parts: NDArray[np.uint8],
    labels: NDArray[np.int16],
    label_names: tuple[str, ...] = (),
) -> None:
    """Draw what every cell of the grid will be given.

    Args:
        spec: The sweep.
        parts: uint8 [N], part of each document of the domain corpus.
        labels: int16 [N], label of each.
        label_names: Names of the classes, for messages.

    Raises:
        SubsetError: Too few labels or documents, or no test part.
    """
    cells = [cell for cell in make_cells(spec) if not cell.is_general]
    labels_of_seeds: set[int] = set()
    for cell in {(cell.size, cell.seed): cell for cell in cells}.values():
        draws = Draws(spec=spec, cell=cell, parts=parts, labels=labels, label_names=label_names)
        if cell.size is not None:
            language_model_split(draws.subset.documents)
        if cell.seed not in labels_of_seeds:  # they and the test part are the same for every size
            labels_of_seeds.add(cell.seed)
            _ = draws.label_splits, draws.test


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class GeneralText:
    """The documents of a general corpus, held against those of the domain.

    Args:
        documents: int64 [n], those to pretrain on: all that repeat no test document.
        num_left_out: Those that do.
        share_of_domain: Share of the domain documents outside the test part that are among them.
    """

    documents: Indices
    num_left_out: int
    share_of_domain: float


@lru_cache(maxsize=1)
def general_text(general: TokenArray, domain: TokenArray) -> GeneralText:
    """Which documents two corpora share, whatever their files are called."""
    digests, own = (array.digests(np.arange(array.num_documents)) for array in (general, domain))
    is_test = domain.parts == Part.TEST
    repeats = np.isin(digests, own[is_test])
    return GeneralText(
        documents=np.flatnonzero(~repeats).astype(np.int64),
        num_left_out=int(repeats.sum()),
        share_of_domain=float(np.isin(own[~is_test], digests).mean()),
    )


def check_general(num_documents: int) -> None:
    """Draw the validation part of the general corpus.

    Raises:
        SubsetError: Too few documents.
    """
    language_model_split(np.arange(num_documents, dtype=np.int64))
