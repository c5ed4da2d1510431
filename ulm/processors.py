"""Processors: how many this process may use, which a machine's number does not say; and GPUs.

Slurm and `taskset` leave a process some of them, a container has a quota of their time. Ray asks
for neither of the first two, and takes a quota below one for none.
"""

import os
import shutil
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")  # a container sees its own


def processors() -> int:
    """Processors that trials of this machine may take together, 1 or more."""
    affinity = getattr(os, "sched_getaffinity", None)  # Linux alone has it
    usable = len(affinity(0)) if affinity else os.cpu_count() or 1
    return max(1, min(usable, int(_quota(CGROUP, usable))))


def has_gpu() -> bool:
    """Whether there is a GPU here, without loading what would use it."""
    return shutil.which("nvidia-smi") is not None or any(Path("/dev").glob("nvidia[0-9]*"))


def _quota(root: Path, most: float) -> float:
    """Processors whose time a control group has; `most` where it has no limit."""
    for names in (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):  # v2, v1
        try:
            quota, period = " ".join((root / name).read_text() for name in names).split()
            return float(quota) / float(period) if float(quota) > 0 else most
        except (OSError, ValueError):  # there is none, or it is `max`
            continue
    return most
