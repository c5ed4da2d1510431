"""CUDA graphs: the kernels of a function, recorded once and started together ever after.

A window of an AWD-LSTM is over a thousand small kernels, and Python and cuDNN take longer to start
them than a GPU takes to run them: at batch 64 12 ms and more for 7 of running. Random numbers go on
as without a graph: recording draws none, and each replay draws the next ones.
"""

import gc
import weakref
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from ulm.model.kernels import recorded

WARM_UPS = 2  # libraries choose and load kernels in the first calls


class GraphedCalls:
    """A method of tensors; on a GPU, calls with the shapes of the first one run as a graph.

    A graph does what the first call did: the model is always in the same mode, and gradients and
    autocast are on or off as they were.

    Args:
        method: What to run, held weakly: who owns a graph is not kept alive by it. It may leave
            gradients in the model and return tensors in lists and tuples; it must not wait for the
            GPU.
        model: The model whose gradients it leaves.
    """

    def __init__(self, method: Callable[..., Any], model: nn.Module) -> None:
        self._method = weakref.WeakMethod(method)
        self._model = model
        self._graph: _Graph | None = None
        self._shapes: list[torch.Size] = []

    def __call__(self, *arguments: Tensor) -> Any:
        """Runs the method. On a GPU the next call overwrites what is returned."""
        run = self._method()
        assert run is not None, "the owner calls"
        if not arguments[0].is_cuda:
            return run(*arguments)
        shapes = [argument.shape for argument in arguments]
        if self._graph is None:
            self._shapes = shapes
            with recorded():
                self._graph = _Graph(run, self._model, arguments)
        return (self._graph if shapes == self._shapes else run)(*arguments)


class _Graph:
    def __init__(
        self, run: Callable[..., Any], model: nn.Module, arguments: tuple[Tensor, ...]
    ) -> None:
        # A graph that dies takes work space along that all graphs share: before one is recorded,
        # not after (pytorch issue 193402).
        gc.collect()
        self._arguments = [argument.clone() for argument in arguments]
        parameters = list(model.parameters())
        device = arguments[0].device
        warm_up, record = _streams(device)
        with torch.random.fork_rng(devices=[device]):
            warm_up.wait_stream(torch.cuda.current_stream(device))
            with torch.cuda.stream(warm_up):
                for _ in range(WARM_UPS):
                    run(*self._arguments)
            torch.cuda.current_stream(device).wait_stream(warm_up)
            _forget_gradients(parameters)
            self._graph = torch.cuda.CUDAGraph()
            # other threads of the process (Ray's) may use CUDA meanwhile
            with torch.cuda.graph(self._graph, stream=record, capture_error_mode="thread_local"):
                self._results = run(*self._arguments)
        self._gradients = [(p, p.grad) for p in parameters if p.grad is not None]
        _forget_gradients(parameters)

    def __call__(self, *arguments: Tensor) -> Any:
        for kept, given in zip(self._arguments, arguments, strict=True):
            kept.copy_(given)
        self._graph.replay()
        for parameter, gradient in self._gradients:
            parameter.grad = gradient
        return self._results


@cache
def _streams(device: torch.device) -> tuple[torch.cuda.Stream, torch.cuda.Stream]:
    """To warm up on and to record on, for all graphs of a GPU.

    Libraries keep work space for every stream they have seen. torch's own to record on stays on the
    GPU of the process's first graph.
    """
    return torch.cuda.Stream(device), torch.cuda.Stream(device)


def _forget_gradients(parameters: list[nn.Parameter]) -> None:
    for parameter in parameters:
        parameter.grad = None
