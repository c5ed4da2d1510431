"""Keeps freed memory in this process, so that each training step finds its pages where they were.

glibc gives every large block back to the system and takes new, zeroed pages for the next one: tens
of thousands of page faults in each step, an eighth of a small language model's time (and a third of
fastai's). Nothing else changes, except that memory once used stays with the process until it ends.

Threads have arenas of their own, which map large blocks all the same: who trains in one sets
`MALLOC_ARENA_MAX=1` before the process starts, as a sweep does for its workers.
"""

import ctypes
from functools import cache

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
NEVER = 2**31 - 1


@cache
def keep_freed_memory() -> bool:
    """Tells the allocator, once; False where it is not glibc's."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return False
    return bool(mallopt(M_MMAP_MAX, 0) and mallopt(M_TRIM_THRESHOLD, NEVER))
