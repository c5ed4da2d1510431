"""Background: runs operations on one thread, in order, until each has succeeded.

An operation comes in under a name; a later one of the same name replaces it while it waits, so a
slow server receives the newest state once instead of every state late. A failing operation goes to
the end of the queue and the thread pauses; nothing is raised to the caller. Operations must be
idempotent.
"""

import logging
import math
import threading
import time
from collections.abc import Callable

from sweeps.errors import describe_error

_log = logging.getLogger(__name__)

Operation = Callable[[], None]


class Background:
    """One queue, one daemon thread.

    Args:
        name: Name of the thread, and of what is unreachable in log lines.
        pauses: Seconds to wait after the first, second, ... failure in a row; the last one repeats.
        grace_seconds: Seconds before the first operation, unless `flush` or `close` asks for it.
    """

    def __init__(
        self,
        name: str,
        *,
        pauses: tuple[float, ...],
        grace_seconds: float = 0.0,
    ) -> None:
        self._name = name
        self._pauses = pauses
        self._changed = threading.Condition()
        self._waiting: dict[str, Operation] = {}
        self._grace_seconds = grace_seconds
        self._busy = False
        self._hurried = False
        self._closing = False
        self._failures = 0
        self._failing_since: float | None = None
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def put(self, name: str, operation: Operation) -> None:
        """Queue an operation at the end; a waiting one of the same name is dropped."""
        with self._changed:
            self._waiting.pop(name, None)
            self._waiting[name] = operation
            self._changed.notify_all()

    def flush(self, timeout_seconds: float) -> bool:
        """Wait until everything queued has succeeded; whether it has."""
        with self._changed:
            self._hurry()
            return self._changed.wait_for(
                lambda: not self._waiting and not self._busy, timeout=timeout_seconds
            )

    def close(self, patience_seconds: float, limit_seconds: float = math.inf) -> int:
        """Stop once everything has succeeded, or nothing but failures came for `patience_seconds`.

        An operation at work is waited for: a large file may take minutes.

        Args:
            patience_seconds: From the first failure after a success on.
            limit_seconds: For all of them; a slow server may need hours.

        Returns:
            How many operations never succeeded.
        """
        begin = time.monotonic()
        with self._changed:
            self._hurry()
            while self._waiting or self._busy:
                until = begin + limit_seconds
                if self._failing_since is not None and not self._busy:
                    until = min(until, max(begin, self._failing_since) + patience_seconds)
                if not self._wait_until(until):
                    break
            left = len(self._waiting) + self._busy
            self._closing = True
            self._waiting.clear()
            self._changed.notify_all()
        self._thread.join(timeout=1.0)
        return left

    def _hurry(self) -> None:
        self._hurried = True
        self._changed.notify_all()

    def _wait_until(self, moment: float) -> bool:
        """Wait for a change; whether there was time left."""
        left = moment - time.monotonic()
        if left > 0:
            self._changed.wait(min(left, threading.TIMEOUT_MAX))
        return left > 0

    def _work(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._hurried, timeout=self._grace_seconds)
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closing)
                if self._closing:
                    return
                name = next(iter(self._waiting))
                operation = self._waiting.pop(name)
                self._busy = True
            error = self._attempt(operation)
            with self._changed:
                self._busy = False
                if error is None:
                    self._failing_since = None
                else:
                    self._failing_since = self._failing_since or time.monotonic()
                    self._waiting.setdefault(name, operation)  # a newer one is already there
                self._changed.notify_all()
            if error is not None:
                self._pause(error)

    def _attempt(self, operation: Operation) -> Exception | None:
        try:
            operation()
        except Exception as error:  # whatever the server or its client comes up with
            return error
        if self._failures:
            _log.info("%s: reached again", self._name)
        self._failures = 0
        return None

    def _pause(self, error: Exception) -> None:
        if self._failures == 0 and not self._closing:
            _log.warning("%s: will be tried again: %s", self._name, describe_error(error))
        seconds = self._pauses[min(self._failures, len(self._pauses) - 1)]
        self._failures += 1
        until = time.monotonic() + seconds
        with self._changed:
            self._changed.wait_for(lambda: self._closing, timeout=until - time.monotonic())
