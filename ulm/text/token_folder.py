"""A token array on disk: how its folder is written, checked and read.

`TokenChunk` values stream in and are appended to one file; a folder appears whole by renaming, its
manifest written last. Loading maps the arrays into memory and compares the size and digest of each
file with the manifest, so that a folder that a disk or a copy has damaged is noticed before it is
used.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ulm.errors import TokenError
from ulm.text.corpora import Corpus, LeftOut
from ulm.text.tokeniser import TokenChunk

FORMAT = 1
RULES_VERSION = "fastai1"
"""Names tokeniser and rules in folder names; raised when either gives other tokens."""

FINGERPRINT_DIGITS = 16
FINGERPRINT = "[0-9a-f]" * FINGERPRINT_DIGITS
"""Matches what stands between the name of a corpus and the rules in the name of its folder."""

MANIFEST = "manifest.json"
ARRAYS = ("ids", "offsets", "parts", "labels")


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenCost:
    """What making a token array took.

    Args:
        wall_seconds: from the first document to the last.
        peak_gib: sum of the largest resident memory of this process and of each worker.
        processes: workers, or 1 where this process did the work.
    """

    wall_seconds: float
    peak_gib: float
    processes: int


class ChunkWriter:
    """Appends chunks to a folder and numbers their types in order of first appearance.

    Args:
        folder: an existing, empty folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lengths: list[NDArray[np.int64]] = []
        self.peak_bytes: dict[int, int] = {}
        self._number_of: dict[str, int] = {}
        self._raw = folder / "ids.raw"

    def append(self, chunks: Iterable[TokenChunk]) -> Iterable[int]:
        """Append chunks; yields the number of documents of each once it is written."""
        with self._raw.open("wb") as file:
            for chunk in chunks:
                lookup = np.array(
                    [self._number_of.setdefault(t, len(self._number_of)) for t in chunk.types],
                    dtype=np.uint32,
                )
                file.write(lookup[chunk.ids].tobytes())
                self.lengths.append(chunk.lengths)
                self.peak_bytes[chunk.process] = chunk.peak_bytes
                yield len(chunk.lengths)

    def finish(self, corpus: Corpus, cost: TokenCost) -> None:
        """Write the arrays, the types and, last, the manifest."""
        offsets = np.concatenate([[0], np.cumsum(np.concatenate(self.lengths))]).astype(np.int64)
        types = list(self._number_of)
        self._write_ids(np.min_scalar_type(len(types) - 1))
        np.save(self.folder / "offsets.npy", offsets)
        np.save(self.folder / "parts.npy", corpus.parts)
        np.save(self.folder / "labels.npy", corpus.labels)
        (self.folder / "types.json").write_text(json.dumps(types), encoding="utf-8")
        manifest = {
            "format": FORMAT,
            "name": corpus.name,
            "fingerprint": corpus.fingerprint,
            "rules": RULES_VERSION,
            "label_names": list(corpus.label_names),
            "num_documents": len(corpus),
            "num_tokens": int(offsets[-1]),
            "num_types": len(types),
            "left_out": asdict(corpus.left_out),
            "cost": asdict(cost),
            "versions": {name: version(name) for name in ("fastai", "spacy", "numpy")},
            "bytes": {path.name: path.stat().st_size for path in sorted(self.folder.iterdir())},
            "sha256": {path.name: _digest(path) for path in sorted(self.folder.iterdir())},
        }
        (self.folder / MANIFEST).write_text(json.dumps(manifest, indent=2), encoding="utf-8")

    def _write_ids(self, dtype: np.dtype[Any]) -> None:
        raw = np.memmap(self._raw, dtype=np.uint32, mode="r")
        out = np.lib.format.open_memmap(
            self.folder / "ids.npy", mode="w+", dtype=dtype, shape=raw.shape
        )
        block = 1 << 22
        for start in range(0, len(raw), block):
            out[start : start + block] = raw[start : start + block]
        out.flush()
        del raw, out
        self._raw.unlink()


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def folder_name(name: str, fingerprint: str) -> str:
    """Return the content address of a corpus: name, fingerprint and rules."""
    return f"{name}-{fingerprint[:FINGERPRINT_DIGITS]}-{RULES_VERSION}"


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read and check the manifest of a token folder, and every file it names.

    Raises:
        TokenError: where it is missing, damaged, of another format, or a file is not as it says.
    """
    path = folder / MANIFEST
    remedy = f"remove the folder {folder} and start again"
    if not path.is_file():
        raise TokenError(f"{folder}: a token folder needs a {MANIFEST}, found none; {remedy}")
    try:
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        found, sizes = manifest["format"], dict(manifest["bytes"])
        digests = dict(manifest["sha256"])
        TokenCost(**manifest["cost"]), left_out_of(manifest)
        if missing := {"name", "fingerprint", "label_names"} - manifest.keys():
            raise KeyError(*missing)
    except (ValueError, KeyError, TypeError) as error:
        raise TokenError(f"{path} must be a manifest, found {error!r}; {remedy}") from error
    if found != FORMAT:
        raise TokenError(f"{folder}: format must be {FORMAT}, found {found}; {remedy}")
    for name, size_bytes in sizes.items():
        file = folder / name
        found_bytes = file.stat().st_size if file.is_file() else 0
        if found_bytes != size_bytes:
            raise TokenError(f"{file} must have {size_bytes} bytes, found {found_bytes}; {remedy}")
        if _digest(file) != digests.get(name):
            raise TokenError(f"{file} must be as it was written, found other bytes; {remedy}")
    return manifest


def left_out_of(manifest: dict[str, Any]) -> LeftOut:
    """What of the source is not among the documents; earlier versions knew of repeats alone."""
    return LeftOut(**manifest.get("left_out", {"repeats": manifest.get("num_dropped", 0)}))


def read_arrays(folder: Path) -> dict[str, NDArray[Any]]:
    """Map the arrays of a token folder into memory, read-only; small ones are read."""
    return {
        name: np.load(folder / f"{name}.npy", mmap_mode="r" if name == "ids" else None)
        for name in ARRAYS
    }


def read_types(folder: Path) -> tuple[str, ...]:
    """Read the token strings of a token folder."""
    return tuple(json.loads((folder / "types.json").read_text(encoding="utf-8")))


def is_whole(folder: Path) -> bool:
    """Whether a folder is there and as it was written; reads all of it."""
    try:
        read_manifest(folder)
    except TokenError:
        return False
    return True


def publish(temporary: Path, folder: Path) -> None:
    """Let a finished folder appear under its name, replacing a half-written one."""
    if folder.exists():
        shutil.rmtree(folder)
    os.rename(temporary, folder)
