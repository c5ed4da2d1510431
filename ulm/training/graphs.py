"""CUDA graphs: the kernels of a function, recorded once and started together ever after.

A window of an AWD-LSTM is over a thousand small kernels, and Python and cuDNN take longer to start
them than a GPU takes to run them. Starting them as one graph halves a step at batch 64. Random
numbers go on as without a graph: recording draws none, and each replay draws the next ones.
"""

import logging
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

_log = logging.getLogger(__name__)

WARM_UPS = 2  # libraries choose and load kernels in the first calls


class GraphedCalls:
    """A function of tensors; on a GPU, calls with the shapes of the first one run as a graph.

    Args:
        function: What to run. It may leave gradients in the model and return tensors in lists and
            tuples; it must not wait for the GPU.
        model: The model whose gradients it leaves.
    """

    def __init__(self, function: Callable[..., Any], model: nn.Module) -> None:
        self._function, self._model = function, model
        self._run: Callable[..., Any] | None = None
        self._shapes: list[torch.Size] = []

    def __call__(self, *arguments: Tensor) -> Any:
        """Runs the function. On a GPU the next call overwrites what is returned."""
        if self._run is None:
            self._shapes = _shapes(arguments)
            self._run = self._recorded(arguments) if arguments[0].is_cuda else self._function
        run = self._run if _shapes(arguments) == self._shapes else self._function
        return run(*arguments)

    def _recorded(self, arguments: tuple[Tensor, ...]) -> Callable[..., Any]:
        try:
            return _Graph(self._function, self._model, arguments)
        except RuntimeError as error:
            if isinstance(error, torch.OutOfMemoryError) or isinstance(
                error.__context__, torch.OutOfMemoryError
            ):
                raise
            _log.warning("training goes on without a CUDA graph, slower: %s", error)
            return self._function


def _shapes(arguments: tuple[Tensor, ...]) -> list[torch.Size]:
    return [argument.shape for argument in arguments]


class _Graph:
    def __init__(
        self, function: Callable[..., Any], model: nn.Module, arguments: tuple[Tensor, ...]
    ) -> None:
        self._arguments = [argument.clone() for argument in arguments]
        parameters = list(model.parameters())
        device = arguments[0].device
        with torch.random.fork_rng(devices=[device]):
            aside = torch.cuda.Stream(device)
            aside.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(aside):
                for _ in range(WARM_UPS):
                    function(*self._arguments)
            torch.cuda.current_stream().wait_stream(aside)
            for parameter in parameters:
                parameter.grad = None
            self._graph = torch.cuda.CUDAGraph()
            # other threads of the process (Ray's) may use CUDA meanwhile
            with torch.cuda.graph(self._graph, capture_error_mode="thread_local"):
                self._results = function(*self._arguments)
        self._gradients = [(p, p.grad) for p in parameters if p.grad is not None]
        for parameter in parameters:
            parameter.grad = None

    def __call__(self, *arguments: Tensor) -> Any:
        for mine, given in zip(self._arguments, arguments, strict=True):
            mine.copy_(given)
        self._graph.replay()
        for parameter, gradient in self._gradients:
            parameter.grad = gradient
        return self._results
