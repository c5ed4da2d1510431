"""Outage: a ledger's server that does not answer for a while is waited for.

A server is restarted, or another takes its place, in a minute or two; a run that ended for it would
leave a cluster idle until somebody looks. A file has no outages.
"""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from sqlalchemy.exc import InterfaceError, InternalError, OperationalError

from sweeps.search.database import database_error, reason_of

T = TypeVar("T")

PATIENCE_SECONDS = 300.0
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 10.0
AWAY = (OperationalError, InterfaceError, InternalError)  # the last where it may only be read now


class Outage:
    """How writes outlast a server that is away.

    Args:
        tell: Hears when it is waited for, and when it is back; None where it is not waited for.
        clock: Monotonic seconds.
        sleep: Waits for some seconds.
    """

    def __init__(
        self,
        tell: Callable[[str], None] | None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._tell = tell
        self._clock = clock
        self._sleep = sleep
        self._give_up_at: float | None = None

    def outlast(self, write: Callable[[bool], T]) -> T:
        """What a write returns, made again until the server is back or patience ends.

        Args:
            write: Is told whether it is made again. The one before may have been kept, with its
                answer lost.

        Raises:
            Exception: What the write raises, where it is no outage or one that lasts.
        """
        done = self._attempt(write, is_again=False)
        if done is None:
            try:
                with _interruptible():
                    done = self._until_back(write)
            except KeyboardInterrupt:  # what is written at the end of the run waits no more
                self._give_up_at = self._clock()
                raise
        return done[0]

    def _until_back(self, write: Callable[[bool], T]) -> tuple[T]:
        pause = FIRST_PAUSE_SECONDS
        while True:
            self._sleep(pause)
            done = self._attempt(write, is_again=True)
            if done is not None:
                return done
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    def _attempt(self, write: Callable[[bool], T], *, is_again: bool) -> tuple[T] | None:
        """What the write returns; None where the server is waited for."""
        try:
            result = write(is_again)
        except Exception as error:
            if not self._is_waited_for(error):
                raise
            return None
        self._is_back()
        return (result,)

    def _is_waited_for(self, error: Exception) -> bool:
        cause = database_error(error)
        if self._tell is None or not isinstance(cause, AWAY):
            return False
        if self._give_up_at is None:
            self._give_up_at = self._clock() + PATIENCE_SECONDS
            self._tell(
                f"the ledger's database does not answer ({reason_of(cause)}): no trial starts or "
                f"ends until it does, for {PATIENCE_SECONDS / 60:.0f} minutes"
            )
        return self._clock() < self._give_up_at

    def _is_back(self) -> None:
        if self._give_up_at is not None and self._tell is not None:
            self._tell("the ledger's database answers again")
        self._give_up_at = None


@contextmanager
def _interruptible() -> Iterator[None]:
    """Ctrl-C interrupts the block; Tune's handler takes note of it, and would let it wait on."""
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or before is signal.SIG_IGN:
        yield
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
