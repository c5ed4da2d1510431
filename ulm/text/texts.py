"""Sequences of documents that do not hold every document as a Python string.

Readers make them, corpora and the tokeniser read them by index. 100,000 reviews as `str` objects
cost several hundred megabytes in each process; a list of paths, or the bytes of a column, costs a
fraction.
"""

import codecs
import hashlib
import re
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import overload

import numpy as np
from numpy.typing import NDArray

from ulm.errors import CorpusError

# The longer marks first: that of UTF-32 begins with that of UTF-16.
_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]")
# A page header or the footer follows the mark: 0x15 in either.
_CONTAINERS = {
    b"PAR1\x15": "a Parquet file; set kind to parquet",
    b"PK\x03\x04": "a zip file, as Excel's .xlsx is; save the sheet as CSV UTF-8, or unpack it",
    b"\xd0\xcf\x11\xe0": "an Excel file of before 2007; save the sheet as CSV UTF-8",
    b"\x28\xb5\x2f\xfd": "compressed with zstd; unpack it, or compress it with gzip",
}


def is_container(data: bytes) -> bool:
    """Whether a file that begins so holds texts in a form of its own."""
    return data.startswith(tuple(_CONTAINERS))


def _likely_encoding(data: bytes) -> str:
    for mark, name in _MARKS.items():
        if data.startswith(mark):
            return name
    if b"\0" in data:  # UTF-16 without a mark: half of each Latin letter
        return "utf-16be" if data.startswith(b"\0") else "utf-16le"
    return "CP1252"  # Windows; its letters are those of Latin-1, which has neither € nor quotes


def _conversion(data: bytes) -> str:
    name = _likely_encoding(data)
    advice = f"convert the file, for example with `iconv -f {name} -t utf-8`"
    if name == "CP1252":
        advice += (
            " for Western Europe (CP1250 is Central Europe's, CP1251 Cyrillic, GB18030 Chinese, "
            "SHIFT_JIS Japanese), and look at what came of it"
        )
    return advice


def not_utf8(data: bytes, index: int, path: Path, *, offset_bytes: int = 0) -> CorpusError:
    """The refusal of bytes that are not UTF-8, with the encoding that they may have.

    Args:
        data: the bytes of a document or of one line.
        index: the first byte that is wrong, 0 <= index < len(data).
        path: the file they come from.
        offset_bytes: where `data` begins in the file.
    """
    for mark, what in _CONTAINERS.items():
        if offset_bytes == 0 and data.startswith(mark):
            return CorpusError(f"{path}: text must be UTF-8, but this is {what}")
    if offset_bytes == 0 and data[257:262] == b"ustar":
        return CorpusError(f"{path}: text must be UTF-8, but this is a tar archive; unpack it")
    return CorpusError(
        f"{path}: text must be UTF-8, but byte {offset_bytes + index} is 0x{data[index]:02x}; "
        f"{_conversion(data)}"
    )


def is_empty(text: str) -> bool:
    """Whether a document holds nothing that is seen."""
    return not text or not visible(text).strip()


def visible(text: str) -> str:
    """A text without marks of no width: byte order, direction, where a word may be broken."""
    return text if text.isascii() else _INVISIBLE.sub("", text)


def sameness(text: str) -> bytes:
    """A digest that is equal for texts that read alike.

    They differ in blanks, case, how accents are written or marks that are not seen alone.
    """
    words = " ".join(unicodedata.normalize("NFC", visible(text).casefold()).split())
    return hashlib.sha256(words.encode("utf-8")).digest()


def with_line_feeds(text: str) -> str:
    """A text with newlines as line feeds, whatever system wrote it."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


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
        raise not_utf8(data, error.start, path, offset_bytes=offset_bytes) from error
    return with_line_feeds(text.removeprefix("\ufeff"))


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
