"""The decoder's loss is cross-entropy over all scores, and so are its gradients."""

import pytest
import torch
import torch.nn.functional as F

from ulm.model import decoder
from ulm.model.decoder import decoder_loss, decoder_score

pytestmark = [pytest.mark.torch, pytest.mark.usefixtures("library")]

TOKENS, UNITS, WORDS = 600, 24, 3000


@pytest.fixture
def problem():
    torch.manual_seed(0)
    weights = (torch.randn(TOKENS, UNITS), torch.randn(WORDS, UNITS) * 0.1, torch.randn(WORDS))
    return [w.requires_grad_() for w in weights], torch.randint(0, WORDS, (TOKENS,))


def plain_loss(x, weight, bias, targets):
    return F.cross_entropy(F.linear(x, weight, bias), targets)


def loss_and_gradients(loss_of, problem, dtype=torch.float32):
    inputs, targets = problem
    loss = loss_of(*(tensor.to(dtype) for tensor in inputs), targets)
    gradients = torch.autograd.grad(3 * loss, inputs)
    return [loss.detach().float(), *gradients]


def test_loss_and_gradients_are_those_of_the_whole_scores(problem):
    ours = loss_and_gradients(decoder_loss, problem)
    exact = loss_and_gradients(plain_loss, problem, torch.float64)
    torch.testing.assert_close(ours, exact, atol=1e-6, rtol=1e-4)


def test_a_right_word_that_is_all_but_impossible_has_an_exact_loss_and_gradient(problem):
    inputs, targets = problem
    with torch.no_grad():
        inputs[2][targets[:5]] = torch.tensor([-60.0, -90.0, -200.0, -1000.0, 400.0])
    ours = loss_and_gradients(decoder_loss, problem)
    exact = loss_and_gradients(plain_loss, problem, torch.float64)
    assert float(ours[0]) > 4
    torch.testing.assert_close(ours, exact, atol=1e-5, rtol=1e-4)


def test_both_ways_of_taking_exponentials_agree(problem, monkeypatch):
    fast = loss_and_gradients(decoder_loss, problem)
    monkeypatch.setattr(decoder, "LARGEST_SUM", 1.0)
    torch.testing.assert_close(
        loss_and_gradients(decoder_loss, problem), fast, atol=1e-6, rtol=1e-4
    )


@pytest.mark.parametrize("is_lowered", [False, True])
@pytest.mark.parametrize("scale", [1e2, 1e4, 1e9])
def test_scores_beyond_all_exponentials_have_a_finite_loss_and_gradients(
    problem, scale, is_lowered
):
    (x, weight, bias), _ = problem
    with torch.no_grad():
        x *= scale
    right = F.linear(x, weight, bias).argmax(1)
    with torch.autocast("cpu", torch.bfloat16, enabled=is_lowered):
        found = loss_and_gradients(decoder_loss, ([x, weight, bias], right))
    assert all(tensor.isfinite().all() for tensor in found)


def test_a_score_that_is_not_a_number_is_a_loss_that_is_not(problem):
    with torch.no_grad():
        problem[0][0][7, 3] = torch.nan
    assert loss_and_gradients(decoder_loss, problem)[0].isnan()


def test_autocast_keeps_the_loss_and_gives_gradients_of_the_parameters_dtype(problem):
    exact = loss_and_gradients(plain_loss, problem)
    with torch.autocast("cpu", torch.bfloat16):
        lowered = loss_and_gradients(decoder_loss, problem)
    assert float(lowered[0]) == pytest.approx(float(exact[0]), abs=1e-3)
    for ours, wanted in zip(lowered[1:], exact[1:], strict=True):
        assert ours.dtype == torch.float32
        assert float((ours - wanted).norm() / wanted.norm()) < 0.02


def test_what_tells_states_apart_that_are_nearly_alike_arrives_in_16_bits_too():
    """A model that has learnt how frequent words are, and has yet to learn anything else."""
    torch.manual_seed(0)
    alike, weight = torch.rand(UNITS), torch.randn(WORDS, UNITS) * 0.1
    bias = -2.0 * torch.arange(1.0, WORDS + 1).log()
    x = alike + 0.01 * torch.randn(4096, UNITS)
    targets = torch.multinomial(torch.softmax(weight @ alike + bias, 0), 4096, replacement=True)
    problem = [tensor.requires_grad_() for tensor in (x, weight, bias)], targets
    exact = loss_and_gradients(plain_loss, problem)[2]
    with torch.autocast("cpu", torch.bfloat16):
        ours = loss_and_gradients(decoder_loss, problem)[2]
    mean = F.normalize(x.detach().mean(0), dim=0)

    def apart(gradient):
        return gradient - torch.outer(gradient @ mean, mean)

    assert float(apart(ours - exact).norm() / apart(exact).norm()) < 0.02


@pytest.mark.parametrize("is_lowered", [False, True])
def test_the_score_is_that_of_the_whole_scores_under_autocast_too(problem, is_lowered):
    (x, weight, bias), targets = problem
    x = x.bfloat16()
    with torch.autocast("cpu", torch.bfloat16, enabled=is_lowered):
        loss, correct = decoder_score(x, weight, bias, targets)
    x = x.float()
    scores = F.linear(x, weight, bias)
    wanted = plain_loss(x, weight, bias, targets).detach()
    assert float(loss) == pytest.approx(TOKENS * float(wanted), rel=1e-5)
    assert int(correct) == int((scores.argmax(1) == targets).sum())
