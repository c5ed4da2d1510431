import os
import platform
import subprocess
import sys

import pytest

from sweeps.run.cluster import SETTINGS

pytestmark = pytest.mark.torch

SCRIPT = """
import resource, sys, threading, numpy
from ulm.training.memory import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()
def use():
    for _ in range(4):
        numpy.ones(16_000_000)  # 122 MiB
def measure():
    use()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    use()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
if sys.argv[2] == "thread":
    thread = threading.Thread(target=measure)
    thread.start()
    thread.join()
else:
    measure()
"""


def faults(how: str, where: str) -> int:
    output = subprocess.run(
        [sys.executable, "-c", SCRIPT, how, where],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | SETTINGS,
    ).stdout
    return int(output)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the allocator is not glibc's")
@pytest.mark.parametrize("where", ["main", "thread"])
def test_memory_that_was_freed_is_used_again_without_page_faults(where):
    """Also in a thread, as Tune trains, with the settings of a sweep's workers."""
    assert faults("keep", where) < faults("leave", where) / 10
