"""A Ray of its own for a benchmark, set as a run sets it, and processes of their own for its parts.

`own_ray` starts Ray for a block, with home, sockets and sessions in a folder that goes with it.
`in_own_process` runs a benchmark's part as `python FILE PART ARGUMENTS` and returns what it told:
what one part has loaded and left in memory is none of the next one's cost.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sweeps.run.cluster import SETTINGS
from sweeps.run.own_ray import OBJECT_STORE_BYTES


@contextmanager
def own_ray(folder: Path, cpus: int, settings: Mapping[str, str] = SETTINGS) -> Iterator[None]:
    """Ray for a block.

    Args:
        folder: For its files; a short path, for the sake of unix sockets.
        cpus: Trials of one CPU that may run at once, whatever the machine has.
        settings: Environment of Ray; that of a run where left out.
    """
    os.environ |= {**settings, "HOME": str(folder), "RAY_TMPDIR": str(folder)}
    import ray

    ray.init(
        address="local",
        num_cpus=cpus,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
        object_store_memory=OBJECT_STORE_BYTES,
        runtime_env={"env_vars": {"PYTHONPATH": os.pathsep.join(sys.path)}},
    )
    try:
        yield
    finally:
        ray.shutdown()


def in_own_process(file: str, *arguments: object) -> dict[str, Any]:
    """Run a benchmark's file again with arguments; the last line it prints is JSON."""
    command = [sys.executable, file, *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told
