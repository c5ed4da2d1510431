"""The decoder's loss: cross-entropy of every next word, without ever holding the scores of all.

N tokens, E units, V words; F = E + 2 inputs: the units, a 1 whose weight is the bias, and a shift
of all scores of the token, whose weight is 1.

At 13,000 words the decoder is two thirds of a small model's arithmetic, and over whole matrices
[N, V] it waits for memory most of the time. Here a few hundred tokens at a time are scored and
turned into gradients while they are in the cache, so that backward only scales. One pass over the
scores is left beside the three matrix products: the score of the right word is subtracted as part
of the first product, so that exponentials need no other shift, and the second product sums them by
the way. Equal to `F.cross_entropy(F.linear(...))` up to rounding, 2.5 times as fast at E = 100 on a
CPU; a GPU does it as `gpu_decoder` says. (`F.linear_cross_entropy`, torch 2.13, cuts into chunks
only where options are passed.)
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ulm.model.gpu_decoder import gpu_decoder_loss, gpu_decoder_score
from ulm.model.precision import compute_dtype

ROWS = 256
"""Tokens at a time: enough for full speed of the products, few enough for the cache."""

LARGEST_SUM = 1e30
"""Where the right word has less than 1e-30, the largest score is the shift instead."""


def _widened(
    x_NE: Tensor, weight_VE: Tensor, bias_V: Tensor, targets_N: Tensor, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """Inputs [N, F] and weight [V, F]; shifts are only worth it in fp32."""
    ones_V1 = torch.ones_like(bias_V)[:, None]
    weight_VF = torch.cat([weight_VE, bias_V[:, None], ones_V1], 1)
    tail_N2 = x_NE.new_tensor([1.0, 0.0]).expand(len(x_NE), 2)
    x_NF = torch.cat([x_NE, tail_N2], 1).to(dtype)
    if dtype == torch.float32:
        x_NF[:, -1] = -(x_NF * weight_VF[targets_N]).sum(1)
    return x_NF, weight_VF.to(dtype)


def _shifted(x: Tensor, weight_VF: Tensor, room: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Exponentials of some tokens' shifted scores, times the weight, their sums, the losses."""
    e = torch.mm(x, weight_VF.t(), out=room[: len(x)]).exp_()
    product = torch.mm(e, weight_VF)
    sums = product[:, -1:].clone()
    return e, product, sums, sums.log().sum()


def _normalised(
    x: Tensor, weight_VF: Tensor, targets: Tensor, room: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The same with probabilities, whatever the scores: two more passes."""
    scores = torch.mm(x, weight_VF.t(), out=room[: len(x)]).float()
    torch.log_softmax(scores, 1, out=scores)
    loss = -scores.gather(1, targets[:, None]).sum()
    p = scores.exp_().to(x.dtype)
    return p, torch.mm(p, weight_VF), x.new_ones(len(x), 1), loss


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
        fast = dtype == torch.float32
        dx_NF = torch.empty_like(x_NF)
        dweight_VF = torch.zeros_like(weight_VF, dtype=torch.float32)
        total = torch.zeros((), device=x_NE.device)
        size = min(len(x_NE), ROWS)
        room = x_NF.new_empty(size, len(weight_VF))  # new pages for every chunk would cost a third
        for x, dx, targets in zip(
            x_NF.split(size), dx_NF.split(size), targets_N.split(size), strict=True
        ):
            found = _shifted(x, weight_VF, room) if fast else None
            if found is None or not found[2].max() < LARGEST_SUM:  # also where it is not a number
                found = _normalised(x, weight_VF, targets, room)
            e, product, sums, loss = found
            total += loss
            torch.div(product, sums, out=dx)
            _add_product(dweight_VF, e.t(), x / sums)
        dx_NF -= weight_VF[targets_N]
        dweight_VF.index_add_(0, targets_N, x_NF.float(), alpha=-1)
        units = x_NE.shape[1]
        ctx.save_for_backward(dx_NF[:, :units], dweight_VF[:, :units], dweight_VF[:, units])
        return total

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        return *(gradient * grad for gradient in ctx.saved_tensors), None, None


def _add_product(total: Tensor, a: Tensor, b: Tensor) -> None:
    if a.dtype == total.dtype:
        total.addmm_(a, b)
    else:
        total += torch.mm(a, b)


def decoder_loss(x_NE: Tensor, weight_VE: Tensor, bias_V: Tensor, targets_N: Tensor) -> Tensor:
    """Mean cross-entropy of `F.linear(x, weight, bias)`, in nats and fp32.

    Under autocast the matrix products run in its dtype, all sums in fp32.

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

    Args:
        x_NE: Hidden states, [N, E].
        weight_VE: Weight of the decoder, [V, E].
        bias_V: Its bias, [V].
        targets_N: Next words, [N].
    """
    if x_NE.device.type != "cpu":
        dtype = compute_dtype(x_NE)
        with torch.autocast(x_NE.device.type, enabled=False):
            return gpu_decoder_score(x_NE, weight_VE, bias_V, targets_N, dtype)
    loss, correct = torch.zeros(()), torch.zeros(())
    size = min(len(x_NE), ROWS)
    for x, targets in zip(x_NE.split(size), targets_N.split(size), strict=True):
        scores = F.linear(x, weight_VE, bias_V)
        loss += F.cross_entropy(scores, targets, reduction="sum")
        correct += (scores.argmax(1) == targets).sum()
    return loss, correct
