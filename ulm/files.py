"""Files that appear whole: written beside their place, then renamed."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def part_of(file: Path) -> Iterator[Path]:
    """Where to write a file before it is renamed; nothing is left where that fails.

    Writers of one file do not meet, and what a killed one leaves ends in `.part`.
    """
    part = file.with_name(f"{file.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        yield part
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)
