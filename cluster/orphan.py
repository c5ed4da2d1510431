"""Orphans: stops a worker machine whose cluster is gone, so that it does not cost on for ever.

The head ends idle workers. A head that is lost ends none: a minute later their Ray nodes end by
themselves, and the machines go on. This looks at the processes of its own machine; when none of
them has been a Ray node for some minutes, the machine is shut down. A worker's first setup command
starts it, before anything is installed, and keeps it single; stdlib alone.

A decision worth knowing: any Ray node on the machine counts, so a `ray up` that restarts Ray here
within those minutes, with whatever it installs before, starts the count anew.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

RAYLET = "raylet"  # Ray's process of a node
EVERY_SECONDS = 30.0
PROCESSES = Path("/proc")
SHUTDOWN = ("sudo", "-n", "shutdown", "-h", "now")


def has_ray_node(processes: Path = PROCESSES) -> bool:
    """Whether a Ray node runs on this machine.

    Args:
        processes: The kernel's folder of processes.
    """
    return any(_program_of(process) == RAYLET for process in processes.glob("[0-9]*"))


def watch(
    has_node: Callable[[], bool],
    stop: Callable[[], None],
    *,
    patience_seconds: float,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Wait until there has been no Ray node for so long, then stop the machine once.

    Args:
        has_node: Whether there is one now.
        stop: Stops the machine.
        patience_seconds: From the last look that found one, or from the first look.
        sleep: Waits for so many seconds.
        clock: Seconds that only grow.
    """
    seen_seconds = clock()
    while True:
        if has_node():
            seen_seconds = clock()
        elif clock() - seen_seconds >= patience_seconds:
            _log(f"no Ray node for {patience_seconds / 60:g} minutes: stopping this machine")
            stop()
            return
        sleep(EVERY_SECONDS)


def stop_machine() -> None:
    """Shut this machine down; what its cloud does then is in the cluster file.

    Raises:
        subprocess.CalledProcessError: This user may not.
    """
    subprocess.run(SHUTDOWN, check=True)


def _program_of(process: Path) -> str:
    """The name of its file; none for a process that has ended, waited for or not."""
    try:
        program, _, _ = (process / "cmdline").read_bytes().partition(b"\0")
    except OSError:
        return ""
    return Path(program.decode(errors="replace")).name


def _log(line: str) -> None:
    print(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} orphan: {line}", flush=True)


def main(arguments: list[str] | None = None) -> int:
    """Watch until this machine is to stop."""
    parser = argparse.ArgumentParser(description="Stop this machine when its Ray node is gone.")
    parser.add_argument("--stop-after-minutes", type=float, required=True)
    options = parser.parse_args(arguments)
    _log(f"watching for {options.stop_after_minutes:g} minutes without a Ray node")
    watch(has_ray_node, stop_machine, patience_seconds=options.stop_after_minutes * 60)
    return 0


if __name__ == "__main__":
    sys.exit(main())
