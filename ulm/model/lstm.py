"""An LSTM layer with DropConnect, in the arithmetic that autocast asks for.

B batch, T time, I inputs, H units.

In bf16 on a CPU, oneDNN's layer goes backward at half the speed of its matrix products, and hands
cells on in bf16; the one here makes one product over all steps of everything but the recurrence.
Its products round to bf16; gates and cells are fp32, but for gates that are kept for backward.
"""

import warnings
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from ulm.model.gpu_lstm import gpu_lstm, on_little
from ulm.model.kernels import are_recorded, can_build
from ulm.model.precision import compute_dtype
from ulm.model.products import repeated_product, repeated_sum

LayerState = tuple[Tensor, Tensor]
"""Hidden and cell state, both [1, B, H]."""

FAST_IN_BF16 = 2**23
"""Products of a step, rows times weights, from which a layer in bf16 is faster on a CPU.

A step costs it 0.1 ms besides. On an AMD Zen 5 a window of 32 rows takes 24.2 ms where fp32 takes
25.5 with 100 to 256 units (12 million), and 13.7 where fp32 takes 10.9 with 256 to 100 (5 million).
"""

# cuDNN's weights are copied into one piece of memory each time, as dropped weights must be
warnings.filterwarnings("ignore", message="RNN module weights are not part of single contiguous")


class LayerWeights:
    """A layer's weights for one window, or for all windows of a batch.

    The dropped weight is a function of the raw parameter inside this graph, so the parameter
    itself receives the gradient, and evaluation uses it undropped.

    Args:
        layer: Its parameters, batch first.
        mask: What the recurrent weights are multiplied by, [4H, H]; None drops nothing.
        rows: Sequences B of the largest window.
    """

    def __init__(self, layer: nn.LSTM, mask: Tensor | None, rows: int) -> None:
        weights: dict[str, Tensor] = dict(layer.named_parameters())
        if mask is not None:
            weights["weight_hh_l0"] = weights["weight_hh_l0"] * mask
        order = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
        self.ordered = [weights[name] for name in order]
        self.rows = rows

    def are_fast_in_bf16(self, rows: int) -> bool:
        """Whether a CPU is faster with the layer written here than with oneDNN's in fp32."""
        return rows * (self.ordered[0].numel() + self.ordered[1].numel()) >= FAST_IN_BF16

    @cached_property
    def in_bf16(self) -> "_Bf16Weights":
        """Made once, however many windows there are."""
        return _Bf16Weights(self.ordered[0], self.ordered[1], self.rows)


class _Bf16Weights:
    """A layer's weights in bf16, with their products; gradients are not followed here."""

    def __init__(self, input_weight: Tensor, recurrent_weight: Tensor, rows: int) -> None:
        self.input = input_weight.detach().to(torch.bfloat16)
        self.recurrent = recurrent_weight.detach().to(torch.bfloat16)
        self.rows = rows

    @cached_property
    def forward(self) -> Callable[[Tensor, Tensor], Tensor]:
        """From what inputs give to gates [B, 4H], and hidden states [B, H], to gates."""
        return repeated_sum(self.recurrent.t(), self.rows)

    @cached_property
    def backward(self) -> Callable[[Tensor], Tensor]:
        """From the gradients of gates [B, 4H] to those of hidden states."""
        return repeated_product(self.recurrent, self.rows)


def run_lstm(
    weights: LayerWeights, x_BTI: Tensor, before: LayerState, mask_B1H: Tensor | None = None
) -> tuple[Tensor, LayerState]:
    """Runs one window.

    Args:
        weights: Of the layer.
        x_BTI: Inputs, [B, T, I].
        before: State after the window before.
        mask_B1H: What outputs are multiplied by, [B, 1, H]; None leaves them.

    Returns:
        Outputs [B, T, H], and the state after the window, which the mask does not change.
    """
    dtype, kind = compute_dtype(x_BTI), x_BTI.device.type
    if kind == "cuda" and dtype == torch.bfloat16 and are_recorded() and can_build(on_little):
        with torch.autocast(kind, enabled=False):
            return gpu_lstm(x_BTI, before, weights.ordered, mask_B1H)
    run = _run_by_cudnn if kind == "cuda" else _run_on_cpu
    output, after = run(weights, x_BTI, before, dtype)
    return output if mask_B1H is None else output * mask_B1H, after


def _run_on_cpu(
    weights: LayerWeights, x: Tensor, before: LayerState, dtype: torch.dtype
) -> tuple[Tensor, LayerState]:
    is_lowered = torch.is_autocast_enabled("cpu") and dtype == torch.bfloat16
    if is_lowered and weights.are_fast_in_bf16(len(x)):
        w_ih, w_hh, b_ih, b_hh = weights.ordered
        output, *after = _Bf16Lstm.apply(x, *before, w_ih, w_hh, b_ih + b_hh, weights.in_bf16)
    else:
        with torch.autocast("cpu", enabled=False):
            output, *after = _by_torch(x, before, weights.ordered)
    return output, (after[0], after[1])


def _run_by_cudnn(
    weights: LayerWeights, x: Tensor, before: LayerState, dtype: torch.dtype
) -> tuple[Tensor, LayerState]:
    """A layer in a dtype.

    Left to itself, autocast runs cuDNN's LSTM in fp16 whatever was asked for, and the gradients of
    a mean over thousands of tokens are too small for fp16. In fp32 its products are TF32, which is
    torch's default for cuDNN.
    """
    with torch.autocast("cuda", enabled=False):
        cast = [weight.to(dtype) for weight in weights.ordered]
        output, *after = _by_torch(x.to(dtype), [tensor.to(dtype) for tensor in before], cast)
    return output, (after[0], after[1])


