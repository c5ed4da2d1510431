"""Runs one sweep as a driver process would: `drive.py spec.json [n]`; 130 when interrupted.

Where a number is given all workers are killed the moment that so many trials have ended: those that
wait for their next trial, and those that have one.
"""

import sys
from pathlib import Path

import psutil

from sweeps.run.launch import run_sweep
from sweeps.search.listener import RunListener
from sweeps.spec.load import spec_from_json


class Bereaved(RunListener):
    """Kills all workers after some trials."""

    def __init__(self, num_trials):
        self._left = num_trials

    def trial_ended(self, record):
        self._left -= 1
        if self._left == 0:
            for child in psutil.Process().children(recursive=True):
                if "".join(child.cmdline()[:1]).startswith("ray::Impl"):
                    child.kill()
                    child.wait()


if __name__ == "__main__":
    spec = spec_from_json(Path(sys.argv[1]).read_text(encoding="utf-8"))
    listener = Bereaved(int(sys.argv[2])) if len(sys.argv) > 2 else RunListener()
    try:
        summary = run_sweep(spec, listener)
    except KeyboardInterrupt:
        sys.exit(130)
    sys.stdout.write(f"trained {summary.num_trained} of {summary.num_recorded}\n")
