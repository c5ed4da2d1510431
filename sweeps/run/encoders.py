"""Encoders: a content-addressed store of trained encoders on storage all workers share.

All that determines an encoder goes in as JSON and becomes its key; an encoder found under its key
is reused by any trial, seed or sweep instead of being trained. A folder, `s3://` and `gs://` work
alike. An encoder is a shared folder (`sweeps.run.shared_folder`), so it appears whole. What is
there stays: a second worker that trained the same key saves nothing. Whoever reads an encoder
compares its digests; one that is damaged loses its contents, so that it is no longer there, and
whoever needs it hears that it is lost.
"""

import hashlib
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sweeps.errors import DamagedError, LostEncoderError
from sweeps.paths import below, is_uri
from sweeps.run.node_cache import cached
from sweeps.run.shared_folder import (
    CONTENTS_FILE,
    Contents,
    find_contents,
    get_folder,
    is_intact,
    put_folder,
)
from sweeps.spec.meaning import JSON
from sweeps.storage import info_of, read_bytes, remove_file, told_when_unreadable
from ulm.model.architecture import Architecture
from ulm.model.encoder import MANIFEST_FILE, Encoder, EncoderError

SUMMARY_FILE = "summary.json"

_KEPT: dict[tuple[str, str], Encoder] = {}
"""Encoders that many trials of one process start from: the general model."""


def key_for(determinants: Mapping[str, JSON]) -> str:
    """The key of what a set of determinants trains: 32 hex digits of their SHA-256."""
    text = json.dumps(determinants, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


class EncoderStore:
    """Encoders in a folder, or under an s3:// or gs:// URI.

    Args:
        root: Absolute path or URI; made when first written to.
    """

    def __init__(self, root: str) -> None:
        self._root = root

    def has(self, key: str) -> bool:
        """Whether a whole encoder is kept under a key."""
        with told_when_unreadable(self._place(key)):
            return info_of(self._file(key, CONTENTS_FILE)) is not None

    def load(self, key: str, *, keep: bool = False) -> Encoder:
        """The encoder of a key.

        Args:
            key: From `key_for`.
            keep: Keep it for later trials: in memory of this process, on the disk of this machine.

        Raises:
            LostEncoderError: There is none, or it is damaged.
        """
        kept = _KEPT.get((self._root, key))
        if kept is not None:
            return kept
        contents = self._contents(key)
        try:
            encoder = self._read(key, contents, keep)
        except (DamagedError, EncoderError) as error:
            raise self._withdraw(key, error) from error
        if keep:
            _KEPT[self._root, key] = encoder
        return encoder

    def summary(self, key: str) -> dict[str, Any]:
        """What was saved beside the encoder of a key: numbers of its training.

        Raises:
            LostEncoderError: There is none, or it is damaged.
        """
        return self._read_json(key, SUMMARY_FILE)

    def architecture(self, key: str) -> Architecture:
        """Sizes of the encoder of a key; its weights are not read.

        Raises:
            LostEncoderError: There is none, or its manifest is damaged.
        """
        return Architecture(**self._read_json(key, MANIFEST_FILE)["architecture"])

    def save(self, key: str, encoder: Encoder, summary: Mapping[str, Any]) -> None:
        """Keep an encoder and the JSON-able numbers of its training under a key."""
        if self.has(key):
            return
        with tempfile.TemporaryDirectory(prefix="encoder-") as name:
            local = Path(name)
            encoder.save(local)
            (local / SUMMARY_FILE).write_text(json.dumps(dict(summary)), encoding="utf-8")
            put_folder(local, self._place(key))

    def _read(self, key: str, contents: Contents, keep: bool) -> Encoder:
        place = self._place(key)
        if not is_uri(place):
            if not is_intact(Path(place), contents):
                raise DamagedError(f"{place} does not have the digests it was written with")
            return Encoder.load(Path(place))
        if keep:
            return Encoder.load(cached(place))
        with tempfile.TemporaryDirectory(prefix="encoder-") as name:
            folder = Path(name) / key
            get_folder(place, folder, contents)
            return Encoder.load(folder)

    def _read_json(self, key: str, name: str) -> dict[str, Any]:
        """A small file of an encoder, its digest compared."""
        contents = self._contents(key)
        try:
            content = read_bytes(self._file(key, name))
        except FileNotFoundError as error:
            raise self._withdraw(key, error) from error
        except OSError as error:
            raise self._missing(key) from error
        try:
            if not contents.tells(name, content):
                raise DamagedError(f"{name} does not have the digest it was written with")
            read: dict[str, Any] = json.loads(content)
        except ValueError as error:
            raise self._withdraw(key, error) from error
        return read

    def _contents(self, key: str) -> Contents:
        try:
            contents = find_contents(self._place(key))
        except DamagedError as error:
            raise self._withdraw(key, error) from error
        if contents is None:
            raise self._missing(key)
        return contents

    def _withdraw(self, key: str, error: Exception) -> LostEncoderError:
        """Take a damaged encoder out of the store: without its contents it is not there."""
        remove_file(self._file(key, CONTENTS_FILE))
        return LostEncoderError(key, f"in {self._root} is damaged ({error})")

    def _place(self, key: str) -> str:
        return below(self._root, key)

    def _file(self, key: str, name: str) -> str:
        return below(self._root, key, name)

    def _missing(self, key: str) -> LostEncoderError:
        return LostEncoderError(key, f"is no longer in {self._root}")