def _by_torch(
    x: Tensor, before: Sequence[Tensor], weights: list[Tensor]
) -> tuple[Tensor, Tensor, Tensor]:
    is_trained = torch.is_grad_enabled()
    return torch.lstm(x, tuple(before), weights, True, 1, 0.0, is_trained, False, True)


def _by_time(x_BTI: Tensor, dtype: torch.dtype) -> Tensor:
    return x_BTI.transpose(0, 1).to(dtype).contiguous()


MINUS_ONE = torch.tensor(-1.0)


def _tanh(x: Tensor, out: Tensor) -> Tensor:
    """From a sigmoid: torch's own takes four times as long on an AMD processor."""
    return torch.add(MINUS_ONE, torch.mul(x, 2, out=out).sigmoid_(), alpha=2, out=out)


class _Bf16Lstm(torch.autograd.Function):
    """One layer over one window; gates lie in torch's order: input, forget, cell, output."""

    @staticmethod
    def forward(
        ctx: Any,
        x_BTI: Tensor,
        hidden_1BH: Tensor,
        cell_1BH: Tensor,
        input_weight: Tensor,
        recurrent_weight: Tensor,
        bias: Tensor,
        weights: _Bf16Weights,
    ) -> tuple[Tensor, Tensor, Tensor]:
        bf16, fp32 = torch.bfloat16, torch.float32
        x_TBI = _by_time(x_BTI, bf16)
        T, B, H = len(x_TBI), *hidden_1BH.shape[1:]
        gates = torch.mm(x_TBI.flatten(0, 1), weights.input.t()).view(T, B, 4 * H)
        hidden, cells = (gates.new_empty(T + 1, B, H, dtype=dtype) for dtype in (bf16, fp32))
        hidden[0], cells[0] = hidden_1BH[0], cell_1BH[0]
        gate = gates.new_empty(B, 4 * H, dtype=fp32)
        squashed = torch.empty_like(cells[0])
        i, f, g, o = gate.chunk(4, 1)
        for t in range(T):
            gate.copy_(weights.forward(gates[t], hidden[t])).add_(bias)
            g.mul_(2)  # for its hyperbolic tangent, which is a sigmoid too
            gate.sigmoid_()
            torch.add(MINUS_ONE, g, alpha=2, out=g)
            torch.mul(f, cells[t], out=cells[t + 1]).addcmul_(i, g)
            torch.mul(o, _tanh(cells[t + 1], squashed), out=hidden[t + 1])
            gates[t] = gate
        ctx.save_for_backward(x_TBI, gates, cells, hidden)
        ctx.weights = weights
        return hidden[1:].transpose(0, 1).float(), hidden[-1:].float(), cells[-1:].clone()

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, dout_BTH: Tensor, dhidden_1BH: Tensor, dcell_1BH: Tensor
    ) -> tuple[Tensor | None, ...]:
        x_TBI, gates, cells, hidden = ctx.saved_tensors
        weights: _Bf16Weights = ctx.weights
        sigmoid_backward = torch.ops.aten.sigmoid_backward.grad_input
        tanh_backward = torch.ops.aten.tanh_backward.grad_input
        H = cells.shape[2]
        dout = _by_time(dout_BTH, torch.float32)
        dgates = torch.empty_like(gates)
        gate = torch.empty_like(gates[0], dtype=torch.float32)
        dgate, dbias_B4H = torch.empty_like(gate), torch.zeros_like(gate)
        (i, f, g, o), (di, df, dg, do) = gate.chunk(4, 1), dgate.chunk(4, 1)
        if_, dif_ = gate[:, : 2 * H], dgate[:, : 2 * H]
        squashed = torch.empty_like(cells[0])
        dhidden, dcell = dhidden_1BH[0], dcell_1BH[0].clone()
        for t in reversed(range(len(gates))):
            gate.copy_(gates[t])
            _tanh(cells[t + 1], squashed)
            dh = dout[t] + dhidden
            torch.mul(dh, squashed, out=do)
            dcell += tanh_backward(dh.mul_(o), squashed, grad_input=dh)
            torch.mul(dcell, g, out=di)
            torch.mul(dcell, cells[t], out=df)
            torch.mul(dcell, i, out=dg)
            sigmoid_backward(dif_, if_, grad_input=dif_)
            tanh_backward(dg, g, grad_input=dg)
            sigmoid_backward(do, o, grad_input=do)
            dbias_B4H += dgate
            dgates[t] = dgate
            dhidden = weights.backward(dgates[t])
            dcell *= f
        flat = dgates.flatten(0, 1)
        needs_dx = ctx.needs_input_grad[0]
        dx = torch.mm(flat, weights.input).view(x_TBI.shape).transpose(0, 1) if needs_dx else None
        return (
            None if dx is None else dx.float(),
            dhidden.float()[None],
            dcell[None],
            torch.mm(flat.t(), x_TBI.flatten(0, 1)).float(),
            torch.mm(flat.t(), hidden[:-1].flatten(0, 1)).float(),
            dbias_B4H.sum(0),
            None,
        )
