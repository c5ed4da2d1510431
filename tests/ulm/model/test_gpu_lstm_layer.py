"""The LSTM layer written for GPUs: on a GPU, and on a CPU, where Triton interprets its kernels."""

import pytest
import torch

from tests.ulm.devices import GPU, needs_gpu
from tests.ulm.kernels import INTERPRETED, interpret
from ulm.model import gpu_lstm, lstm
from ulm.model.kernels import recorded
from ulm.model.lstm import LayerWeights, run_lstm

pytestmark = pytest.mark.torch

TIME, INPUTS, UNITS = 7, 24, 130


@pytest.fixture(params=[INTERPRETED, GPU])
def device(request, monkeypatch):
    if request.param != "interpreted":
        return request.param
    interpret(monkeypatch, gpu_lstm)
    return "cpu"


def drawn(batch, device):
    shapes = (batch, TIME, INPUTS), (1, batch, UNITS), (1, batch, UNITS)
    weights = (4 * UNITS, INPUTS), (4 * UNITS, UNITS), (4 * UNITS,)
    torch.manual_seed(0)
    states = [torch.randn(shape) for shape in shapes]
    return [t.to(device) for t in (*states, *(0.15 * torch.randn(shape) for shape in weights))]


def found_by(layer, tensors, dtypes, mask):
    """Outputs, state after, and the gradients of all inputs."""
    inputs = [t.to(dtype).requires_grad_() for t, dtype in zip(tensors, dtypes, strict=True)]
    out, hidden, cell = layer(*inputs, mask)
    weights = torch.linspace(-1, 1, out.numel(), device=out.device).view(out.shape)
    loss = (out.float() * weights).sum() + hidden.sum() + 2 * cell.square().sum()
    return [out, hidden, cell, *torch.autograd.grad(loss, inputs)]


def ours(x, hidden, cell, *weights_and_mask):
    *weights, mask = weights_and_mask
    weights.append(torch.zeros_like(weights[-1]))
    out, after = gpu_lstm.gpu_lstm(x, (hidden, cell), weights, mask)
    return out, *after


def torch_lstm(x, hidden, cell, input_weight, recurrent_weight, bias, mask):
    weights = [input_weight, recurrent_weight, bias, torch.zeros_like(bias)]
    out, *after = torch.lstm(x, (hidden, cell), weights, True, 1, 0.0, True, False, True)
    return out if mask is None else out * mask, *after


def drawn_mask(batch, device):
    return 1.25 * (torch.rand(batch, 1, UNITS, device=device) < 0.8)


BF16, FP32 = torch.bfloat16, torch.float32
GIVEN = (BF16, BF16, FP32, FP32, FP32, FP32)


@pytest.mark.parametrize("is_masked", [True, False])
@pytest.mark.parametrize("batch", [5, 67])
def test_results_and_gradients_are_those_of_fp32_but_for_rounding(device, batch, is_masked):
    tensors = drawn(batch, device)
    mask = drawn_mask(batch, device) if is_masked else None
    found = found_by(ours, tensors, GIVEN, mask)
    doubled = None if mask is None else mask.cpu().double()
    exact = found_by(torch_lstm, [t.cpu().double() for t in tensors], [torch.double] * 6, doubled)
    for got, right in zip(found, exact, strict=True):
        got = got.detach().cpu().double()
        assert (got - right).norm() / right.norm() < 0.015


def test_cells_and_gradients_of_weights_stay_in_fp32(device):
    found = found_by(ours, drawn(3, device), GIVEN, drawn_mask(3, device))
    assert [t.dtype for t in found] == [BF16, BF16, FP32, *GIVEN]
    if device == "cuda":
        for tensor in (found[2], *found[-3:]):
            assert not torch.equal(tensor, tensor.bfloat16().float())  # nor were they ever rounded


def test_a_mask_may_be_a_slice_or_the_same_for_all_rows(device):
    tensors = drawn(3, device)
    wide = drawn_mask(3, device).repeat_interleave(2, 2)
    for mask in (wide[..., ::2], wide[:1, :, ::2]):
        found = found_by(ours, tensors, GIVEN, mask)
        again = found_by(ours, tensors, GIVEN, mask.expand(3, 1, UNITS).contiguous())
        torch.testing.assert_close(found, again, atol=0, rtol=0)


def test_backward_runs_once(device):
    inputs = [t.requires_grad_() for t in drawn(3, device)]
    out = ours(*inputs, None)[0].float().sum()
    torch.autograd.grad(out, inputs[3], retain_graph=True)
    with pytest.raises(AssertionError):
        torch.autograd.grad(out, inputs[3])


@pytest.mark.parametrize("units", [8, 37, 129])
def test_units_need_not_fill_a_kernels_block(device, units):
    torch.manual_seed(0)
    layer = torch.nn.LSTM(12, units, batch_first=True, device=device)
    x, state = torch.randn(9, 4, 12, device=device), torch.zeros(1, 9, units, device=device)
    with torch.no_grad():
        found, _ = gpu_lstm.gpu_lstm(x, (state, state), list(layer.parameters()), None)
    torch.testing.assert_close(found.float(), layer(x)[0].detach(), atol=0.01, rtol=0.01)


@pytest.mark.gpu
@needs_gpu
def test_the_layer_runs_in_bf16_where_kernels_are_recorded_and_can_be_built(monkeypatch):
    layer = torch.nn.LSTM(12, 8, batch_first=True, device="cuda")
    x, state = torch.randn(2, 3, 12, device="cuda"), torch.zeros(1, 2, 8, device="cuda")

    def dtypes():
        out, (_, cell) = run_lstm(LayerWeights(layer, None, 2), x, (state, state))
        return out.dtype, cell.dtype

    with recorded():
        assert dtypes() == (FP32, FP32)
    with torch.autocast("cuda", BF16):
        assert dtypes() == (BF16, BF16)  # cuDNN's
        with recorded():
            assert dtypes() == (BF16, FP32)
            monkeypatch.setattr(lstm, "can_build", lambda kernels: False)
            assert dtypes() == (BF16, BF16)
