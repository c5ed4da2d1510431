"""An LSTM layer in bf16 on a GPU: a product and a kernel for each time step, all recorded.

B batch, T time, I inputs, H units. Gates lie in torch's order: input, forget, cell, output.

The inputs' product and the gradients of the weights are one product each over all steps. What a
step's product leaves are gates before bias and squashing; backward squashes them again and puts
their gradients in their place. Products round to bf16; cells and the gradients of weights are fp32,
where cuDNN's layer hands them on in bf16, and takes 15 to 47 % longer (H200, 32 to 512 rows).
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ulm.model.kernels import tl, triton
from ulm.model.products import product_in_fp32

ROWS, UNITS, WARPS = 8, 128, 8
"""What one program of a kernel does."""

if triton is not None:

    @triton.jit
    def _sigmoid(x):  # type: ignore[no-untyped-def]  # Triton's own language
        return 1.0 / (1.0 + tl.exp(-x))

    @triton.jit
    def _tanh(x):  # type: ignore[no-untyped-def]
        return 2.0 / (1.0 + tl.exp(-2.0 * x)) - 1.0

    @triton.jit
    def _places(batch, H: tl.constexpr, ROWS: tl.constexpr, UNITS: tl.constexpr):  # type: ignore[no-untyped-def]
        """Row and unit of each number of a program's block, and whether it is there."""
        row = (tl.program_id(0) * ROWS + tl.arange(0, ROWS))[:, None]
        unit = (tl.program_id(1) * UNITS + tl.arange(0, UNITS))[None, :]
        return row, unit, (row < batch) & (unit < H)

    @triton.jit
    def _gate(gates, bias, inside):  # type: ignore[no-untyped-def]
        return tl.load(gates, inside, 0.0).to(tl.float32) + tl.load(bias, inside, 0.0)

    @triton.jit
    def _squashed(gates, bias, inside, H: tl.constexpr):  # type: ignore[no-untyped-def]
        i = _sigmoid(_gate(gates, bias, inside))
        f = _sigmoid(_gate(gates + H, bias + H, inside))
        g = _tanh(_gate(gates + 2 * H, bias + 2 * H, inside))
        o = _sigmoid(_gate(gates + 3 * H, bias + 3 * H, inside))
        return i, f, g, o

    @triton.jit
    def _forward(  # type: ignore[no-untyped-def]
        gates,
        bias,
        before,
        after,
        hidden,
        mask,
        out,
        batch,
        MASKED: tl.constexpr,
        H: tl.constexpr,
        ROWS: tl.constexpr,
        UNITS: tl.constexpr,
    ):
        row, unit, inside = _places(batch, H, ROWS, UNITS)
        i, f, g, o = _squashed(gates + row * (4 * H) + unit, bias + unit, inside, H)
        place = row * H + unit
        cell = f * tl.load(before + place, inside, 0.0) + i * g
        h = o * _tanh(cell)
        tl.store(after + place, cell, inside)
        tl.store(hidden + place, h, inside)
        if MASKED:
            tl.store(out + place, h * tl.load(mask + place, inside, 0.0), inside)

    @triton.jit
    def _backward(  # type: ignore[no-untyped-def]
        gates,
        bias,
        before,
        after,
        mask,
        dout,
        dhidden,
        dcell,
        batch,
        MASKED: tl.constexpr,
        PARTS: tl.constexpr,
        H: tl.constexpr,
        ROWS: tl.constexpr,
        UNITS: tl.constexpr,
    ):
        row, unit, inside = _places(batch, H, ROWS, UNITS)
        gates += row * (4 * H) + unit
        i, f, g, o = _squashed(gates, bias + unit, inside, H)
        place = row * H + unit
        squashed = _tanh(tl.load(after + place, inside, 0.0))
        dh = tl.load(dout + place, inside, 0.0).to(tl.float32)
        if MASKED:
            dh *= tl.load(mask + place, inside, 0.0)
        for part in tl.static_range(PARTS):
            dh += tl.load(dhidden + part * batch * H + place, inside, 0.0).to(tl.float32)
        dc = tl.load(dcell + place, inside, 0.0) + dh * o * (1 - squashed * squashed)
        old = tl.load(before + place, inside, 0.0)
        tl.store(dcell + place, dc * f, inside)
        tl.store(gates, dc * g * i * (1 - i), inside)
        tl.store(gates + H, dc * old * f * (1 - f), inside)
        tl.store(gates + 2 * H, dc * i * (1 - g * g), inside)
        tl.store(gates + 3 * H, dh * squashed * o * (1 - o), inside)


