"""Sequences of documents that do not hold every document as a Python string.

Readers make them, corpora and the tokeniser read them by index. 100,000 reviews as `str` objects
cost several hundred megabytes in each process; a list of paths, or the bytes of a column, costs a
fraction.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import overload

import numpy as np
from numpy.typing import NDArray

from ulm.errors import CorpusError


def decode(data: bytes, path: Path, *, offset_bytes: int = 0) -> str:
    """Decode UTF-8 strictly, without a leading byte order mark and with newlines as line feeds.

    Args:
        data: the bytes of a document or of one line.
        path: the file they come from, for the message.
        offset_bytes: where `data` begins in the file.

    Raises:
        CorpusError: where a byte is not UTF-8; names the file and the offset of the byte.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise CorpusError(
            f"{path}: text must be UTF-8, but byte {offset_bytes + error.start} is "
            f"0x{data[error.start]:02x}; convert the file, for example with "
            f"`iconv -f latin1 -t utf-8`"
        ) from error
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


class LazyTexts(Sequence[str]):
    """Texts that are made when asked for; a subclass says how many and what text i is."""

    def text(self, index: int) -> str:
        """Return the text of document `index`, 0 <= index < len."""
        raise IndexError(index)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [self.text(i) for i in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        return self.text(index % len(self))


class FileTexts(LazyTexts):
    """One file per document, read when asked for.

    Args:
        paths: the files, in document order.
    """

    def __init__(self, paths: Iterable[Path]) -> None:
        self.paths = tuple(paths)

    def __len__(self) -> int:
        return len(self.paths)

    def text(self, index: int) -> str:
        """Read and decode one file."""
        path = self.paths[index]
        return decode(path.read_bytes(), path)


class PackedTexts(LazyTexts):
    """Documents of a table, packed into one block of UTF-8 bytes.

    Args:
        texts: the documents; consumed once.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        block = bytearray()
        ends = [0]
        for text in texts:
            block += text.encode("utf-8")
            ends.append(len(block))
        self._block = bytes(block)
        self._ends = np.asarray(ends, dtype=np.int64)

    def __len__(self) -> int:
        return len(self._ends) - 1

    def text(self, index: int) -> str:
        """Decode one document."""
        return self._block[self._ends[index] : self._ends[index + 1]].decode("utf-8")


class SelectedTexts(LazyTexts):
    """Some documents of another sequence, in a given order.

    Args:
        texts: the sequence to take from.
        documents: indices into it.
    """

    def __init__(self, texts: Sequence[str], documents: NDArray[np.int64]) -> None:
        self._texts = texts
        self._documents = documents

    def __len__(self) -> int:
        return len(self._documents)

    def text(self, index: int) -> str:
        """Return one selected document."""
        return self._texts[int(self._documents[index])]
