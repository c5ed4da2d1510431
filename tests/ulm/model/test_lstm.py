"""A layer in bf16 on a CPU computes what one in fp32 does, up to rounding."""

import pytest
import torch
from torch import nn

from ulm.model.lstm import run_lstm
from ulm.model.precision import cpu_has_bf16

pytestmark = [
    pytest.mark.torch,
    pytest.mark.skipif(not cpu_has_bf16(), reason="this processor has no bf16"),
]

BATCH, INPUTS, UNITS = 6, 12, 20


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
        out, after = run_lstm(layer, window, state, mask)
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
        out, after = run_lstm(layer, window, state, mask)
        with torch.no_grad():
            alone, after_alone = run_lstm(layer, window, state, mask)
    torch.testing.assert_close([alone, *after_alone], [out, *after], atol=0, rtol=0)
    assert not alone.requires_grad


def test_gradients_that_fp16_can_not_tell_from_zero_arrive():
    layer, window, state, _ = layer_and_window(9)
    with torch.autocast("cpu", torch.bfloat16):
        out, _ = run_lstm(layer, window, state, None)
    gradient = torch.autograd.grad(out, layer.weight_ih_l0, torch.full_like(out, 1e-9))[0]
    assert gradient.count_nonzero() == gradient.numel()


def test_a_gradient_that_two_layers_share_stays_as_it_is():
    layer, window, state, _ = layer_and_window(9)
    with torch.autocast("cpu", torch.bfloat16):
        out, _ = run_lstm(layer, window, state, None)
    shared = torch.ones_like(out)
    first, second = (
        torch.autograd.grad(out, layer.weight_ih_l0, shared, retain_graph=True)[0] for _ in "12"
    )
    torch.testing.assert_close(second, first, atol=0, rtol=0)
    assert (shared == 1).all()


def test_a_module_in_bf16_runs_without_autocast_too():
    layer, window, state, _ = layer_and_window(9)
    lowered = (window.bfloat16(), tuple(tensor.bfloat16() for tensor in state))
    out, _ = run_lstm(layer.bfloat16(), *lowered, None)
    assert out.dtype == torch.bfloat16
