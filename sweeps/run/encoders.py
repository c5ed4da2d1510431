"""Encoders: a content-addressed store of trained encoders on storage all workers share.

All that determines an encoder goes in as JSON and becomes its key; an encoder found under its key
is reused by any trial, seed or sweep instead of being trained. A folder, `s3://` and `gs://` work
alike (pyarrow.fs). An encoder appears whole: its manifest is written last, and one without a
manifest is not there. Two workers that save the same key write the same bytes.
"""

import hashlib
import json
import tempfile
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from pyarrow import fs

from sweeps.errors import StorageError
from sweeps.spec.meaning import JSON
from ulm.model.encoder import MANIFEST_FILE, WEIGHTS_FILE, Encoder

SUMMARY_FILE = "summary.json"

_KEPT: dict[tuple[str, str], Encoder] = {}
"""Encoders that many trials of one process start from: the general model."""


def key_for(determinants: Mapping[str, JSON]) -> str:
    """The key of what a set of determinants trains: 32 hex digits of their SHA-256."""
    text = json.dumps(determinants, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


class Encoders(Protocol):
    """Trained encoders by key."""

    def has(self, key: str) -> bool:
        """Whether a whole encoder is kept under a key."""
        ...

    def load(self, key: str, *, keep: bool = False) -> Encoder:
        """The encoder of a key.

        Args:
            key: From `key_for`.
            keep: Keep it in memory for later trials of this process.

        Raises:
            StorageError: There is none.
        """
        ...

    def summary(self, key: str) -> dict[str, Any]:
        """What was saved beside the encoder of a key: numbers of its training.

        Raises:
            StorageError: There is none.
        """
        ...

    def save(self, key: str, encoder: Encoder, summary: Mapping[str, Any]) -> None:
        """Keep an encoder and the JSON-able numbers of its training under a key."""
        ...


class EncoderStore:
    """Encoders in a folder, or under an s3:// or gs:// URI.

    Args:
        root: Absolute path or URI; made when first written to.
    """

    def __init__(self, root: str) -> None:
        self._root = root.rstrip("/")

    def has(self, key: str) -> bool:
        """See `Encoders.has`."""
        files, folder = self._place(key)
        return bool(files.get_file_info(f"{folder}/{SUMMARY_FILE}").type == fs.FileType.File)

    def load(self, key: str, *, keep: bool = False) -> Encoder:
        """See `Encoders.load`."""
        kept = _KEPT.get((self._root, key))
        if kept is not None:
            return kept
        encoder = self._read(key)
        if keep:
            _KEPT[self._root, key] = encoder
        return encoder

    def summary(self, key: str) -> dict[str, Any]:
        """See `Encoders.summary`."""
        files, folder = self._place(key)
        try:
            with files.open_input_stream(f"{folder}/{SUMMARY_FILE}") as stream:
                summary: dict[str, Any] = json.loads(stream.readall())
        except OSError as error:
            raise self._missing(key) from error
        return summary

    def save(self, key: str, encoder: Encoder, summary: Mapping[str, Any]) -> None:
        """See `Encoders.save`."""
        files, folder = self._place(key)
        files.create_dir(folder, recursive=True)
        with tempfile.TemporaryDirectory(prefix="encoder-") as local:
            encoder.save(Path(local))
            (Path(local) / SUMMARY_FILE).write_text(json.dumps(dict(summary)), encoding="utf-8")
            for name in (WEIGHTS_FILE, MANIFEST_FILE, SUMMARY_FILE):
                _put(Path(local) / name, files, f"{folder}/{name}")

    def _read(self, key: str) -> Encoder:
        if not self.has(key):
            raise self._missing(key)
        files, folder = self._place(key)
        if files.type_name == "local":
            return Encoder.load(Path(folder))
        with tempfile.TemporaryDirectory(prefix="encoder-") as local:
            fs.copy_files(folder, local, source_filesystem=files)
            return Encoder.load(Path(local))

    def _place(self, key: str) -> tuple[fs.FileSystem, str]:
        if "://" not in self._root:
            return fs.LocalFileSystem(), f"{self._root}/{key}"
        base, _, options = self._root.partition("?")
        place = f"{base.rstrip('/')}/{key}"
        files, folder = fs.FileSystem.from_uri(f"{place}?{options}" if options else place)
        return files, folder

    def _missing(self, key: str) -> StorageError:
        return StorageError(
            f"an encoder that a trial starts from must be in the store, found none with key {key} "
            f"under {self._root}: run the sweep with the storage it was trained on"
        )


class InMemoryEncoders:
    """Encoders in a dictionary, for tests and for trying things out."""

    def __init__(self) -> None:
        self._encoders: dict[str, tuple[Encoder, str]] = {}

    def has(self, key: str) -> bool:
        """See `Encoders.has`."""
        return key in self._encoders

    def load(self, key: str, *, keep: bool = False) -> Encoder:
        """See `Encoders.load`."""
        return self._entry(key)[0]

    def summary(self, key: str) -> dict[str, Any]:
        """See `Encoders.summary`."""
        summary: dict[str, Any] = json.loads(self._entry(key)[1])
        return summary

    def save(self, key: str, encoder: Encoder, summary: Mapping[str, Any]) -> None:
        """See `Encoders.save`."""
        self._encoders[key] = (encoder, json.dumps(dict(summary)))

    def _entry(self, key: str) -> tuple[Encoder, str]:
        if key not in self._encoders:
            raise StorageError(f"an encoder must be in the store, found none with key {key}")
        return self._encoders[key]


def _put(source: Path, files: fs.FileSystem, target: str) -> None:
    """Copies a file so that it appears whole: an object by nature, a local file by renaming."""
    if files.type_name != "local":
        fs.copy_files(str(source), target, destination_filesystem=files)
        return
    beside = f"{target}.{uuid.uuid4().hex[:8]}.part"
    fs.copy_files(str(source), beside, destination_filesystem=files)
    files.move(beside, target)
