"""A graph gives what the function gives: results, gradients and random numbers."""

import pytest
import torch
import torch.nn.functional as F

from tests.ulm.devices import needs_gpu
from ulm.training import graphs
from ulm.training.graphs import GraphedCalls

pytestmark = pytest.mark.torch


def _trained(model, x):
    loss = F.dropout(model(x), 0.5).square().sum()
    loss.backward()
    return loss.detach()


def test_on_a_cpu_the_function_is_called():
    model = torch.nn.Linear(3, 2)
    run = GraphedCalls(lambda x: _trained(model, x), model)
    x = torch.randn(4, 3)
    torch.manual_seed(1)
    first = run(x), model.weight.grad.clone()
    model.zero_grad()
    torch.manual_seed(1)
    assert torch.equal(first[0], _trained(model, x))
    assert torch.equal(first[1], model.weight.grad)


class _OnGpu(torch.Tensor):
    """A tensor that says it lies on a GPU."""

    is_cuda = True


def _refused(error):
    def record(*arguments):
        raise error

    return record


def test_where_nothing_can_be_recorded_the_function_is_called(monkeypatch, caplog):
    monkeypatch.setattr(graphs, "_Graph", _refused(RuntimeError("not permitted when capturing")))
    run = GraphedCalls(lambda x: x + 1, torch.nn.Linear(1, 1))
    x = torch.ones(2).as_subclass(_OnGpu)
    assert [run(x).tolist(), run(x).tolist()] == [[2.0, 2.0]] * 2
    assert [record.message for record in caplog.records] == [
        "training goes on without a CUDA graph, slower: not permitted when capturing"
    ]


def test_too_little_memory_for_a_graph_is_too_little_memory(monkeypatch):
    ended = RuntimeError("capture ended by an error before")
    ended.__context__ = torch.OutOfMemoryError("CUDA out of memory")
    run = GraphedCalls(lambda x: x + 1, torch.nn.Linear(1, 1))
    for error in (ended, ended.__context__):
        monkeypatch.setattr(graphs, "_Graph", _refused(error))
        with pytest.raises(RuntimeError) as raised:
            run(torch.ones(2).as_subclass(_OnGpu))
        assert raised.value is error


@needs_gpu
def test_a_graph_draws_and_returns_what_the_function_would():
    model = torch.nn.Linear(300, 200, device="cuda")
    run = GraphedCalls(lambda x: _trained(model, x), model)
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
