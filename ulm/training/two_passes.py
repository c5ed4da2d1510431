"""A classifier's training pass on a GPU: the states of all windows first, then all gradients.

B batch, T time, E embedding, R rows: one for each window of each document.

Gradients stay inside a window (BPT3C), so windows depend on each other by their states alone. One
window after the other, without gradients and as one graph, gives the state each begins with. Then
all windows are rows of one batch: an LSTM layer takes less than twice as long with 512 rows as with
32 (benchmarks/results_h200_202611.md). Going backward window by window would cost many times that.

Equal to `TextClassifier`'s own pass, masks included: those of words and of recurrent weights are
drawn for a batch, those of units for each window. (In bf16 but for rounding: states come from the
layer that is recorded, gradients from cuDNN's.)
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from ulm.model.architecture import Masks, flat, paired
from ulm.model.text_classifier import TextClassifier
from ulm.text.vocabulary import PADDING
from ulm.training.graphs import GraphedCalls


class TwoPasses:
    """Runs a classifier in training.

    Args:
        model: The classifier, in training mode.
        rows: Documents of a batch at most.
    """

    def __init__(self, model: TextClassifier, *, rows: int) -> None:
        assert model.training, "what is evaluated needs one pass"
        self.model = model
        self.rows = rows
        self._shared = model.encoder.draw_masks(1)
        self._window = GraphedCalls(self._run_window, model)

    def __call__(self, ids_BT: Tensor, lengths: list[int]) -> tuple[Tensor, Tensor]:
        """What the classifier's forward pass returns.

        Args:
            ids_BT: A padded batch, as the forward pass takes it.
            lengths: Words of each document.

        Returns:
            Scores [B, C] and the pooled windows' outputs [B, T', E].
        """
        self._share_new_masks()
        outs, first = self._encode(ids_BT, lengths)
        width = ids_BT.shape[1]
        out_BTE = torch.cat(outs, 1)[:, : width - first]
        return self.model.head(self.model.pool(out_BTE, first, width, lengths)), out_BTE

    def _share_new_masks(self) -> None:
        """Draws what a batch shares where the recorded window finds it."""
        new = self.model.encoder.draw_masks(1)
        for mask, drawn in zip(
            [self._shared.words, *self._shared.weights], [new.words, *new.weights], strict=True
        ):
            if mask is not None:
                assert drawn is not None, "the model is in training mode"
                mask.copy_(drawn)

    def _encode(self, ids_BT: Tensor, lengths: list[int]) -> tuple[list[Tensor], int]:
        """Outputs of the windows that are pooled, and the position of their first."""
        model, bptt = self.model, self.model.bptt
        batch, width = ids_BT.shape
        starts = [(width - n) // bptt * bptt for n in lengths]
        starts_B = torch.tensor(starts + [width] * (self.rows - batch), device=ids_BT.device)
        wide_BT = F.pad(ids_BT, (0, -width % bptt, 0, self.rows - batch), value=PADDING)
        first = -(-max(0, width - model.maximum_tokens) // bptt) * bptt
        state = flat(model.encoder.initial_state(self.rows))
        frozen = not any(p.requires_grad for p in model.encoder.parameters())
        outs: list[Tensor] = []
        windows: list[_Rows] = []
        for begin in range(0, width, bptt):
            ids = wide_BT[:, begin : begin + bptt]
            begun_1B1 = (starts_B < begin)[None, :, None]
            out, masks, before, state = self._window(ids, begun_1B1, *state)
            rows = sum(start <= begin for start in starts)
            if begin >= first and frozen:
                outs.append(_rows_of(out, rows, batch))
            elif begin >= first:
                windows.append(_Rows(ids, before, masks, rows))
        if not frozen:
            outs = [_rows_of(out, len(out), batch) for out in self._encode_again(windows)]
        return outs, first

    @torch.no_grad()
    def _run_window(
        self, ids_BT: Tensor, begun_1B1: Tensor, *state: Tensor
    ) -> tuple[Tensor, list[Tensor | None], list[Tensor], list[Tensor]]:
        """Outputs, masks, and the states before and after; documents begin with zeros."""
        before = [tensor * begun_1B1 for tensor in state]
        masks = self.model.encoder.draw_masks(len(ids_BT), shared=self._shared)
        out, after = self.model.encoder(ids_BT, paired(before), masks)
        return out, [masks.inputs, *masks.hidden], before, flat(after)

    def _encode_again(self, windows: list["_Rows"]) -> list[Tensor]:
        """Outputs of each window [rows, T, E], with gradients, from one batch of all."""
        ids_RT = torch.cat([window.ids for window in windows])
        state = [torch.cat(parts, 1) for parts in zip(*(w.state for w in windows), strict=True)]
        units = [
            None if parts[0] is None else torch.cat(parts)
            for parts in zip(*(w.masks for w in windows), strict=True)
        ]
        masks = Masks(
            words=self._shared.words,
            inputs=units[0],
            weights=self._shared.weights,
            hidden=units[1:],
        )
        out_RTE, _ = self.model.encoder(ids_RT, paired(state), masks)
        return list(out_RTE.split([len(window.ids) for window in windows]))


class _Rows:
    """Copies of what the documents of a window that have begun start from."""

    def __init__(
        self, ids: Tensor, state: list[Tensor], masks: list[Tensor | None], rows: int
    ) -> None:
        self.ids = ids[:rows]
        self.state = [tensor[:, :rows].clone() for tensor in state]
        self.masks = [None if mask is None else mask[:rows].clone() for mask in masks]


def _rows_of(out_BTE: Tensor, rows: int, batch: int) -> Tensor:
    """A copy of the first rows, and zeros for documents that have not begun."""
    return F.pad(out_BTE[:rows], (0, 0, 0, 0, 0, batch - rows)) + 0
