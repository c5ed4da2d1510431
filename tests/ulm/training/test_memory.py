import platform
import subprocess
import sys

import pytest

pytestmark = pytest.mark.torch

SCRIPT = """
import resource, sys, numpy
from ulm.training.memory import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()
def use():
    for _ in range(4):
        numpy.ones(16_000_000)  # 122 MiB
use()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
use()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how: str) -> int:
    output = subprocess.run(
        [sys.executable, "-c", SCRIPT, how], check=True, capture_output=True, text=True
    ).stdout
    return int(output)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the allocator is not glibc's")
def test_memory_that_was_freed_is_used_again_without_page_faults():
    assert faults("keep") < faults("leave") / 10
