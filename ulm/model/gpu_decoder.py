"""The decoder's loss on a GPU: three matrix products, and one pass over the scores between them.

N tokens, E units, V words; F inputs: the units, a 1 whose weight is the bias, and zeros up to a
multiple of 8, which tensor cores need; W words, likewise.

Written with torch's own operations, scores [N, V] cross the memory a dozen times, half of them in
fp32, which takes longer than the products. A Triton kernel reads a row of scores twice (the second
time from the cache) and leaves the gradient in its place.
"""

import logging
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ulm.model.precision import ALIGNED, aligned

try:
    import triton
    from triton import language as tl
except ImportError:  # torch for CPUs and for Windows comes without
    triton = None

_log = logging.getLogger(__name__)

ROOM_BYTES = 3 * 2**28
"""Scores held at a time; products of more tokens at once are not faster."""

BLOCK = 8192
WARPS = 16

if triton is not None:

    @triton.jit
    def _finish_rows(  # type: ignore[no-untyped-def]  # Triton's own language
        scores, targets, losses, correct, words, width, GRADIENTS: tl.constexpr, BLOCK: tl.constexpr
    ):
        """One row: its loss, whether it is right, and its gradient in place of its scores."""
        row = tl.program_id(0).to(tl.int64)
        scores += row * width
        target = tl.load(targets + row)
        right = tl.load(scores + target).to(tl.float32)
        lanes = tl.arange(0, BLOCK)
        shift = -1e30
        total = tl.zeros([BLOCK], tl.float32)
        beaten = tl.zeros([BLOCK], tl.int32)
        for begin in range(0, words, BLOCK):
            columns = begin + lanes
            x = tl.load(scores + columns, mask=columns < words, other=float("-inf")).to(tl.float32)
            largest = tl.maximum(shift, tl.max(x, 0))
            total = total * tl.exp(shift - largest) + tl.exp(x - largest)
            shift = largest
            beats = (x > right) | ((x == right) & (columns < target))  # of equals the first is it
            beaten += beats.to(tl.int32)
        norm = shift + tl.log(tl.sum(total, 0))
        tl.store(losses + row, norm - right)
        tl.store(correct + row, tl.sum(beaten, 0) == 0)
        if GRADIENTS:
            for begin in range(0, width, BLOCK):
                columns = begin + lanes
                inside = columns < words
                x = tl.load(scores + columns, mask=inside, other=float("-inf")).to(tl.float32)
                gradient = tl.exp(x - norm) - tl.where(columns == target, 1.0, 0.0)
                tl.store(scores + columns, gradient, mask=columns < width)


@cache
def _has_kernel() -> bool:
    """Whether the kernel can be built here: Triton is there and has a C compiler."""
    if triton is None:
        return False
    row = torch.zeros(1, ALIGNED, device="cuda")
    target = torch.zeros(1, dtype=torch.int64, device="cuda")
    loss, correct = row.new_zeros(1), target.to(torch.bool)
    try:
        _finish_rows[(1,)](
            row,
            target,
            loss,
            correct,
            ALIGNED,
            ALIGNED,
            GRADIENTS=True,
            BLOCK=BLOCK,
            num_warps=WARPS,
        )
    except torch.OutOfMemoryError:  # passes, and says nothing of the kernel
        raise
    except Exception as error:  # whatever a compiler, linker or driver says
        _log.warning(
            "the decoder's kernel can not be built, training goes on without it, slower (%s: %s); "
            "a C compiler on this machine is what it needs",
            type(error).__name__,
            error,
        )
        return False
    return True


def _finish(
    scores_NW: Tensor,
    targets_N: Tensor,
    losses_N: Tensor,
    correct_N: Tensor,
    words: int,
    *,
    gradients: bool,
) -> None:
    """Fills in losses and which words are right; replaces scores by gradients if asked to."""
    if scores_NW.is_cuda and _has_kernel():
        _finish_rows[(len(scores_NW),)](
            scores_NW,
            targets_N,
            losses_N,
            correct_N,
            words,
            scores_NW.shape[1],
            GRADIENTS=gradients,
            BLOCK=BLOCK,
            num_warps=WARPS,
        )
        return
    logs_NV = torch.log_softmax(scores_NW[:, :words].float(), 1)
    losses_N.copy_(-logs_NV.gather(1, targets_N[:, None])[:, 0])
    correct_N.copy_(scores_NW[:, :words].argmax(1) == targets_N)
    if gradients:
        scores_NW[:, :words] = logs_NV.exp_()
        scores_NW[:, words:] = 0
        scores_NW[torch.arange(len(targets_N), device=targets_N.device), targets_N] -= 1


