"""Accumulation: one optimiser step from parts of a batch, for machines too small for the whole.

B batch, T time, E embedding. Rows of a batch are cut into parts that are computed one after the
other; the gradient is that of the whole batch (dropout draws aside). A language model's loss is a
mean over tokens, so its parts are separate losses. A classifier's head normalises over the whole
batch, so its encoder runs by parts under activation checkpointing and the head once.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from ulm.model.architecture import State
from ulm.model.text_classifier import TextClassifier


def row_parts(rows: int, parts: int) -> list[slice]:
    """Slices that cut rows into parts of almost equal size, fewer where there are fewer rows.

    Args:
        rows: Rows of a batch, at least 1.
        parts: Parts wanted, at least 1.
    """
    parts = min(parts, rows)
    ends = [rows * part // parts for part in range(parts + 1)]
    return [slice(begin, end) for begin, end in pairwise(ends)]


def state_of_rows(state: State, rows: slice) -> State:
    """The hidden and cell states of some rows of a batch."""
    return [(hidden[:, rows], cell[:, rows]) for hidden, cell in state]


def join_states(states: list[State]) -> State:
    """The states of a whole batch from those of its parts, in order."""
    return [
        (torch.cat([hidden for hidden, _ in layer], 1), torch.cat([cell for _, cell in layer], 1))
        for layer in zip(*states, strict=True)
    ]


def scores_in_parts(
    model: TextClassifier, ids_BT: Tensor, lengths: list[int], parts: int
) -> tuple[Tensor, Tensor]:
    """What the classifier's forward pass returns, holding the activations of one part at a time.

    Args:
        model: The classifier.
        ids_BT: A padded batch, as its forward pass takes it.
        lengths: Words of each document.
        parts: Parts the documents are cut into; each is run a second time going backward.

    Returns:
        Scores [B, C] and the pooled windows' outputs [B, T', E].
    """
    pooled: list[Tensor] = []
    outputs: list[Tensor] = []
    for rows in row_parts(len(lengths), parts):
        own = lengths[rows]
        empty = (ids_BT.shape[1] - max(own)) // model.bptt * model.bptt
        ids = ids_BT[rows, empty:]  # without the windows in which none of these has begun
        out_BTE, first = checkpoint(model.encode, ids, own, use_reentrant=False)
        pooled.append(model.pool(out_BTE, first, ids.shape[1], own))
        outputs.append(out_BTE)
    width = max(out.shape[1] for out in outputs)  # that of the longest document
    padded = [F.pad(out, (0, 0, width - out.shape[1], 0)) for out in outputs]
    return model.head(torch.cat(pooled)), torch.cat(padded)
