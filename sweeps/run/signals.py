"""Signals: a polite end of a run that is told to stop.

For a `with` block SIGTERM and SIGHUP, a terminal that is closed, do what Ctrl-C does, or what a
library does to signals is undone.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def terminated_like_interrupt() -> Iterator[None]:
    """SIGTERM and SIGHUP do in the block what Ctrl-C does, where this is the main thread.

    Also where SIGINT is ignored, as a shell sets it for what it runs in the background. SIGHUP that
    is ignored, as by nohup, stays so.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
            raise KeyboardInterrupt
        signal.raise_signal(signal.SIGINT)  # whoever listens to it, Tune for one

    ends = [n for n in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(n) != signal.SIG_IGN]
    before = {number: signal.signal(number, interrupt) for number in ends}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def signals_as_before() -> Iterator[None]:
    """After the block SIGINT and SIGTERM are handled as before it, where this is the main thread.

    Also where the block has changed it below Python, as Ray's shutdown does: Python then still
    names the handler of before, and the system no longer calls it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
