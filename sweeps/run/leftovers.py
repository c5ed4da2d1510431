"""Leftovers: what a run that was killed could not delete, deleted by the next one.

The paths of a sweep come in, of which the caller holds the driver's lock: half-written files and
the checkpoints of trials that nobody will go on with. The encoder store is shared: another sweep
may be writing there, so a half-written file goes once nobody has written to it for an hour.
"""

import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from sweeps.paths import SweepPaths

PART = "*.part"
IDLE_SECONDS = 3600.0


def remove_leftovers(paths: SweepPaths) -> None:
    """Delete what earlier runs of a sweep left half-written in folders of this machine."""
    shutil.rmtree(paths.ray, ignore_errors=True)
    for left in (*paths.folder.rglob(PART), *_idle(paths.encoders)):
        with suppress(OSError):  # another one deletes it too
            left.unlink()


def _idle(folder: Path) -> Iterator[Path]:
    for part in folder.glob(f"*/{PART}"):
        with suppress(OSError):
            if time.time() - part.stat().st_mtime > IDLE_SECONDS:
                yield part
