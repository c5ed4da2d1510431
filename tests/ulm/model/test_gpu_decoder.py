"""A GPU's way to the decoder's loss, on a GPU where there is one and on the CPU.

On the CPU by torch's operations and by its kernels, which Triton interprets.
"""

import pytest
import torch
import torch.nn.functional as F

from tests.ulm.devices import DEVICES, GPU
from tests.ulm.kernels import INTERPRETED, interpret
from ulm.model import gpu_decoder
from ulm.model.gpu_decoder import gpu_decoder_loss, gpu_decoder_score

pytestmark = pytest.mark.torch

TOKENS, UNITS, WORDS = 70, 20, 1003


@pytest.fixture(params=["cpu", INTERPRETED, GPU])
def device(request, monkeypatch):
    if request.param != "interpreted":
        return request.param
    interpret(monkeypatch, gpu_decoder)
    monkeypatch.setattr(gpu_decoder, "_has_kernels", lambda tensor: True)
    return "cpu"


@pytest.fixture
def problem(device):
    torch.manual_seed(0)
    drawn = (torch.randn(TOKENS, UNITS), torch.randn(WORDS, UNITS) * 0.3, torch.randn(WORDS))
    targets = torch.randint(0, WORDS, (TOKENS,))
    weights = [w.to(device).requires_grad_() for w in drawn]
    return weights, targets.to(device)


def exact(problem):
    inputs, targets = problem
    x, weight, bias = (tensor.double() for tensor in inputs)
    loss = F.cross_entropy(F.linear(x, weight, bias), targets, reduction="sum")
    return [loss.detach().float(), *torch.autograd.grad(3 * loss, inputs)]


def ours(problem, dtype=torch.float32):
    inputs, targets = problem
    loss = gpu_decoder_loss(*inputs, targets, dtype)
    return [loss.detach(), *torch.autograd.grad(3 * loss, inputs)]


def test_loss_and_gradients_are_those_of_the_whole_scores(problem):
    torch.testing.assert_close(ours(problem), exact(problem), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("dtype", "most"), [(torch.float32, 1e-5), (torch.bfloat16, 0.005)])
def test_parts_change_nothing_but_rounding(problem, dtype, most, monkeypatch):
    whole = ours(problem, dtype)
    monkeypatch.setattr(gpu_decoder, "ROOM_BYTES", 4 * WORDS * 11)
    for found, right in zip(ours(problem, dtype), whole, strict=True):
        assert (found - right).norm() / right.norm() < most


def test_products_in_bf16_are_as_near_as_bf16_is(problem):
    for found, right in zip(ours(problem, torch.bfloat16), exact(problem), strict=True):
        assert (found - right).norm() / right.norm() < 0.01


@pytest.mark.parametrize(("alike", "noise"), [(1, 0.01), (6, 0.08)])
@pytest.mark.parametrize("device", DEVICES)  # not interpreted: 20,000 programs
def test_what_tells_states_apart_that_are_nearly_alike_arrives_in_16_bits_too(device, alike, noise):
    """As `test_decoder` has it for the CPU's way."""
    torch.manual_seed(0)
    words = 3000
    mean, weight = alike * torch.rand(UNITS), 0.1 * torch.randn(words, UNITS)
    bias = -2.0 * torch.arange(1.0, words + 1).log()
    x = mean + noise * torch.randn(4096, UNITS)
    targets = torch.multinomial(torch.softmax(weight @ mean + bias, 0), 4096, replacement=True)
    problem = [w.to(device).requires_grad_() for w in (x, weight, bias)], targets.to(device)
    found, right = ours(problem, torch.bfloat16)[2], exact(problem)[2]
    same = F.normalize(problem[0][0].detach().mean(0), dim=0)

    def apart(gradient):
        return gradient - torch.outer(gradient @ same, same)

    assert float(apart(found - right).norm() / apart(right).norm()) < 0.02


def test_targets_may_be_a_column_of_a_batch(problem):
    """As those of a last window of one token are."""
    inputs, targets = problem
    column = torch.stack([targets.flip(0), targets], 1)[:, -1:].flatten()
    assert column.stride() == (2,)
    torch.testing.assert_close(ours((inputs, column)), exact(problem), atol=1e-4, rtol=1e-4)


def test_a_score_that_is_not_a_number_is_a_loss_that_is_not(problem):
    with torch.no_grad():
        problem[0][0][7, 3] = torch.nan
    assert ours(problem)[0].isnan()


def test_of_words_with_the_same_score_the_first_is_taken(problem):
    inputs, targets = problem
    with torch.no_grad():
        inputs[1][40:60] = inputs[1][40]
        inputs[2][40:60] = inputs[2].max() + 100
    for word, right in ((40, True), (41, False), (59, False)):
        targets[:] = word
        _, correct = gpu_decoder_score(*inputs, targets, torch.float32)
        assert int(correct) == (TOKENS if right else 0), word


def test_score_counts_the_words_that_are_right(problem):
    inputs, targets = problem
    scores = F.linear(*inputs)
    targets[:30] = scores[:30].argmax(1)
    loss, correct = gpu_decoder_score(*inputs, targets, torch.float32)
    torch.testing.assert_close(loss, F.cross_entropy(scores, targets, reduction="sum").detach())
    assert int(correct) == int((scores.argmax(1) == targets).sum()) >= 30
