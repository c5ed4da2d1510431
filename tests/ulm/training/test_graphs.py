"""A graph gives what the function gives: results, gradients and random numbers."""

import gc
import weakref

import pytest
import torch
import torch.nn.functional as F

from tests.ulm.devices import needs_gpu
from ulm.training.graphs import GraphedCalls

pytestmark = pytest.mark.torch


def _trained(model, x):
    loss = F.dropout(model(x), 0.5).square().sum()
    loss.backward()
    return loss.detach()


def test_on_a_cpu_the_function_is_called():
    model = torch.nn.Linear(3, 2)
    owner = _Owner(model)
    run = owner.run
    x = torch.randn(4, 3)
    torch.manual_seed(1)
    first = run(x), model.weight.grad.clone()
    model.zero_grad()
    torch.manual_seed(1)
    assert torch.equal(first[0], _trained(model, x))
    assert torch.equal(first[1], model.weight.grad)


class _Owner:
    def __init__(self, model):
        self.model = model
        self.run = GraphedCalls(self.trained, model)

    def trained(self, x):
        return _trained(self.model, x)


def test_a_graph_keeps_nobody_alive():
    owner = _Owner(torch.nn.Linear(3, 2))
    owner.run(torch.randn(4, 3))
    gone = weakref.ref(owner)
    gc.disable()
    try:
        del owner
        assert gone() is None
    finally:
        gc.enable()


@pytest.mark.gpu
@needs_gpu
def test_a_graph_draws_and_returns_what_the_function_would():
    model = torch.nn.Linear(300, 200, device="cuda")
    owner = _Owner(model)
    run = owner.run
    windows = [torch.randn(40, 300, device="cuda") for _ in range(4)] + [
        torch.randn(7, 300, device="cuda")  # not the shape of the first
    ]
    found = []
    for function in (lambda x: _trained(model, x), run):
        torch.manual_seed(5)
        for x in windows:
            loss = function(x).clone()
            found.append((loss, model.weight.grad.clone()))
            model.zero_grad(set_to_none=True)
    torch.testing.assert_close(found[:5], found[5:])
    assert len({float(loss) for loss, _ in found}) == 5
