"""Runs one sweep as a driver process would: `drive.py spec.json`; 130 when interrupted."""

import sys
from pathlib import Path

from sweeps.live.progress import QuietProgress
from sweeps.run.launch import run_sweep
from sweeps.spec.load import spec_from_json

if __name__ == "__main__":
    spec = spec_from_json(Path(sys.argv[1]).read_text(encoding="utf-8"))
    try:
        summary = run_sweep(spec, QuietProgress())
    except KeyboardInterrupt:
        sys.exit(130)
    sys.stdout.write(f"trained {summary.num_trained} of {summary.num_recorded}\n")
