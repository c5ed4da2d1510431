"""Leftovers: what a run that was killed could not delete, deleted by the next one.

The paths of a sweep come in, of which the caller holds the lock: temporary and half-written
files go. Checkpoints stay: trials go on from them (`sweeps.run.checkpoints`). Encoders and token
arrays are shared: another sweep may be writing there, so what is half-written goes once it is idle
for an hour.
"""

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sweeps.paths import SweepPaths

PART = "*.part"
IDLE_SECONDS = 3600.0


def remove_leftovers(paths: SweepPaths) -> None:
    """Delete what earlier runs of a sweep left half-written in folders of this machine."""
    shutil.rmtree(paths.temporary, ignore_errors=True)
    for left in (*paths.folder.rglob(PART), *_idle(paths.encoders), *_idle(paths.tokens)):
        shutil.rmtree(left, ignore_errors=True)  # a folder that was being fetched
        with suppress(OSError):  # another one deletes it too
            left.unlink()


@contextmanager
def temporary_files_in(folder: Path) -> Iterator[None]:
    """Temporary files of this process lie in a folder for the length of a block, and go with it."""
    before = tempfile.tempdir
    folder.mkdir(exist_ok=True)
    tempfile.tempdir = str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = before
        shutil.rmtree(folder, ignore_errors=True)


def _idle(folder: Path) -> Iterator[Path]:
    for part in (*folder.glob(PART), *folder.glob(f"*/{PART}")):
        with suppress(OSError):
            newest = max(file.stat().st_mtime for file in (part, *part.rglob("*")))
            if time.time() - newest > IDLE_SECONDS:
                yield part
