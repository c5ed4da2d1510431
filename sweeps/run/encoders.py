"""Encoders: a content-addressed store of trained encoders on storage all workers share.

All that determines an encoder goes in as JSON and becomes its key; an encoder found under its key
is reused by any trial, seed or sweep instead of being trained. A folder, `s3://` and `gs://` work
alike (pyarrow.fs). An encoder appears whole: its summary is written last, and one without a
summary is not there. What is there stays: a second worker that trained the same key saves nothing.
"""

import hashlib
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from pyarrow import ArrowException

from sweeps.errors import StorageError
from sweeps.paths import below, is_uri
from sweeps.run.node_cache import NodeCache
from sweeps.run.shared_folder import CONTENTS_FILE, contents_of, find_contents
from sweeps.spec.meaning import JSON
from sweeps.storage import get_file, info_of, put_file, read_bytes, unreadable
from ulm.model.architecture import Architecture
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
        self._root = root

    def has(self, key: str) -> bool:
        """See `Encoders.has`."""
        try:
            return info_of(self._file(key, SUMMARY_FILE)) is not None
        except (OSError, ArrowException) as error:
            raise unreadable(self._place(key), error) from error

    def load(self, key: str, *, keep: bool = False) -> Encoder:
        """See `Encoders.load`; one to keep is also kept on the disk of this machine."""
        kept = _KEPT.get((self._root, key))
        if kept is not None:
            return kept
        if not self.has(key):
            raise self._missing(key)
        encoder = self._read(key, keep)
        if keep:
            _KEPT[self._root, key] = encoder
        return encoder

    def summary(self, key: str) -> dict[str, Any]:
        """See `Encoders.summary`."""
        try:
            summary: dict[str, Any] = json.loads(read_bytes(self._file(key, SUMMARY_FILE)))
        except OSError as error:
            raise self._missing(key) from error
        return summary

    def architecture(self, key: str) -> Architecture:
        """Sizes of the encoder of a key; its weights are not read.

        Raises:
            StorageError: There is none.
        """
        try:
            manifest = json.loads(read_bytes(self._file(key, MANIFEST_FILE)))
        except OSError as error:
            raise self._missing(key) from error
        return Architecture(**manifest["architecture"])

    def save(self, key: str, encoder: Encoder, summary: Mapping[str, Any]) -> None:
        """See `Encoders.save`."""
        if self.has(key):
            return
        with tempfile.TemporaryDirectory(prefix="encoder-") as name:
            local = Path(name)
            encoder.save(local)
            contents = contents_of(local, (WEIGHTS_FILE, MANIFEST_FILE))
            (local / CONTENTS_FILE).write_text(contents.text, encoding="utf-8")
            (local / SUMMARY_FILE).write_text(json.dumps(dict(summary)), encoding="utf-8")
            for file in (WEIGHTS_FILE, MANIFEST_FILE, CONTENTS_FILE, SUMMARY_FILE):
                put_file(local / file, self._file(key, file))

    def _read(self, key: str, keep: bool) -> Encoder:
        place = self._place(key)
        if not is_uri(place):
            return Encoder.load(Path(place))
        if keep and find_contents(place) is not None:  # earlier versions wrote none
            return Encoder.load(NodeCache().fetch(place))
        with tempfile.TemporaryDirectory(prefix="encoder-") as local:
            for file in (WEIGHTS_FILE, MANIFEST_FILE):
                get_file(self._file(key, file), Path(local) / file)
            return Encoder.load(Path(local))

    def _place(self, key: str) -> str:
        return below(self._root, key)

    def _file(self, key: str, name: str) -> str:
        return below(self._root, key, name)

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