def _with_bias(x_NE: Tensor, column_N: Tensor | float, rows: int, dtype: torch.dtype) -> Tensor:
    """A matrix with one column more, in a dtype and with an aligned shape."""
    count, units = x_NE.shape
    out = torch.zeros(rows, aligned(units + 1), dtype=dtype, device=x_NE.device)
    out[:count, :units] = x_NE
    out[:count, units] = column_N
    return out


class _Part(NamedTuple):
    """Some tokens: their rows, their scores or gradients [n, W]."""

    rows: slice
    scores: Tensor


class _Scored:
    """All tokens' losses, made some tokens at a time.

    Args:
        x_NE: Hidden states.
        weight_VE: Weight of the decoder.
        bias_V: Its bias.
        targets_N: Next words.
        dtype: What products run in.
    """

    def __init__(
        self, x_NE: Tensor, weight_VE: Tensor, bias_V: Tensor, targets_N: Tensor, dtype: torch.dtype
    ) -> None:
        self.words, self.units = weight_VE.shape
        self.x_NF = _with_bias(x_NE, 1.0, len(x_NE), dtype)
        self.weight_WF = _with_bias(weight_VE, bias_V, aligned(self.words), dtype)
        self.targets_N = targets_N
        self.losses_N = torch.empty(len(x_NE), device=x_NE.device)
        self.correct_N = torch.empty(len(x_NE), dtype=torch.bool, device=x_NE.device)

    def parts(self, *, gradients: bool) -> Iterator[_Part]:
        """Parts of equal size; scores of a part are gone when the next one is asked for."""
        count = len(self.x_NF)
        width = len(self.weight_WF)
        number = -(-count * width * self.x_NF.element_size() // ROOM_BYTES)
        size = -(-count // number)
        room = self.x_NF.new_empty(size, width)
        for begin in range(0, count, size):
            rows = slice(begin, min(begin + size, count))
            x = self.x_NF[rows]
            scores = torch.mm(x, self.weight_WF.t(), out=room[: len(x)])
            finished = (self.targets_N[rows], self.losses_N[rows], self.correct_N[rows])
            _finish(scores, *finished, self.words, gradients=gradients)
            yield _Part(rows, scores)


def gpu_decoder_loss(
    x_NE: Tensor, weight_VE: Tensor, bias_V: Tensor, targets_N: Tensor, dtype: torch.dtype
) -> Tensor:
    """Sum of cross-entropies, see `decoder.decoder_loss`; products run in a dtype."""
    total: Tensor = _DecoderLoss.apply(x_NE, weight_VE, bias_V, targets_N, dtype)
    return total


class _DecoderLoss(torch.autograd.Function):
    """The gradients are made on the way; backward only scales.

    The weight's is that of states less their mean, with the mean's part added in fp32: as long as
    all states are nearly alike, what tells them apart would be lost in the rounding of bf16.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x_NE: Tensor,
        weight_VE: Tensor,
        bias_V: Tensor,
        targets_N: Tensor,
        dtype: torch.dtype,
    ) -> Tensor:
        scored = _Scored(x_NE, weight_VE, bias_V, targets_N, dtype)
        mean_E = x_NE.mean(0, dtype=torch.float32)
        centred_NF = _with_bias(x_NE - mean_E, 1.0, len(x_NE), dtype)
        dx_NF = torch.empty_like(scored.x_NF)
        dweight_WF: Tensor | None = None
        for part in scored.parts(gradients=True):
            torch.mm(part.scores, scored.weight_WF, out=dx_NF[part.rows])
            product = _product_in_fp32(part.scores.t(), centred_NF[part.rows])
            dweight_WF = product if dweight_WF is None else dweight_WF.add_(product)
        assert dweight_WF is not None, "there are tokens"
        dweight_VF, units = dweight_WF[: scored.words], scored.units
        dweight_VE, dbias_V = dweight_VF[:, :units], dweight_VF[:, units]
        dweight_VE.addr_(dbias_V, mean_E)
        ctx.save_for_backward(dx_NF[:, :units], dweight_VE, dbias_V)
        return scored.losses_N.sum()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        return *(gradient * grad for gradient in ctx.saved_tensors), None, None


@torch.no_grad()
def gpu_decoder_score(
    x_NE: Tensor, weight_VE: Tensor, bias_V: Tensor, targets_N: Tensor, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """Summed cross-entropy and the number of right words, without gradients."""
    scored = _Scored(x_NE, weight_VE, bias_V, targets_N, dtype)
    for _ in scored.parts(gradients=False):
        pass
    return scored.losses_N.sum(), scored.correct_N.sum()


def _product_in_fp32(a: Tensor, b: Tensor) -> Tensor:
    if a.dtype == torch.float32:
        return torch.mm(a, b)
    if a.is_cuda:
        return torch.mm(a, b, out_dtype=torch.float32)
    return torch.mm(a, b).float()
