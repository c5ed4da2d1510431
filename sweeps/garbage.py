"""Garbage: how often Python looks for cycles among objects that nothing else refers to.

A process here loads 400,000 objects with its libraries, and they stay. Looking at all of them takes
0.16 s, and Python does so several times while they are loaded: a seventh of the time that takes.
"""

import gc
from functools import lru_cache

NEW_OBJECTS = 100_000  # 700 in Python


def collect_rarely() -> None:
    """Look at new objects only when there are many; called when a process begins."""
    gc.set_threshold(NEW_OBJECTS)


def collect() -> None:
    """Look at all objects but those that were there when this was first called."""
    gc.collect()
    _set_aside()


@lru_cache(maxsize=1)
def _set_aside() -> None:
    gc.freeze()
