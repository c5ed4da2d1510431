"""The decoder's loss: cross-entropy of every next word, without ever holding the scores of all.

N tokens, E units, V words, F = E + 1 inputs: the bias is the weight of one more input that is 1.

At 13,000 words the decoder is two thirds of a small model's arithmetic, and with whole matrices
[N, V] it waits for memory most of the time. Here a few hundred rows at a time are scored,
normalised and turned into gradients while they are in the cache: three matrix products and three
passes over the scores, twice as fast on a CPU as `F.cross_entropy(F.linear(...))` and equal to it
up to rounding. (torch's own `F.linear_cross_entropy` does this from 2.13 on, at about the same
speed, where options are passed; without them it is the two calls above.)
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

CPU_ROWS = 256
"""Rows at a time: enough for full speed of the matrix products, few enough for the cache."""

GPU_ROWS = 4096
"""A GPU needs more rows to be busy; at 60,000 words their scores take 1 GB."""


def _rows(device: torch.device) -> int:
    return CPU_ROWS if device.type == "cpu" else GPU_ROWS


def _compute_dtype(x: Tensor) -> torch.dtype:
    """The dtype of matrix products: autocast's where it is on."""
    kind = x.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype


class _DecoderLoss(torch.autograd.Function):
    """Sum of cross-entropies; gradients are made on the way, backward only scales them."""

    @staticmethod
    def forward(ctx: Any, x_NF: Tensor, weight_VF: Tensor, targets_N: Tensor) -> Tensor:
        dx_NF = torch.empty_like(x_NF)
        dweight_VF = torch.zeros_like(weight_VF, dtype=torch.float32)
        total = x_NF.new_zeros((), dtype=torch.float32)
        size = _rows(x_NF.device)
        for x, dx, targets in zip(
            x_NF.split(size), dx_NF.split(size), targets_N.split(size), strict=True
        ):
            p, loss = _probabilities(x, weight_VF, targets)
            total += loss
            p[torch.arange(len(p), device=p.device), targets] -= 1
            p = p.to(x.dtype)
            torch.mm(p, weight_VF, out=dx)
            _add_product(dweight_VF, p.t(), x)
        ctx.save_for_backward(dx_NF, dweight_VF)
        return total

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:  # type: ignore[override]
        dx_NF, dweight_VF = ctx.saved_tensors
        return dx_NF * grad, dweight_VF * grad, None


def _probabilities(x: Tensor, weight_VF: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Probability of every word for some rows, in fp32, and the sum of their cross-entropies."""
    scores = torch.mm(x, weight_VF.t()).float()
    torch.log_softmax(scores, 1, out=scores)
    loss = -scores.gather(1, targets[:, None]).sum()
    return scores.exp_(), loss


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
    dtype = _compute_dtype(x_NE)
    x_NF = torch.cat([x_NE, x_NE.new_ones(len(x_NE), 1)], 1).to(dtype)
    weight_VF = torch.cat([weight_VE, bias_V[:, None]], 1).to(dtype)
    with torch.autocast(x_NE.device.type, enabled=False):
        total: Tensor = _DecoderLoss.apply(x_NF, weight_VF, targets_N)  # type: ignore[no-untyped-call]
    return total / len(targets_N)
