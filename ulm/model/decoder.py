"""The decoder's loss: cross-entropy of every next word, without ever holding the scores of all.

N tokens, E units, V words; F = E + 2 inputs: the units, a 1 whose weight is the bias, and a shift
of all scores of the token, whose weight is 1.

At 13,000 words the decoder is two thirds of a small model's arithmetic, and over whole matrices
[N, V] it waits for memory most of the time. Here a few hundred tokens at a time are scored and
turned into gradients in the same piece of memory, so that backward only scales. Two passes over the
scores are left beside the three matrix products: the score of the right word is subtracted as part
of the first product, so that exponentials need no other shift, and they are summed. They are powers
of two, whose function is vectorised everywhere: the weight is that of scores in bits, not in nats.
The weight's gradient is made from hidden states less their mean, whose part is added in fp32: as
long as all states are nearly alike, what tells them apart would be lost in the rounding of bf16.
Equal to `F.cross_entropy(F.linear(...))` up to rounding; a GPU does it as `gpu_decoder` says.
(`F.linear_cross_entropy`, torch 2.13, cuts into chunks only where options are passed.)
"""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from ulm.model.gpu_decoder import gpu_decoder_loss, gpu_decoder_score
from ulm.model.precision import compute_dtype
from ulm.model.products import add_product, product

ROWS = 512
"""Tokens at a time, about: enough for full speed of the products, few enough for the cache."""

ROWS_SUMMED = 16
"""Tokens whose bf16 exponentials are summed at a time: torch copies them, which is little so."""

LOG2_E = math.log2(math.e)

LARGEST_SUM = 1e30
"""Where the right word has less than 1e-30, the largest score is the shift instead; also where all
exponentials vanish, because scores are too large for the shift to be exact."""


