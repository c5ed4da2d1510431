"""The decoder's loss on a GPU: three matrix products, and one pass over the scores between them.

N tokens, E units, V words; F inputs: the units, a 1 whose weight is the bias, and zeros up to a
multiple of 8, which tensor cores need; W words, up to a multiple of 16, by which Triton knows that
it may read and write 16 bytes at once.

Written with torch's own operations, scores [N, V] cross the memory a dozen times, half of them in
fp32, which takes longer than the products. A Triton kernel reads a row of scores twice (the second
time from the cache) and leaves the gradient in its place.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ulm.model.kernels import can_build, tl, triton
from ulm.model.precision import aligned
from ulm.model.products import add_product, product_in_fp32

ROOM_BYTES = 3 * 2**28
"""Scores held at a time; products of more tokens at once are not faster."""

ROW = 16
BLOCK = 8192
WARPS = 16

if triton is not None:

    @triton.jit
    def _finish_rows(  # type: ignore[no-untyped-def]  # Triton's own language
        scores, targets, losses, correct, words, width, GRADIENTS: tl.constexpr, BLOCK: tl.constexpr
    ):
        """One row: its loss; and its gradient in place of its scores, or whether it is right."""
        LOG2_E: tl.constexpr = 1.4426950408889634
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
            x = tl.load(scores + columns, mask=columns < width, other=0.0).to(tl.float32)
            x = tl.where(columns < words, x, float("-inf"))
            bits = x * LOG2_E
            largest = tl.maximum(shift, tl.max(bits, 0))
            total = total * tl.exp2(shift - largest) + tl.exp2(bits - largest)
            shift = largest
            if not GRADIENTS:  # of equals the first is it
                beats = (x > right) | ((x == right) & (columns < target))
                beaten += beats.to(tl.int32)
        rest = tl.log2(tl.sum(total, 0))
        norm = shift + rest
        tl.store(losses + row, (shift - right * LOG2_E + rest) / LOG2_E)
        if not GRADIENTS:
            tl.store(correct + row, tl.sum(beaten, 0) == 0)
        else:
            for begin in range(0, width, BLOCK):
                columns = begin + lanes
                inside = columns < width
                x = tl.load(scores + columns, mask=inside, other=0.0).to(tl.float32)
                x = tl.where(columns < words, x, float("-inf"))
                tl.store(scores + columns, tl.exp2(x * LOG2_E - norm), mask=inside)
            tl.debug_barrier()  # the next number goes where one of these has gone
            tl.store(scores + target, tl.exp2(right * LOG2_E - norm) - 1.0)

    @triton.jit
    def _finish_weight(  # type: ignore[no-untyped-def]
        dweight, mean, grad, out, units, width, BLOCK: tl.constexpr
    ):
        """One word: the gradient of its weight with the mean's part, times the loss's gradient."""
        row = tl.program_id(0).to(tl.int64)
        lanes = tl.arange(0, BLOCK)
        inside = lanes < units
        of_bias = tl.load(dweight + row * width + units)
        x = tl.load(dweight + row * width + lanes, inside, 0.0)
        x += of_bias * tl.load(mean + lanes, inside, 0.0)
        tl.store(out + row * units + lanes, x * tl.load(grad), inside)


def _on_little(device: str = "cuda") -> None:
    """Runs the kernels for one token and one word."""
    row, target = torch.zeros(1, ROW, device=device), torch.zeros(1, device=device).long()
    _run_finish_rows(row, target, row.new_zeros(1), None, ROW)
    _run_finish_weight(row, row.new_zeros(1), row.new_ones(()))


def _has_kernels(tensor: Tensor) -> bool:
    """Whether kernels run where a tensor is."""
    return tensor.is_cuda and can_build(_on_little)


def _run_finish_rows(
    scores_NW: Tensor, targets_N: Tensor, losses_N: Tensor, correct_N: Tensor | None, words: int
) -> None:
    _finish_rows[(len(scores_NW),)](
        scores_NW,
        targets_N,
        losses_N,
        correct_N,
        words,
        scores_NW.shape[1],
        GRADIENTS=correct_N is None,
        BLOCK=BLOCK,
        num_warps=WARPS,
    )


def _run_finish_weight(dweight_VF: Tensor, mean_E: Tensor, grad: Tensor) -> Tensor:
    (words, width), units = dweight_VF.shape, len(mean_E)
    out_VE = dweight_VF.new_empty(words, units)
    block = triton.next_power_of_2(units)
    _finish_weight[(words,)](dweight_VF, mean_E, grad, out_VE, units, width, BLOCK=block)
    return out_VE


def _finish(
    scores_NW: Tensor, targets_N: Tensor, losses_N: Tensor, correct_N: Tensor | None, words: int
) -> None:
    """Fills in losses and which words are right; where nobody asks, puts gradients for scores."""
    if _has_kernels(scores_NW):
        _run_finish_rows(scores_NW, targets_N, losses_N, correct_N, words)
        return
    logs_NV = torch.log_softmax(scores_NW[:, :words].float(), 1)
    losses_N.copy_(-logs_NV.gather(1, targets_N[:, None])[:, 0])
    if correct_N is not None:
        correct_N.copy_(scores_NW[:, :words].argmax(1) == targets_N)
        return
    scores_NW[:, :words] = logs_NV.exp_()
    scores_NW[:, words:] = 0
    scores_NW[torch.arange(len(targets_N), device=targets_N.device), targets_N] -= 1


def _weight_gradient(dweight_VF: Tensor, mean_E: Tensor, grad: Tensor) -> Tensor:
    """The gradient [V, E] of the weight from that of states less their mean."""
    if _has_kernels(dweight_VF):
        return _run_finish_weight(dweight_VF, mean_E, grad)
    units = len(mean_E)
    return torch.addr(dweight_VF[:, :units], dweight_VF[:, units], mean_E).mul_(grad)


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
        self.weight_WF = _with_bias(weight_VE, bias_V, aligned(self.words, ROW), dtype)
        self.targets_N = targets_N.contiguous()  # a column of a batch of streams is not
        self.losses_N = torch.empty(len(x_NE), device=x_NE.device)

    def parts(self, correct_N: Tensor | None) -> Iterator[_Part]:
        """Parts of equal size; scores of a part are gone when the next one is asked for.

        Args:
            correct_N: To be filled in with which words are right; None puts gradients for scores.
        """
        count = len(self.x_NF)
        width = len(self.weight_WF)
        number = -(-count * width * self.x_NF.element_size() // ROOM_BYTES)
        size = -(-count // number)
        room = self.x_NF.new_empty(size, width)
        for begin in range(0, count, size):
            rows = slice(begin, min(begin + size, count))
            x = self.x_NF[rows]
            scores = torch.mm(x, self.weight_WF.t(), out=room[: len(x)])
            correct = None if correct_N is None else correct_N[rows]
            _finish(scores, self.targets_N[rows], self.losses_N[rows], correct, self.words)
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
        for part in scored.parts(None):
            torch.mm(part.scores, scored.weight_WF, out=dx_NF[part.rows])
            factors = part.scores.t(), centred_NF[part.rows]
            if dweight_WF is None:
                dweight_WF = product_in_fp32(*factors)
            else:
                dweight_WF = add_product(dweight_WF, *factors)
        assert dweight_WF is not None, "there are tokens"
        ctx.save_for_backward(dx_NF[:, : scored.units], dweight_WF[: scored.words], mean_E)
        return scored.losses_N.sum()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        dx_NE, dweight_VF, mean_E = ctx.saved_tensors
        dbias_V = dweight_VF[:, len(mean_E)] * grad
        return dx_NE * grad, _weight_gradient(dweight_VF, mean_E, grad), dbias_V, None, None


@torch.no_grad()
def gpu_decoder_score(
    x_NE: Tensor, weight_VE: Tensor, bias_V: Tensor, targets_N: Tensor, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """Summed cross-entropy and the number of right words, without gradients."""
    scored = _Scored(x_NE, weight_VE, bias_V, targets_N, dtype)
    correct_N = torch.empty(len(x_NE), dtype=torch.bool, device=x_NE.device)
    for _ in scored.parts(correct_N):
        pass
    return scored.losses_N.sum(), correct_N.sum()
