"""Triton, in which kernels for a GPU are written; where they can be built, and where they pay.

It comes with torch for GPUs and needs a C compiler. To start a kernel from Python takes longer than
many of them run: what starts hundreds for a window asks whether they are recorded.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache

try:
    import triton
    from triton import language as tl
except ImportError:  # torch for CPUs and for Windows comes without
    triton = tl = None

__all__ = ["are_recorded", "can_build", "recorded", "tl", "triton"]

_log = logging.getLogger(__name__)

_recorded = ContextVar("recorded", default=False)


@cache
def can_build(kernels: Callable[[], None]) -> bool:
    """Whether kernels can be built here; warns where Triton is there and they can not.

    Args:
        kernels: Runs them once, on little.
    """
    if triton is None:
        return False
    try:
        kernels()
    except Exception as error:  # whatever a compiler, linker or driver says
        if "out of memory" in str(error):  # by torch or by the driver; it passes
            raise
        _log.warning(
            "kernels for the GPU can not be built, training goes on without them, slower (%s: %s); "
            "a C compiler on this machine is what they need",
            type(error).__name__,
            error,
        )
        return False
    return True


@contextmanager
def recorded() -> Iterator[None]:
    """Kernels of a function that is recorded as a graph: hundreds of them cost no start each."""
    token = _recorded.set(True)
    try:
        yield
    finally:
        _recorded.reset(token)


def are_recorded() -> bool:
    """Whether kernels started here are recorded."""
    return _recorded.get()
