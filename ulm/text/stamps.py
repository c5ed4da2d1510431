"""Recognise a source without reading its documents.

A stamp is a hash of what the source says and of how its files look from outside: their names, sizes
and newest changes. The index maps stamps to token folders, one small file per stamp, so
that a second start finds its tokens in well under a second for 100,000 files.
"""

import hashlib
import json
import os
import stat
import zlib
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from ulm.files import part_of
from ulm.text.corpora import SYNTHETIC_KINDS, CorpusSource
from ulm.text.downloads import URL_NAMES, data_folder

# Raised when the readers change what they make of the same files.
READER_VERSION = 7


def _survey_files(path: Path) -> tuple[int, int]:
    """Return the number of files below a path, and a sum that changes with each one's outside.

    That is its name, size and newest change: moving a file to another label is seen. What can not
    be read counts by its name alone; whether it matters is for those who read the documents. Hidden
    names do not count, as they are no documents.
    """
    if path.is_file():
        return 1, _checksum(path.name, path.stat())
    number, total = 0, 0
    folders, seen = [str(path)], set()
    while folders:
        with suppress(OSError), os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                status = _status(entry)
                if stat.S_ISDIR(status.st_mode):
                    place = (status.st_dev, status.st_ino)
                    if place not in seen:  # a link may lead back
                        seen.add(place)
                        folders.append(entry.path)
                    continue
                number += 1
                total += _checksum(entry.path[len(str(path)) :], status)
    return number, total


def _status(entry: os.DirEntry[str]) -> os.stat_result:
    try:
        return entry.stat()
    except OSError:  # a link that leads nowhere
        return entry.stat(follow_symlinks=False)


def _checksum(name: str, status: os.stat_result) -> int:
    return zlib.crc32(os.fsencode(f"{name}/{status.st_size}/{status.st_mtime_ns}"))


def _files(source: CorpusSource) -> Path | None:
    return data_folder() / source.kind if source.kind in URL_NAMES else source.path


def stamp_source(source: CorpusSource) -> str | None:
    """Hash a source and the outside of its files.

    Returns:
        64 hexadecimal digits, or None where its files are not there (yet).
    """
    from ulm.text.synthetic import synthetic_version

    said = {key: str(value) for key, value in asdict(source).items()}
    parts: list[object] = [READER_VERSION, said]
    if source.kind in SYNTHETIC_KINDS:
        parts.append(synthetic_version())
    else:
        path = _files(source)
        if path is None or not os.path.exists(path):
            return None
        parts += [str(path.resolve()), _survey_files(path)]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _index_file(cache: Path, stamp: str) -> Path:
    return cache / "stamps" / f"{stamp}.json"


def recall(cache: Path, stamp: str) -> Path | None:
    """Return the token folder recorded for a stamp, or None."""
    try:
        record = json.loads(_index_file(cache, stamp).read_text(encoding="utf-8"))
        return cache / str(record["folder"])
    except (FileNotFoundError, ValueError, LookupError, TypeError):  # damaged: texts are read
        return None


def remember(cache: Path, stamp: str, folder: Path) -> None:
    """Record the token folder of a stamp; the file appears whole."""
    path = _index_file(cache, stamp)
    path.parent.mkdir(parents=True, exist_ok=True)
    with part_of(path) as part:
        part.write_text(json.dumps({"folder": folder.name}), encoding="utf-8")