def _block(batch: int, units: int) -> tuple[tuple[int, int], dict[str, int]]:
    """How many programs a kernel is, and what each does."""
    programs = -(-batch // ROWS), -(-units // UNITS)
    return programs, {"H": units, "ROWS": ROWS, "UNITS": UNITS, "num_warps": WARPS}


def step_forward(
    gates_BG: Tensor,
    bias_G: Tensor,
    before_BH: Tensor,
    after_BH: Tensor,
    hidden_BH: Tensor,
    mask_BH: Tensor | None,
    out_BH: Tensor,
) -> None:
    """Fills in the cells after a step, its hidden states and, where there is a mask, its outputs.

    Args:
        gates_BG: Gates without bias, before they are squashed, [B, 4H].
        bias_G: Their bias.
        before_BH: Cells before.
        after_BH: Cells after.
        hidden_BH: Hidden states after.
        mask_BH: What outputs are multiplied by.
        out_BH: Outputs.
    """
    batch, units = before_BH.shape
    programs, block = _block(batch, units)
    places = gates_BG, bias_G, before_BH, after_BH, hidden_BH, mask_BH, out_BH
    _forward[programs](*places, batch, MASKED=mask_BH is not None, **block)


def step_backward(
    gates_BG: Tensor,
    bias_G: Tensor,
    before_BH: Tensor,
    after_BH: Tensor,
    mask_BH: Tensor | None,
    dout_BH: Tensor,
    dhidden_PBH: Tensor,
    dcell_BH: Tensor,
) -> None:
    """Replaces gates by their gradients, and the gradient of cells after by that of cells before.

    Args:
        gates_BG: Gates as forward left them, [B, 4H].
        bias_G: Their bias.
        before_BH: Cells before.
        after_BH: Cells after.
        mask_BH: What outputs were multiplied by.
        dout_BH: Gradient of the outputs.
        dhidden_PBH: Gradient of the hidden states from the step after, to be added up over P parts.
        dcell_BH: Gradient of the cells.
    """
    batch, units = before_BH.shape
    programs, block = _block(batch, units)
    places = gates_BG, bias_G, before_BH, after_BH, mask_BH, dout_BH, dhidden_PBH, dcell_BH
    has = {"MASKED": mask_BH is not None, "PARTS": len(dhidden_PBH)}
    _backward[programs](*places, batch, **has, **block)


def on_little(device: str = "cuda") -> None:
    """Runs the kernels for one row and one unit."""
    gates, bias, cell = (torch.zeros(1, n, device=device) for n in (4, 4, 1))
    gates, hidden = gates.bfloat16(), cell.bfloat16()
    step_forward(gates, bias, cell, cell.clone(), hidden, None, hidden)
    step_backward(gates, bias, cell, cell, None, hidden, hidden[None], cell.clone())


def _dhidden(dgates_BG: Tensor, recurrent_GH: Tensor) -> Tensor:
    """Gradient of the hidden states before a step, by gate [4, B, H], to be added up.

    Four short products at once fill a GPU where one long one does not.
    """
    units = recurrent_GH.shape[1]
    by_gate_4BH = dgates_BG.view(len(dgates_BG), 4, units).transpose(0, 1)
    return torch.bmm(by_gate_4BH, recurrent_GH.view(4, units, units))


class _Lstm(torch.autograd.Function):
    """One layer over one window.

    Inputs [B, T, I], hidden states and cells [1, B, H], weights [4H, I] and [4H, H], the sum of
    both biases [4H] and a mask of the outputs [B, 1, H] or None go in; masked outputs [B, T, H] and
    the state after come out. Inputs, outputs and hidden states are bf16, the others fp32. Backward
    uses up what forward has kept.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x_BTI: Tensor,
        hidden_1BH: Tensor,
        cell_1BH: Tensor,
        input_weight: Tensor,
        recurrent_weight: Tensor,
        bias: Tensor,
        mask_B1H: Tensor | None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        x_TBI = x_BTI.transpose(0, 1).contiguous()
        T, B, H = len(x_TBI), *hidden_1BH.shape[1:]
        weights = input_weight.to(x_TBI.dtype), recurrent_weight.to(x_TBI.dtype)
        gates = torch.mm(x_TBI.flatten(0, 1), weights[0].t()).view(T, B, 4 * H)
        hidden, cells = hidden_1BH.new_empty(T + 1, B, H), cell_1BH.new_empty(T + 1, B, H)
        hidden[0], cells[0] = hidden_1BH[0], cell_1BH[0]
        mask = None if mask_B1H is None else mask_B1H[:, 0].expand(B, H).contiguous()
        out = hidden[1:] if mask is None else torch.empty_like(hidden[1:])
        for t in range(T):
            gates[t].addmm_(hidden[t], weights[1].t())
            step_forward(gates[t], bias, cells[t], cells[t + 1], hidden[t + 1], mask, out[t])
        ctx.save_for_backward(x_TBI, gates, cells, hidden, *weights, bias, mask)
        ctx.is_used_up = False
        return out.transpose(0, 1), hidden[-1:].clone(), cells[-1:].clone()

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, dout_BTH: Tensor, dhidden_1BH: Tensor, dcell_1BH: Tensor
    ) -> tuple[Tensor | None, ...]:
        assert not ctx.is_used_up, "gradients lie where the gates were"
        ctx.is_used_up = True
        x_TBI, gates, cells, hidden, input_weight, recurrent_weight, bias, mask = ctx.saved_tensors
        dout, dhidden = dout_BTH.transpose(0, 1).contiguous(), dhidden_1BH.contiguous()
        dcell = dcell_1BH[0].clone(memory_format=torch.contiguous_format)
        for t in reversed(range(len(gates))):
            step_backward(gates[t], bias, cells[t], cells[t + 1], mask, dout[t], dhidden, dcell)
            if t > 0 or ctx.needs_input_grad[1]:
                dhidden = _dhidden(gates[t], recurrent_weight)
        flat = gates.flatten(0, 1)
        return (
            torch.mm(flat, input_weight).view(x_TBI.shape).transpose(0, 1),
            dhidden.sum(0, keepdim=True) if ctx.needs_input_grad[1] else None,
            dcell[None],
            product_in_fp32(flat.t(), x_TBI.flatten(0, 1)),
            product_in_fp32(flat.t(), hidden[:-1].flatten(0, 1)),
            flat.sum(0, dtype=torch.float32),
            None,
        )


def gpu_lstm(
    x_BTI: Tensor,
    before: tuple[Tensor, Tensor],
    weights: list[Tensor],
    mask_B1H: Tensor | None,
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Runs one window in bf16, see `lstm.run_lstm`; cells stay in fp32.

    Args:
        x_BTI: Inputs, [B, T, I].
        before: Hidden states and cells, [1, B, H].
        weights: Of inputs [4H, I] and hidden states [4H, H], and both biases [4H], in fp32.
        mask_B1H: What outputs are multiplied by, [B, 1, H]; None leaves them.

    Returns:
        Outputs [B, T, H], and the state after the window.
    """
    of_inputs, of_hidden, bias, other_bias = weights
    state = before[0].bfloat16(), before[1].float()
    output, hidden, cell = _Lstm.apply(
        x_BTI.bfloat16(), *state, of_inputs, of_hidden, bias + other_bias, mask_B1H
    )
    return output, (hidden, cell)
