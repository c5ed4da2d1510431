"""A layer in bf16 on a CPU computes what one in fp32 does, up to rounding."""

import pytest
import torch
from torch import nn

from ulm.model import lstm
from ulm.model.lstm import LayerWeights, run_lstm
from ulm.model.precision import cpu_has_bf16

pytestmark = [
    pytest.mark.torch,
    pytest.mark.skipif(not cpu_has_bf16(), reason="this processor has no bf16"),
]

BATCH, INPUTS, UNITS = 6, 12, 20


@pytest.fixture(autouse=True)
def _any_size_is_fast_in_bf16(monkeypatch):
    monkeypatch.setattr(lstm, "FAST_IN_BF16", 0)


def layer_and_window(time):
    torch.manual_seed(0)
    layer = nn.LSTM(INPUTS, UNITS, batch_first=True)
    state = [torch.randn(1, BATCH, UNITS).requires_grad_() for _ in range(2)]
    window = 3 * torch.randn(BATCH, time, INPUTS)
    mask = torch.empty(4 * UNITS, UNITS).bernoulli_(0.5) * 2
    return layer, window.requires_grad_(), tuple(state), mask


def run(problem, is_lowered):
    """Outputs, the state after, and gradients of all that goes in."""
    layer, window, state, mask = problem
    with torch.autocast("cpu", torch.bfloat16, enabled=is_lowered):
        out, after = run_lstm(LayerWeights(layer, mask, BATCH), window, state)
    weight = torch.linspace(-1, 1, out.numel()).view(out.shape)
    total = (out * weight).sum() + (after[0] ** 2).sum() + after[1].sum()
    gradients = torch.autograd.grad(total, [window, *state, *layer.parameters()])
    return [tensor.detach() for tensor in (out, *after, *gradients)]


@pytest.mark.parametrize("time", [1, 9, 70])
def test_outputs_states_and_gradients_are_those_of_fp32_up_to_rounding(time):
    problem = layer_and_window(time)
    for ours, wanted in zip(run(problem, True), run(problem, False), strict=True):
        assert ours.dtype == torch.float32
        assert ours.shape == wanted.shape
        assert 0 < float((ours - wanted).norm() / wanted.norm()) < 0.02, "in bf16, and right"


def test_a_window_without_gradients_has_the_outputs_of_one_with_them():
    layer, window, state, mask = layer_and_window(9)
    with torch.autocast("cpu", torch.bfloat16):
        out, after = run_lstm(LayerWeights(layer, mask, BATCH), window, state)
        with torch.no_grad():
            alone, after_alone = run_lstm(LayerWeights(layer, mask, BATCH), window, state)
    torch.testing.assert_close([alone, *after_alone], [out, *after], atol=0, rtol=0)
    assert not alone.requires_grad


def test_gradients_that_fp16_can_not_tell_from_zero_arrive():
    layer, window, state, _ = layer_and_window(9)
    with torch.autocast("cpu", torch.bfloat16):
        out, _ = run_lstm(LayerWeights(layer, None, BATCH), window, state)
    gradient = torch.autograd.grad(out, layer.weight_ih_l0, torch.full_like(out, 1e-9))[0]
    assert gradient.count_nonzero() == gradient.numel()


def test_a_gradient_that_two_layers_share_stays_as_it_is():
    layer, window, state, _ = layer_and_window(9)
    with torch.autocast("cpu", torch.bfloat16):
        out, _ = run_lstm(LayerWeights(layer, None, BATCH), window, state)
    shared = torch.ones_like(out)
    first, second = (
        torch.autograd.grad(out, layer.weight_ih_l0, shared, retain_graph=True)[0] for _ in "12"
    )
    torch.testing.assert_close(second, first, atol=0, rtol=0)
    assert (shared == 1).all()


def test_a_module_in_bf16_runs_without_autocast_too():
    layer, window, state, _ = layer_and_window(9)
    lowered = (window.bfloat16(), tuple(tensor.bfloat16() for tensor in state))
    out, _ = run_lstm(LayerWeights(layer.bfloat16(), None, BATCH), *lowered)
    assert out.dtype == torch.bfloat16


def test_a_layer_that_bf16_would_slow_down_stays_in_fp32(monkeypatch):
    layer, window, state, mask = layer_and_window(9)
    weights = LayerWeights(layer, mask, BATCH)
    monkeypatch.setattr(lstm, "FAST_IN_BF16", BATCH * 4 * UNITS * (INPUTS + UNITS) + 1)
    plain, _ = run_lstm(weights, window, state)
    with torch.autocast("cpu", torch.bfloat16):
        stays, _ = run_lstm(weights, window, state)
        monkeypatch.setattr(lstm, "FAST_IN_BF16", lstm.FAST_IN_BF16 - 1)
        lowered, _ = run_lstm(weights, window, state)
    torch.testing.assert_close(stays, plain, atol=0, rtol=0)
    assert not torch.equal(lowered, plain)


def test_windows_that_share_weights_have_the_gradients_of_windows_that_do_not():
    layer, window, state, mask = layer_and_window(9)

    def gradients(weights_of):
        with torch.autocast("cpu", torch.bfloat16):
            outs = []
            for rows in (2, BATCH):
                begun = tuple(tensor[:, :rows] for tensor in state)
                outs.append(run_lstm(weights_of(), window[:rows], begun)[0])
        return torch.autograd.grad(sum((out**2).sum() for out in outs), layer.parameters())

    shared = LayerWeights(layer, mask, BATCH)
    ours = gradients(lambda: shared)
    wanted = gradients(lambda: LayerWeights(layer, mask, BATCH))
    for one, other in zip(ours, wanted, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)
