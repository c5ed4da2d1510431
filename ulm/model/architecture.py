"""The AWD-LSTM (Merity et al. 2017) as fastai sizes it, and its language model.

B batch, T time, V vocabulary, E embedding and last layer, H hidden, L layers.

Token ids go in, hidden states come out; state between windows is passed, never kept in the module.
Same mathematics as fastai's `AWD_LSTM`, with two savings that change no result: embedding dropout
masks only the rows looked up, and the decoder never holds the scores of all words (`decoder`).
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ulm.errors import UlmError, require_at_least
from ulm.model.decoder import decoder_loss, decoder_score
from ulm.model.lstm import LayerState, LayerWeights, run_lstm
from ulm.text.vocabulary import PADDING

State = list[LayerState]
"""Hidden and cell state of each layer, each of shape [1, B, H or E]."""


def flat(state: State) -> list[Tensor]:
    """Hidden and cell state of one layer after the other."""
    return [tensor for pair in state for tensor in pair]


def paired(tensors: Sequence[Tensor]) -> State:
    """What `flat` took apart."""
    return list(zip(tensors[::2], tensors[1::2], strict=True))


INITIAL_RANGE = 0.1


@dataclass(frozen=True, kw_only=True, slots=True)
class Architecture:
    """Sizes of an AWD-LSTM; the defaults are those of fastai's WikiText-103 model.

    Args:
        embedding: Units of the embedding and of the last layer.
        hidden: Units of the other layers.
        layers: Number of LSTM layers.
    """

    embedding: int = 400
    hidden: int = 1152
    layers: int = 3

    def __post_init__(self) -> None:
        require_at_least(1, self, "embedding", "hidden", "layers")

    @property
    def layer_sizes(self) -> tuple[tuple[int, int], ...]:
        """(inputs, outputs) of each LSTM layer."""
        widths = [self.embedding, *[self.hidden] * (self.layers - 1), self.embedding]
        return tuple(pairwise(widths))


@dataclass(frozen=True, kw_only=True, slots=True)
class Dropouts:
    """Dropout probabilities of an AWD-LSTM."""

    input: float
    hidden: float
    weight: float
    embedding: float
    output: float

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not 0 <= value < 1:
                raise UlmError(
                    f"dropout {name} must be in [0, 1), found {value}: lower the multiplier"
                )

    def scaled(self, multiplier: float) -> "Dropouts":
        """Every probability times `multiplier` (fastai's `drop_mult`)."""
        return Dropouts(**{name: value * multiplier for name, value in asdict(self).items()})


LANGUAGE_MODEL_DROPOUTS = Dropouts(input=0.25, hidden=0.15, weight=0.2, embedding=0.02, output=0.1)
"""fastai's `awd_lstm_lm_config`."""

CLASSIFIER_DROPOUTS = Dropouts(input=0.4, hidden=0.3, weight=0.5, embedding=0.05, output=0.4)
"""fastai's `awd_lstm_clas_config`; `output` is the head's first dropout."""

NO_DROPOUT = Dropouts(input=0, hidden=0, weight=0, embedding=0, output=0)


def draw_mask(like: Tensor, shape: tuple[int, ...], probability: float) -> Tensor:
    """Zeros, and else what keeps the mean; never in 16 bits, in which 1 / 0.95 is 1.0547.

    Args:
        like: Tells device and dtype.
        shape: Of the mask.
        probability: Of a zero.
    """
    dtype = torch.promote_types(like.dtype, torch.float32)
    mask = torch.empty(shape, dtype=dtype, device=like.device)
    if like.device.type == "cpu":
        return _drawn_on_cpu(mask, 1 - probability)
    return mask.bernoulli_(1 - probability).div_(1 - probability)


def _drawn_on_cpu(mask: Tensor, keep: float) -> Tensor:
    """Fills a mask; numpy's generator and 16 bits a number take a fifth of `bernoulli_`'s time."""
    seed = int(torch.randint(2**63 - 1, ()))  # whose generator is kept with what a training saves
    words = np.random.SFC64(seed).random_raw(-(-mask.numel() // 4))
    numbers = torch.from_numpy(words.view(np.int16)[: mask.numel()]).view(mask.shape)
    kept = max(1, round(keep * 2**16))
    return torch.ge(numbers, 2**15 - kept, out=mask).mul_(2**16 / kept)


def locked_dropout(x_BTE: Tensor, probability: float, training: bool) -> Tensor:
    """Dropout with one mask for all time steps of a sequence (Gal & Ghahramani 2016)."""
    if not training or probability == 0:
        return x_BTE
    return x_BTE * draw_mask(x_BTE.detach(), (x_BTE.shape[0], 1, x_BTE.shape[2]), probability)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Masks:
    """What a window is multiplied by: zeros where something is dropped. None drops nothing.

    Args:
        words: For embedding rows, [V, 1].
        inputs: For the units of the embedding, [B, 1, E].
        weights: For the recurrent weights of each layer, [4H, H].
        hidden: For the outputs of each layer but the last, [B, 1, H].
    """

    words: Tensor | None
    inputs: Tensor | None
    weights: list[Tensor | None]
    hidden: list[Tensor | None]


def _masked(x: Tensor, mask: Tensor | None) -> Tensor:
    return x if mask is None else x * mask


class AwdLstm(nn.Module):
    """Embedding and LSTM layers with AWD-LSTM's dropouts.

    Args:
        architecture: Sizes.
        vocabulary: Number of words V.
        dropouts: Probabilities, already scaled.
    """

    def __init__(self, architecture: Architecture, vocabulary: int, dropouts: Dropouts) -> None:
        super().__init__()
        self.architecture = architecture
        self.dropouts = dropouts
        # the row of padding gets no gradient of its own
        self.embedding = nn.Embedding(vocabulary, architecture.embedding, padding_idx=PADDING)
        nn.init.uniform_(self.embedding.weight, -INITIAL_RANGE, INITIAL_RANGE)
        self.layers: Any = nn.ModuleList(
            nn.LSTM(inputs, outputs, batch_first=True)
            for inputs, outputs in architecture.layer_sizes
        )

    def initial_state(self, batch: int) -> State:
        """Zeros for `batch` sequences."""
        like = self.embedding.weight
        return [
            (like.new_zeros(1, batch, outputs), like.new_zeros(1, batch, outputs))
            for _, outputs in self.architecture.layer_sizes
        ]

    def forward(
        self,
        ids_BT: Tensor,
        state: State,
        masks: Masks | None = None,
        weights: list[LayerWeights] | None = None,
    ) -> tuple[Tensor, State]:
        """Runs one window.

        Args:
            ids_BT: Word ids, [B, T].
            state: State after the window before.
            masks: Dropout; drawn here where None.
            weights: What `layer_weights` made of these masks, for several windows; made here
                where None.

        Returns:
            Outputs of the last layer [B, T, E], and the state after this window, detached:
            gradients do not cross windows.
        """
        masks = masks or self.draw_masks(len(ids_BT))
        weights = weights or self.layer_weights(masks, len(ids_BT))
        x = _masked(self._embed(ids_BT, masks.words), masks.inputs)
        after: State = []
        for layer, before, hidden in zip(weights, state, [*masks.hidden, None], strict=True):
            x, new = run_lstm(layer, x, before, hidden)
            after.append((new[0].detach(), new[1].detach()))
        return x, after

    def draw_masks(self, batch: int, *, shared: Masks | None = None) -> Masks:
        """Draws the dropout of a window; none where the model is evaluated.

        Args:
            batch: Sequences B of the window.
            shared: Where the masks of words and weights come from instead of being drawn.
        """
        like = self.embedding.weight.detach()
        dropouts = self.dropouts

        def drawn(probability: float, *shape: int) -> Tensor | None:
            off = not self.training or probability == 0
            return None if off else draw_mask(like, shape, probability)

        words = (
            shared.words if shared else drawn(dropouts.embedding, self.embedding.num_embeddings, 1)
        )
        inputs = drawn(dropouts.input, batch, 1, self.embedding.embedding_dim)
        weights: list[Tensor | None] = []
        hidden: list[Tensor | None] = []
        for _, outputs in self.architecture.layer_sizes:
            if not shared:
                weights.append(drawn(dropouts.weight, 4 * outputs, outputs))
            if len(hidden) < self.architecture.layers - 1:
                hidden.append(drawn(dropouts.hidden, batch, 1, outputs))
        return Masks(
            words=words, inputs=inputs, weights=shared.weights if shared else weights, hidden=hidden
        )

    def layer_weights(self, masks: Masks, rows: int) -> list[LayerWeights]:
        """Weights of the layers, dropped, for windows of at most so many sequences."""
        return [
            LayerWeights(layer, mask, rows)
            for layer, mask in zip(self.layers, masks.weights, strict=True)
        ]

    def _embed(self, ids_BT: Tensor, mask_V1: Tensor | None) -> Tensor:
        embedding = self.embedding
        x_BTE = F.embedding(ids_BT, embedding.weight, embedding.padding_idx)
        return x_BTE if mask_V1 is None else x_BTE * F.embedding(ids_BT, mask_V1)


class LanguageModel(nn.Module):
    """AWD-LSTM with a decoder whose weight is the embedding's.

    Args:
        encoder: The AWD-LSTM.
    """

    def __init__(self, encoder: AwdLstm) -> None:
        super().__init__()
        self.encoder = encoder
        self.bias = nn.Parameter(torch.zeros(encoder.embedding.num_embeddings))

    def forward(self, ids_BT: Tensor, state: State) -> tuple[Tensor, Tensor, State]:
        """Hidden states before and after output dropout, both [B, T, E], and the new state."""
        raw_BTE, after = self.encoder(ids_BT, state)
        return raw_BTE, locked_dropout(raw_BTE, self.encoder.dropouts.output, self.training), after

    def loss(self, out_BTE: Tensor, targets_BT: Tensor) -> Tensor:
        """Mean cross-entropy of the next words, in nats."""
        weight = self.encoder.embedding.weight
        return decoder_loss(out_BTE.flatten(0, 1), weight, self.bias, targets_BT.flatten())

    def score(self, out_BTE: Tensor, targets_BT: Tensor) -> tuple[Tensor, Tensor]:
        """Summed cross-entropy of the next words, and how many are the most probable."""
        weight = self.encoder.embedding.weight
        return decoder_score(out_BTE.flatten(0, 1), weight, self.bias, targets_BT.flatten())

    def layer_groups(self) -> list[list[nn.Parameter]]:
        """Each LSTM layer, then the tied embedding with the bias (fastai `awd_lstm_lm_split`)."""
        groups = [list(layer.parameters()) for layer in self.encoder.layers]
        return [*groups, [self.encoder.embedding.weight, self.bias]]
