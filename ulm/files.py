"""Files that appear whole: written beside their place, then renamed."""

import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any


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


def write_model(
    weights: Path, save: Callable[[Path], object], manifest: Path, said: Mapping[str, Any]
) -> None:
    """Write the weights of a model, then the manifest that says they are whole.

    Args:
        weights: File of the weights; its folder is made where missing.
        save: Writes them to a place; safetensors lets nobody else read what it writes.
        manifest: File of the manifest, gone while the weights are written.
        said: What it says, JSON-able.
    """
    weights.parent.mkdir(parents=True, exist_ok=True)
    manifest.unlink(missing_ok=True)
    with part_of(weights) as part:
        part.touch()
        mode = part.stat().st_mode
        save(part)
        part.chmod(mode)
    with part_of(manifest) as part:
        part.write_text(json.dumps(said, ensure_ascii=False), encoding="utf-8")
