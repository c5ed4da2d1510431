"""Compressed: the bytes of a file as they were before it was compressed, if it was.

What a file is compressed with is told by how it begins, not by its name.
"""

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from ulm.errors import CorpusError

_OPENERS: dict[bytes, Callable[..., Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\0": lzma.open,
}
_LONGEST = max(map(len, _OPENERS))


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """A file for reading, unpacked on the way where it is compressed by gzip, bzip2 or xz.

    Raises:
        CorpusError: It is compressed, and ends early or is damaged.
    """
    with path.open("rb") as file:
        begin = file.read(_LONGEST)
        file.seek(0)
        opener = next((o for mark, o in _OPENERS.items() if begin.startswith(mark)), None)
        if opener is None:
            yield file
            return
        with opener(file) as unpacked:
            try:
                yield unpacked
            except (EOFError, OSError, zlib.error, lzma.LZMAError) as error:
                raise CorpusError(
                    f"{path}: must be a whole compressed file, found {str(error)[:100]}; fetch or "
                    f"write it again"
                ) from error
