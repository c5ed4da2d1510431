"""Batches: a back-propagation stream for language models, bucketed documents for classifiers.

B batch, T time, N documents. Ragged documents of ids go in, padded numpy arrays come out. Orders
are drawn from a seeded generator per epoch: training resumed at an epoch sees the same batches.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ulm.text.tokens import Documents
from ulm.text.vocabulary import PADDING

BUCKET_BATCHES = 50
"""Documents are sorted by length within buckets of this many batches (fastai's `SortedDL`)."""

Ids = NDArray[np.int64]


def stream(documents: Documents, *, batch: int, order: NDArray[np.int64] | None = None) -> Ids:
    """All documents one after the other, cut into `batch` parallel streams.

    Args:
        documents: Encoded documents.
        batch: Parallel streams B; lowered where the text is too short to fill them.
        order: Order of the documents; as they are where None.

    Returns:
        [B, T + 1]: the columns 0 … T-1 are inputs, 1 … T their next words. The end that does not
        fill all streams is dropped, as fastai's `LMDataLoader` does.
    """
    ids = documents.ids if order is None else documents.take(order).ids
    ids = np.asarray(ids, np.int64)
    batch = max(1, min(batch, len(ids) - 1))
    length = (len(ids) - 1) // batch
    rows = np.arange(batch)[:, None] * length
    columns: Ids = ids[rows + np.arange(length + 1)]
    return columns


def num_windows(num_tokens: int, *, batch: int, bptt: int) -> int:
    """Windows, i.e. optimiser steps, of one pass over a stream of `num_tokens`."""
    batch = max(1, min(batch, num_tokens - 1))
    return max(1, -(-((num_tokens - 1) // batch) // bptt))


def pad_documents(documents: list[NDArray[np.int32]], *, bptt: int) -> Ids:
    """One batch [B, T] of documents that end together up to a window (fastai's `pad_chunk`).

    Args:
        documents: Ids of each document, longest first.
        bptt: Tokens per window; padding before a document is a whole number of windows.
    """
    width = max(len(ids) for ids in documents)
    padded = np.full((len(documents), width), PADDING, np.int64)
    for row, ids in zip(padded, documents, strict=True):
        start = (width - len(ids)) // bptt * bptt
        row[start : start + len(ids)] = ids
    return padded


def bucketed(
    lengths: NDArray[np.int64], *, batch: int, generator: np.random.Generator
) -> list[NDArray[np.int64]]:
    """One epoch of document batches of similar length, in random order.

    Args:
        lengths: Words of each document, [N].
        batch: Documents per batch. A last batch of one document is merged into the one before,
            because batch normalisation needs two.
        generator: Draws the order.

    Returns:
        Document indices of each batch, longest first within it.
    """
    order = generator.permutation(len(lengths))
    size = batch * BUCKET_BATCHES
    buckets = [order[at : at + size] for at in range(0, len(order), size)]
    by_length = np.concatenate(
        [bucket[np.argsort(-lengths[bucket], kind="stable")] for bucket in buckets]
    )
    batches = split_batches(by_length, batch)
    last = batches[-1]  # a document that joined it may be a longer one
    batches[-1] = last[np.argsort(-lengths[last], kind="stable")]
    return [batches[index] for index in generator.permutation(len(batches))]


def split_batches(order: NDArray[np.int64], batch: int) -> list[NDArray[np.int64]]:
    """Cuts an order into batches; a single document left over joins the batch before."""
    cuts = list(range(batch, len(order), batch))
    if cuts and len(order) - cuts[-1] == 1:
        cuts.pop()
    return np.split(order, cuts)


def num_batches(num_documents: int, *, batch: int) -> int:
    """Batches, i.e. optimiser steps, of one pass over labelled documents."""
    whole, left = divmod(num_documents, batch)
    return max(1, whole + (left > 1))


def by_length(
    lengths: NDArray[np.int64], *, batch: int, tokens: int = 2**15
) -> Iterator[NDArray[np.int64]]:
    """Batches for scoring: every document once, longest first, so that padding is least.

    Args:
        lengths: Words of each document, [N].
        batch: Documents per batch at most.
        tokens: Padded tokens per batch at most, which bounds the memory of long documents.
    """
    order = np.argsort(-lengths, kind="stable")
    at = 0
    while at < len(order):
        rows = max(1, min(batch, tokens // max(1, int(lengths[order[at]]))))
        yield order[at : at + rows]
        at += rows
