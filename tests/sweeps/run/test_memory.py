import numpy as np

from sweeps.run.memory import MemoryPeak, MemoryWatch


def test_the_watch_sees_memory_that_came_and_went():
    with MemoryWatch(interval_seconds=0.005) as watch:
        begin = watch.peak.driver_gib
        block = np.ones(300 * 2**20 // 8)
        seen = watch._sample  # one sample for certain, whatever the thread does
        seen()
        del block
    assert watch.peak.driver_gib >= begin + 0.25
    assert watch.peak.total_gib >= watch.peak.driver_gib


def test_peaks_are_the_largest_of_each():
    one = MemoryPeak(driver_gib=1.0, worker_gib=2.0, total_gib=3.0)
    other = MemoryPeak(driver_gib=2.0, worker_gib=1.0, total_gib=5.0)
    assert one.larger(other) == MemoryPeak(driver_gib=2.0, worker_gib=2.0, total_gib=5.0)
    assert "all processes together 3.00 GiB" in str(one)
