"""Clock: unix seconds that do not jump while a process runs.

Machines set their clocks: after booting, on resuming, by hand. Seconds that trials held, budgets
and the order of events would jump with them. So the wall clock is read once, and a clock that only
runs on is added to it.
"""

import time

_BEGIN = time.time() - time.monotonic()


def steady_time() -> float:
    """Unix seconds, as the machine knew them when this process began."""
    return _BEGIN + time.monotonic()
