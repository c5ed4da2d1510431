"""Context: what every trial of a sweep shares, and the documents and words of one cell.

A picklable `TrialContext` travels to the workers; there `Materials` opens the token arrays (mapped
into memory, once per process; from a bucket fetched first, once per machine) and answers which
documents, labels and words a cell may use.
"""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sweeps.paths import below
from sweeps.run.draws import Draws, Indices, general_text
from sweeps.run.node_cache import cached
from sweeps.spec.cells import Cell
from sweeps.spec.values import SweepSpec
from ulm.seeding import seed_for
from ulm.text.subsets import Split
from ulm.text.tokens import Documents, TokenArray, load_tokens
from ulm.text.vocabulary import SPECIAL_WORDS, Vocabulary, count_vocabulary, coverage, lookup


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialContext:
    """What every trial of a sweep shares.

    Args:
        spec: The sweep.
        domain: Folder of the domain corpus's token array.
        general: Folder of the general corpus's, where the general model is trained.
        encoders: Root of the encoder store.
        predictions: Folder or URI of the per-document test predictions.
        models: Folder or URI of the kept classifiers.
        tokens: URI of the folder that holds the token arrays, by the names of `domain` and
            `general`, for machines that do not share a disk; None to map them where they lie.
    """

    spec: SweepSpec
    domain: Path
    general: Path | None
    encoders: str
    predictions: str
    models: str
    tokens: str | None = None


@lru_cache(maxsize=2)
def _tokens(folder: Path, shared: str | None) -> TokenArray:
    return load_tokens(folder if shared is None else cached(below(shared, folder.name)))


def hash_of(documents: Indices) -> str:
    """SHA-256 of document indices and their order."""
    return hashlib.sha256(np.ascontiguousarray(documents, "<i8").tobytes()).hexdigest()


class Materials:
    """Documents, labels and words of one cell.

    Args:
        context: The sweep's.
        cell: The cell.
    """

    def __init__(self, context: TrialContext, cell: Cell) -> None:
        self._spec = context.spec
        self._context = context
        self._cell = cell
        if cell.is_general:
            assert context.general is not None, "a general cell has a general corpus"
        folder = context.general if cell.is_general and context.general else context.domain
        self.tokens = _tokens(folder, context.tokens)
        self._draws = Draws(
            spec=context.spec, cell=cell, parts=self.tokens.parts, labels=self.tokens.labels
        )

    @property
    def num_classes(self) -> int:
        """Number of classes C."""
        return len(self.tokens.label_names)

    @property
    def documents(self) -> Indices:
        """Documents the cell may read: its subset, or the general corpus."""
        context = self._context
        if self._cell.is_general and context.general is not None:
            return general_text(self.tokens, _tokens(context.domain, context.tokens)).documents
        return self._draws.subset.documents

    @property
    def labelled(self) -> Indices:
        """Documents whose labels the cell may use."""
        return self._draws.subset.labelled

    @property
    def test(self) -> Indices:
        """Documents that `final` scores."""
        return self._draws.test

    @property
    def label_splits(self) -> tuple[Split, ...]:
        """Labels to train and to choose on: one held-out share, or folds."""
        return self._draws.label_splits

    def seed(self, purpose: str) -> int:
        """A seed that all regimes and trials of the cell's seed share for a purpose."""
        return seed_for(purpose, self._cell.seed)

    def labels(self, documents: Indices) -> NDArray[np.int64]:
        """Class of each document."""
        return np.asarray(self.tokens.labels[documents], np.int64)

    def vocabulary(self, documents: Indices, fill: Vocabulary | None = None) -> Vocabulary:
        """The words of documents under the spec's rule; `fill` is the general model's."""
        model = self._spec.model
        return count_vocabulary(
            self.tokens.counts(documents),
            self.tokens.types,
            size=model.vocabulary,
            minimum_count=model.minimum_count,
            fill=fill if model.vocabulary_rule == "union" else None,
        )

    def encode(self, documents: Indices, vocabulary: Vocabulary) -> Documents:
        """Documents as the numbers of a vocabulary."""
        return self.tokens.encode(documents, lookup(vocabulary, self.tokens.types))

    def every_word(self, documents: Indices) -> Vocabulary:
        """Every word of documents, however rare; for `bow`."""
        types = self.tokens.types
        size = len(types) + len(SPECIAL_WORDS)
        return count_vocabulary(self.tokens.counts(documents), types, size=size, minimum_count=1)

    def coverage(self, vocabulary: Vocabulary, documents: Indices) -> float:
        """Share of documents' tokens that a vocabulary knows."""
        return coverage(vocabulary, self.tokens.counts(documents), self.tokens.types)
