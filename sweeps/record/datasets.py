"""Datasets: the corpora of a sweep as a tracking server lists what a run has read (pure).

A token array comes in; name, digest, size and where it comes from go out. No text does.
"""

import json
from dataclasses import asdict, dataclass, replace

from sweeps.spec.cells import Cell
from ulm.text.tokens import TokenArray

MAX_DIGEST = 36  # characters that MLflow keeps


@dataclass(frozen=True, kw_only=True, slots=True)
class Dataset:
    """What a run has read.

    Args:
        name: Name of the corpus.
        digest: The beginning of its fingerprint.
        source: The whole fingerprint and the classes, as JSON.
        profile: Its size, as JSON.
        context: What it was read for.
    """

    name: str
    digest: str
    source: str
    profile: str
    context: str


def dataset_of(tokens: TokenArray, context: str) -> Dataset:
    """A corpus as a dataset.

    Args:
        tokens: The corpus.
        context: What it is read for.
    """
    source = {"corpus": tokens.name, "fingerprint": tokens.fingerprint}
    size = {"documents": tokens.num_documents, "tokens": tokens.num_tokens}
    return Dataset(
        name=tokens.name,
        digest=tokens.fingerprint[:MAX_DIGEST],
        source=json.dumps({**source, "classes": list(tokens.label_names)}),
        profile=json.dumps({**size, "left_out": asdict(tokens.left_out)}),
        context=context,
    )


def part_of(dataset: Dataset, cell: Cell) -> Dataset:
    """The part of the domain corpus that a cell has read."""
    what = "labels alone" if cell.size is None else f"{cell.size:,} documents"
    return replace(dataset, context=f"{what}, seed {cell.seed}")
