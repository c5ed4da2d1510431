"""General: which general language model the regimes `ulm` and `ulm+domain` start from.

The `general` section of a spec comes in as a frozen, self-checking value; what is asked of it is
whether weights exist already and, where they do not, which corpus they are pretrained on.
"""

from dataclasses import dataclass
from pathlib import Path

from sweeps.spec.rules import require
from ulm.text.corpora import TABLE_KINDS, CorpusSource

GENERAL_ENCODERS = ("wikitext-103", "encoder")
MOST_SHARED = 0.05  # of the domain's documents, before general text is said to hold them
WIKITEXT103_SIZES = (400, 1152, 3)  # embedding, hidden, layers of fastai's weights


@dataclass(frozen=True, kw_only=True, slots=True)
class GeneralSpec:
    """The general language model: fastai's WikiText-103 weights, a saved encoder, or a corpus.

    Args:
        kind: `wikitext-103` (fastai's pretrained weights), `encoder` (a folder saved by
            `ulm.Encoder.save`), or any corpus kind, which is pretrained on once.
        path: Folder or file, for the kinds that need one.
        text_column: Column with the text, for csv, parquet and jsonl.
        documents: Documents to generate, for `synthetic-general`.
        epochs: Pretraining epochs over the general corpus.
        minimum_steps: Pretraining lasts at least this many optimiser steps.
    """

    kind: str = "wikitext-103"
    path: Path | None = None
    text_column: str = "text"
    documents: int | None = None
    epochs: int = 10
    minimum_steps: int = 0

    def __post_init__(self) -> None:
        require(
            (self.path is None) or self.kind != "wikitext-103",
            "path has no effect with kind wikitext-103; use kind encoder to load a folder",
        )
        require(
            self.kind != "encoder" or self.path is not None,
            "path is needed with kind encoder: the folder a saved encoder lies in",
        )
        require(self.epochs >= 1, f"epochs must be at least 1, found {self.epochs}")
        require(self.minimum_steps >= 0, f"minimum_steps must be >= 0, found {self.minimum_steps}")
        self.source  # noqa: B018  checks kind and path

    @property
    def is_pretrained(self) -> bool:
        """Whether the weights exist already, so that nothing is trained."""
        return self.kind in GENERAL_ENCODERS

    def is_of(self, corpus: CorpusSource) -> bool:
        """Whether the text to pretrain on is that of a domain corpus."""
        return not self.is_pretrained and (self.kind, self.path) == (corpus.kind, corpus.path)

    @property
    def source(self) -> CorpusSource | None:
        """The corpus to pretrain on; None where the weights exist already."""
        if self.is_pretrained:
            return None
        return CorpusSource(
            kind=self.kind,
            path=self.path,
            text_column=self.text_column,
            label_column=None if self.kind in TABLE_KINDS else "label",
            documents=self.documents,
        )
