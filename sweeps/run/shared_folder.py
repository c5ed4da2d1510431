"""Shared folders: folders that never change, put on shared storage whole and fetched verified.

A local folder and a place come in; on the storage lie its files and, written last, `contents.json`
with the size and SHA-256 of each. A folder without contents is not there. Fetching writes beside,
compares every digest and renames; files that arrive damaged are fetched once more. What several
machines may put at once, each its own with other bytes, lies one folder deeper, named by its
content: nobody writes over a file of another, and contents tell of one of them, all of it.
"""

import hashlib
import json
import shutil
import socket
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from pyarrow import ArrowException

from sweeps.errors import DamagedError, StorageError
from sweeps.paths import below, is_uri
from sweeps.storage import (
    get_file,
    info_of,
    put_bytes,
    put_file,
    read_bytes,
    told_when_unreadable,
)

CONTENTS_FILE = "contents.json"
ATTEMPTS = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class FileDigest:
    """One file.

    Args:
        size_bytes: Its length.
        sha256: Its digest, 64 hexadecimal digits.
    """

    size_bytes: int
    sha256: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Contents:
    """Every file of a folder.

    Args:
        files: Digest by name.
        subfolder: Where they lie below the folder of `contents.json`; empty where beside it.
    """

    files: Mapping[str, FileDigest]
    subfolder: str = ""

    @property
    def text(self) -> str:
        """The contents as `contents.json` holds them."""
        told = {name: asdict(self.files[name]) for name in sorted(self.files)}
        place = {"subfolder": self.subfolder} if self.subfolder else {}
        return json.dumps({"format": 1, "files": told, **place}, indent=2)

    def tells(self, name: str, content: bytes) -> bool:
        """Whether a file of these bytes is one of them."""
        told = self.files.get(name)
        return told is not None and told.sha256 == hashlib.sha256(content).hexdigest()

    @property
    def digest(self) -> str:
        """SHA-256 over all files, wherever they lie."""
        return hashlib.sha256(replace(self, subfolder="").text.encode()).hexdigest()

    def place_of(self, name: str, place: str) -> str:
        """Where a file lies, of contents that lie at `place`."""
        return below(place, self.subfolder, name) if self.subfolder else below(place, name)

    @classmethod
    def parse(cls, text: str) -> "Contents":
        """Read what `text` wrote.

        Raises:
            ValueError: It is something else.
        """
        try:
            told = json.loads(text)
            files = {name: FileDigest(**digest) for name, digest in told["files"].items()}
            subfolder = str(told.get("subfolder", ""))
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"no contents: {error}") from None
        if any(Path(name).name != name for name in (*files, subfolder)):
            raise ValueError(f"names must be plain, found {sorted(files)} in {subfolder!r}")
        return cls(files=files, subfolder=subfolder)


def contents_of(folder: Path) -> Contents:
    """The contents of a local folder: all files that are right in it."""
    files = [file for file in folder.iterdir() if file.name != CONTENTS_FILE]
    return Contents(files={file.name: _digest(file) for file in files})


def is_intact(folder: Path, contents: Contents) -> bool:
    """Whether a local folder holds every file as its contents say; reads all of them."""
    try:
        return all(_is_as_told(folder / name, told) for name, told in contents.files.items())
    except OSError:
        return False


def seal(folder: Path) -> None:
    """Write the contents of a local folder into it."""
    (folder / CONTENTS_FILE).write_text(contents_of(folder).text, encoding="utf-8")


def is_sealed(folder: Path) -> bool:
    """Whether a local folder is as it was when it was sealed, no file more or less."""
    try:
        contents = Contents.parse((folder / CONTENTS_FILE).read_text(encoding="utf-8"))
        names = {file.name for file in folder.iterdir()} - {CONTENTS_FILE}
    except (OSError, ValueError):
        return False
    return names == contents.files.keys() and is_intact(folder, contents)


def put_folder(folder: Path, place: str, *, by_content: bool = False) -> None:
    """Put a folder on shared storage; one that is there whole stays as it is.

    Args:
        folder: The local folder.
        place: Where it is wanted.
        by_content: Whether its files lie in a subfolder named by what they hold, so that another
            machine may put another folder there at the same time.

    Raises:
        StorageError: It can not be written.
    """
    try:
        if info_of(below(place, CONTENTS_FILE)) is not None:
            return
        contents = contents_of(folder)
        if by_content:
            contents = replace(contents, subfolder=contents.digest[:16])
        for name in sorted(contents.files, key=lambda name: -contents.files[name].size_bytes):
            put_file(folder / name, contents.place_of(name, place))
        put_bytes(contents.text.encode(), below(place, CONTENTS_FILE))
    except (OSError, ArrowException) as error:
        host = socket.gethostname()
        where = "bucket and the credentials" if is_uri(place) else "rights and the disk"
        raise StorageError(
            f"shared storage must be writable, found {place} ({error}): check the {where} of {host}"
        ) from error


def find_contents(place: str) -> Contents | None:
    """The contents of a folder on shared storage; None where none is there whole.

    Raises:
        StorageError: The storage can not be read.
        DamagedError: It holds something else there.
    """
    file = below(place, CONTENTS_FILE)
    with told_when_unreadable(place):
        if info_of(file) is None:
            return None
        content = read_bytes(file)
    try:
        return Contents.parse(content.decode())
    except ValueError as error:
        raise DamagedError(
            f"{file} must hold sizes and digests, found something else ({error}): remove {place} "
            "from the storage and run again, it is then made anew"
        ) from error


def get_folder(place: str, folder: Path, contents: Contents) -> None:
    """Fetch a folder; it appears whole, verified, and in place of what was there.

    Args:
        place: Where it lies on shared storage.
        folder: Where it is wanted; only one process may fetch it at a time.
        contents: What it holds.

    Raises:
        StorageError: It can not be fetched.
        DamagedError: It arrived damaged twice.
    """
    for _ in range(ATTEMPTS):
        beside = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}.part")
        try:
            with told_when_unreadable(place):
                with suppress(FileNotFoundError):  # of a file that was removed, contents still tell
                    for name in contents.files:
                        get_file(contents.place_of(name, place), beside / name)
                if is_intact(beside, contents):
                    here = replace(contents, subfolder="")
                    (beside / CONTENTS_FILE).write_text(here.text, encoding="utf-8")
                    shutil.rmtree(folder, ignore_errors=True)
                    beside.rename(folder)
                    return
        finally:
            shutil.rmtree(beside, ignore_errors=True)
    raise DamagedError(
        f"files of shared storage must have the digests of their {CONTENTS_FILE}, found others or "
        f"none in {place}, twice, on {socket.gethostname()}: remove that folder from the storage "
        "and run again, it is then made anew"
    )


def _digest(file: Path) -> FileDigest:
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return FileDigest(size_bytes=file.stat().st_size, sha256=digest)


def _is_as_told(file: Path, told: FileDigest) -> bool:
    return file.stat().st_size == told.size_bytes and _digest(file) == told
