"""Memory: the largest resident memory of a run, of the driver, of a worker and of all together.

A thread samples this process and its descendants while a `with` block runs; peaks come out in GiB.
Pages that processes share are counted for each, so the sum is an upper bound.
"""

import threading
from dataclasses import dataclass
from typing import Self

import psutil

GIB = 2**30
WORKER_PREFIX = "ray::"  # Ray names its workers after what they run


@dataclass(frozen=True, kw_only=True, slots=True)
class MemoryPeak:
    """Peaks of resident memory, in GiB.

    Args:
        driver_gib: This process.
        worker_gib: The largest worker; 0 where none ran.
        total_gib: This process and all its descendants at one moment.
    """

    driver_gib: float = 0.0
    worker_gib: float = 0.0
    total_gib: float = 0.0

    def __str__(self) -> str:
        return (
            f"driver {self.driver_gib:.2f} GiB, largest worker {self.worker_gib:.2f} GiB, "
            f"all processes together {self.total_gib:.2f} GiB"
        )

    def larger(self, other: "MemoryPeak") -> "MemoryPeak":
        """The larger of both, number by number."""
        return MemoryPeak(
            driver_gib=max(self.driver_gib, other.driver_gib),
            worker_gib=max(self.worker_gib, other.worker_gib),
            total_gib=max(self.total_gib, other.total_gib),
        )


def sample_memory(process: psutil.Process) -> MemoryPeak:
    """Resident memory of a process and its descendants now."""
    driver_bytes = process.memory_info().rss
    worker_bytes, total_bytes = 0, driver_bytes
    for child in process.children(recursive=True):
        try:
            resident = child.memory_info().rss
            is_worker = "".join(child.cmdline()[:1]).startswith(WORKER_PREFIX)
        except psutil.Error:  # it ended meanwhile
            continue
        total_bytes += resident
        if is_worker:
            worker_bytes = max(worker_bytes, resident)
    return MemoryPeak(
        driver_gib=driver_bytes / GIB,
        worker_gib=worker_bytes / GIB,
        total_gib=total_bytes / GIB,
    )


class MemoryWatch:
    """Samples while its `with` block runs.

    Args:
        interval_seconds: Time between two samples.
    """

    def __init__(self, *, interval_seconds: float = 1.0) -> None:
        self.peak = MemoryPeak()
        self._interval_seconds = interval_seconds
        self._process = psutil.Process()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="memory", daemon=True)

    def __enter__(self) -> Self:
        self._sample()
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._thread.join()
        self._sample()

    def _watch(self) -> None:
        while not self._ended.wait(self._interval_seconds):
            self._sample()

    def _sample(self) -> None:
        try:
            self.peak = self.peak.larger(sample_memory(self._process))
        except psutil.Error:  # a process vanished between listing and asking
            return