def _widened(
    x_NE: Tensor, weight_VE: Tensor, bias_V: Tensor, targets_N: Tensor, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """Inputs [N, F] and weight [V, F] of scores in bits, the weight in a dtype.

    That of the right word is near 0.
    """
    ones_V1 = torch.ones_like(bias_V)[:, None]
    weight_VF = torch.cat([weight_VE * LOG2_E, bias_V[:, None] * LOG2_E, ones_V1], 1)
    tail_N2 = x_NE.new_tensor([1.0, 0.0]).expand(len(x_NE), 2)
    x_NF = torch.cat([x_NE, tail_N2], 1)
    x_NF[:, -1] = -(x_NF * weight_VF[targets_N]).sum(1)
    return x_NF, weight_VF.to(dtype)


def _shifted(scores: Tensor, targets: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Exponentials of some tokens' scores, their sums and the losses; overwrites the scores."""
    right = scores.gather(1, targets[:, None]).float()
    e = scores.exp2_()
    at_a_time = len(e) if e.dtype == torch.float32 else ROWS_SUMMED
    sums = torch.cat(
        [rows.sum(1, keepdim=True, dtype=torch.float32) for rows in e.split(at_a_time)]
    )
    return e, sums, (sums.log2() - right).sum() / LOG2_E


def _normalised(scores: Tensor, targets: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The same with probabilities, whatever the scores: more passes."""
    logs = torch.log_softmax(scores.float() / LOG2_E, 1)
    loss = -logs.gather(1, targets[:, None]).sum()
    return logs.exp_().to(scores.dtype), logs.new_ones(len(logs), 1), loss


class _DecoderLoss(torch.autograd.Function):
    """Sum of cross-entropies; the gradients are made on the way."""

    @staticmethod
    def forward(
        ctx: Any,
        x_NE: Tensor,
        weight_VE: Tensor,
        bias_V: Tensor,
        targets_N: Tensor,
        dtype: torch.dtype,
    ) -> Tensor:
        x_NF, weight_VF = _widened(x_NE, weight_VE, bias_V, targets_N, dtype)
        wide, units = torch.promote_types(dtype, torch.float32), x_NE.shape[1]
        mean_E = x_NE.mean(0, dtype=wide)
        centred_NF = (x_NF - F.pad(mean_E, (0, 2))).to(wide)
        x_NF = x_NF.to(dtype)
        dx_NF = torch.empty_like(x_NF, dtype=wide)
        num_parts = max(1, round(len(x_NF) / ROWS))
        rows = -(-len(x_NF) // num_parts)
        dweight_FV = torch.zeros(weight_VF.shape[::-1], dtype=wide)
        room = x_NF.new_empty(rows, len(weight_VF))
        total = torch.zeros(())
        for x, centred, dx, targets in zip(
            *(tensor.split(rows) for tensor in (x_NF, centred_NF, dx_NF, targets_N)), strict=True
        ):
            e, sums, loss = _shifted(product(x, weight_VF.t(), room[: len(x)]), targets)
            least, most = sums.aminmax()
            if not (least > 1 / LARGEST_SUM and most < LARGEST_SUM):  # also if it is no number
                scores = product(x, weight_VF.t(), room[: len(x)])
                e, sums, loss = _normalised(scores, targets)
            total += loss
            torch.div(product(e, weight_VF), sums, out=dx)
            dweight_FV = add_product(dweight_FV, (centred / sums).to(dtype).t(), e)
        dx_NF = (dx_NF - weight_VF[targets_N]) / LOG2_E
        dweight_VF = dweight_FV.t().contiguous()
        dweight_VF.index_add_(0, targets_N, centred_NF, alpha=-1)
        dweight_VF[:, :units].addr_(dweight_VF[:, units], mean_E)
        ctx.save_for_backward(dx_NF[:, :units], dweight_VF[:, :units], dweight_VF[:, units])
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        return *(gradient * grad for gradient in ctx.saved_tensors), None, None


def decoder_loss(x_NE: Tensor, weight_VE: Tensor, bias_V: Tensor, targets_N: Tensor) -> Tensor:
    """Mean cross-entropy of `F.linear(x, weight, bias)`, in nats and fp32.

    Under autocast the matrix products and the exponentials are in its dtype, sums in fp32.

    Args:
        x_NE: Hidden states, [N, E].
        weight_VE: Weight of the decoder, [V, E].
        bias_V: Its bias, [V].
        targets_N: Next words, [N].
    """
    dtype = compute_dtype(x_NE)
    summed = _DecoderLoss.apply if x_NE.device.type == "cpu" else gpu_decoder_loss
    with torch.autocast(x_NE.device.type, enabled=False):
        total: Tensor = summed(x_NE, weight_VE, bias_V, targets_N, dtype)
    return total / len(targets_N)


@torch.no_grad()
def decoder_score(
    x_NE: Tensor, weight_VE: Tensor, bias_V: Tensor, targets_N: Tensor
) -> tuple[Tensor, Tensor]:
    """Summed cross-entropy, and how many words have the highest score; no gradients.

    On a CPU in fp32 under autocast too: bf16 has ties.

    Args:
        x_NE: Hidden states, [N, E].
        weight_VE: Weight of the decoder, [V, E].
        bias_V: Its bias, [V].
        targets_N: Next words, [N].
    """
    dtype = compute_dtype(x_NE)
    with torch.autocast(x_NE.device.type, enabled=False):
        if x_NE.device.type != "cpu":
            return gpu_decoder_score(x_NE, weight_VE, bias_V, targets_N, dtype)
        loss, correct = torch.zeros(()), torch.zeros(())
        x_NE = x_NE.to(weight_VE.dtype)
        for x, targets in zip(x_NE.split(ROWS), targets_N.split(ROWS), strict=True):
            scores = product(x, weight_VE.t()).add_(bias_V)
            loss += F.cross_entropy(scores, targets, reduction="sum")
            correct += (scores.argmax(1) == targets).sum()
    return loss, correct
