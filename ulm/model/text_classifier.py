"""The text classifier of ULMFiT (Howard & Ruder 2018): an AWD-LSTM, concat pooling, a small head.

B batch, T time, E embedding and last layer, C classes.
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ulm.model.architecture import NO_DROPOUT, Architecture, AwdLstm, State


class PoolingHead(nn.Module):
    """Concat pooling [last, max, mean] and two dense layers (ULMFiT, section 3.3).

    Args:
        embedding: Units E of the encoder's output.
        hidden: Units of the dense layer between.
        classes: Number of classes C.
        dropout: Probability before the first dense layer.
        hidden_dropout: Probability before the second.
    """

    def __init__(
        self,
        *,
        embedding: int,
        classes: int,
        dropout: float,
        hidden: int = 50,
        hidden_dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.norm_in = nn.BatchNorm1d(3 * embedding)
        self.dense_in = nn.Linear(3 * embedding, hidden, bias=False)
        self.norm_out = nn.BatchNorm1d(hidden)
        self.dense_out = nn.Linear(hidden, classes, bias=False)
        self.dropout = dropout
        self.hidden_dropout = hidden_dropout

    def forward(self, pooled_BP: Tensor) -> Tensor:
        """Class scores [B, C] of pooled states [B, 3E]; not in 16 bits, in which scores tie."""
        with torch.autocast(pooled_BP.device.type, enabled=False):
            x = pooled_BP.to(self.dense_in.weight.dtype)
            x = F.dropout(self.norm_in(x), self.dropout, self.training)
            x = F.relu(self.dense_in(x))
            x = F.dropout(self.norm_out(x), self.hidden_dropout, self.training)
            scores: Tensor = self.dense_out(x)
        return scores


def concat_pool(out_BTE: Tensor, real_BT: Tensor, last_B: Tensor) -> Tensor:
    """[last, max, mean] of each document's states.

    Args:
        out_BTE: Encoder outputs.
        real_BT: True where a position holds a word of the document and not padding.
        last_B: Position of each document's last word.

    Returns:
        [B, 3E].
    """
    keep_BT1 = real_BT[:, :, None]
    dtype = torch.promote_types(out_BTE.dtype, torch.float32)  # 16 bits count to 256
    mean_BE = (out_BTE * keep_BT1).sum(1, dtype=dtype) / real_BT.sum(1, keepdim=True).to(dtype)
    max_BE = out_BTE.masked_fill(~keep_BT1, -torch.inf).amax(1)
    rows_B = torch.arange(out_BTE.shape[0], device=out_BTE.device)
    return torch.cat([out_BTE[rows_B, last_B], max_BE, mean_BE], 1)


class TextClassifier(nn.Module):
    """AWD-LSTM with concat pooling, trained by BPTT for text classification (BPT3C).

    Args:
        encoder: The AWD-LSTM.
        head: From pooled states to class scores.
        bptt: Tokens per window; gradients stay inside a window.
        maximum_tokens: Windows that end earlier than this many tokens before the end of the batch
            carry state but are neither pooled nor back-propagated (fastai's `max_len`).
    """

    def __init__(
        self, encoder: AwdLstm, head: PoolingHead, *, bptt: int, maximum_tokens: int
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head
        self.bptt = bptt
        self.maximum_tokens = maximum_tokens

    def forward(self, ids_BT: Tensor, lengths: list[int]) -> tuple[Tensor, Tensor]:
        """Class scores of a padded batch.

        Args:
            ids_BT: Documents longest first, padded as `ulm.training.batches.pad_documents` does:
                whole windows of padding before, the rest after.
            lengths: Words of each document, on the host.

        Returns:
            Scores [B, C], and the pooled windows' outputs [B, T', E] for the regulariser.
        """
        out_BTE, first = self.encode(ids_BT, lengths)
        return self.head(self.pool(out_BTE, first, ids_BT.shape[1], lengths)), out_BTE

    def pool(self, out_BTE: Tensor, first: int, width: int, lengths: list[int]) -> Tensor:
        """What the head sees: pooled states [B, 3E].

        Args:
            out_BTE: Outputs of the windows that are pooled.
            first: Position of their first in the batch.
            width: Positions of the batch.
            lengths: Words of each document.
        """
        starts = [(width - n) // self.bptt * self.bptt for n in lengths]
        lengths_B = torch.tensor(lengths, device=out_BTE.device)
        starts_B = torch.tensor(starts, device=out_BTE.device)
        positions_T = torch.arange(first, width, device=out_BTE.device)
        real_BT = (positions_T >= starts_B[:, None]) & (
            positions_T < (starts_B + lengths_B)[:, None]
        )
        return concat_pool(out_BTE, real_BT, starts_B + lengths_B - 1 - first)

    def encode(self, ids_BT: Tensor, lengths: list[int]) -> tuple[Tensor, int]:
        """Outputs of the windows that are pooled, and the position of their first.

        Masks of words and of recurrent weights are those of the whole batch, where fastai draws
        them for each window; those of units are drawn for each window.
        """
        batch, width = ids_BT.shape
        starts = [(width - n) // self.bptt * self.bptt for n in lengths]
        shared = self.encoder.draw_masks(1)
        weights = self.encoder.layer_weights(shared, batch)
        state = self.encoder.initial_state(0)
        outs: list[Tensor] = []
        first = 0
        for begin in range(0, width, self.bptt):
            rows = sum(start <= begin for start in starts)
            state = _grow(state, rows)
            window = ids_BT[:rows, begin : begin + self.bptt]
            masks = self.encoder.draw_masks(rows, shared=shared)
            if width - begin > self.maximum_tokens:
                with torch.no_grad():
                    _, state = self.encoder(window, state, masks, weights)
                first = begin + self.bptt
                continue
            out, state = self.encoder(window, state, masks, weights)
            outs.append(F.pad(out, (0, 0, 0, 0, 0, batch - rows)))
        return torch.cat(outs, 1), first

    def layer_groups(self) -> list[list[nn.Parameter]]:
        """Embedding, each LSTM layer, head (fastai `awd_lstm_clas_split`)."""
        layers = [list(layer.parameters()) for layer in self.encoder.layers]
        return [[self.encoder.embedding.weight], *layers, list(self.head.parameters())]


def fitted_classifier(
    weights: Mapping[str, Tensor],
    architecture: Architecture,
    *,
    num_words: int,
    num_classes: int,
    bptt: int,
    maximum_tokens: int,
) -> TextClassifier:
    """A classifier with the weights of a fitted one, without dropout: to score, not to train.

    Args:
        weights: Its `state_dict`.
        architecture: Sizes of its encoder.
        num_words: Size of its vocabulary.
        num_classes: Number of classes C.
        bptt: Window length.
        maximum_tokens: As for `TextClassifier`.
    """
    model = TextClassifier(
        AwdLstm(architecture, num_words, NO_DROPOUT),
        PoolingHead(embedding=architecture.embedding, classes=num_classes, dropout=0.0),
        bptt=bptt,
        maximum_tokens=maximum_tokens,
    )
    model.load_state_dict(weights)
    return model


def _grow(state: State, rows: int) -> State:
    """State for `rows` documents: those that begin now start from zeros."""
    return [
        (
            F.pad(hidden, (0, 0, 0, rows - hidden.shape[1])),
            F.pad(cell, (0, 0, 0, rows - cell.shape[1])),
        )
        for hidden, cell in state
    ]
