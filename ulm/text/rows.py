"""Rows of CSV, Parquet and JSON lines files, reduced to text, label and part.

A path and the names of its columns go in, `Row` values come out one at a time. Mistakes that depend
on the format (missing columns, broken lines, bytes that are not UTF-8) end here, each named by file
and row. Rows are counted from 1, without the header and blank rows, and `row_of` says so.
"""

import csv
import difflib
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ulm.errors import CorpusError
from ulm.text.compressed import opened
from ulm.text.texts import decode, is_container, not_utf8, with_line_feeds

SHOWN = 20  # columns in a message
DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Columns:
    """Names of the columns of a table; None where the table has no such column."""

    text: str
    label: str | None
    part: str | None

    @property
    def names(self) -> tuple[str, ...]:
        """The columns that must be there."""
        return tuple(name for name in (self.text, self.label, self.part) if name is not None)


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One document of a table.

    Label and part are without blanks around them, and None where nothing is left.
    """

    text: str
    label: str | None
    part: str | None


def row_of(path: Path, kind: str, number: int) -> str:
    """Name a row of a table in a message.

    Args:
        path: the file.
        kind: a key of `READERS`.
        number: counted from 1.
    """
    counted = " (header and blank rows not counted)" if kind == "csv" else ""
    return f"{path}: row {number}{counted}"


def _check_columns(path: Path, found: Sequence[str], columns: Columns) -> None:
    for name in columns.names:
        if name not in found:
            nearest = difflib.get_close_matches(name, found, n=1)
            hint = (
                f"did you mean {nearest[0]!r}?"
                if nearest
                else "name the column in the spec, and all columns in the first row of the file"
            )
            if name == columns.label:
                hint += " (label_column: null says that there are no labels)"
            shown = f"{list(found[:SHOWN])}{' and more' if len(found) > SHOWN else ''}"
            raise CorpusError(f"{path}: column {name!r} is missing, found {shown}; {hint}")
        if found.count(name) > 1:
            raise CorpusError(f"{path}: column {name!r} must be there once; rename the others")


def _field(path: Path, number: int, record: dict[str, Any], name: str | None) -> str | None:
    value = None if name is None else record.get(name)
    if value is None or value != value:  # Parquet may hold NaN
        return None
    if isinstance(value, (list, dict)):
        raise CorpusError(
            f"{path}: row {number}: column {name!r} must hold one label a document, "
            f"found {type(value).__name__} {repr(value)[:40]}; choose one of them"
        )
    return str(value).strip() or None


def _remedy(value: object) -> str:
    if isinstance(value, bytes):
        return "write the column as strings"
    if isinstance(value, (list, dict)):
        return "write the text in a column of its own"
    return "name another text column"


def _row(path: Path, number: int, record: dict[str, Any], columns: Columns) -> Row:
    text = record.get(columns.text)
    if text is None:
        text = ""
    if not isinstance(text, str):
        raise CorpusError(
            f"{path}: row {number}: column {columns.text!r} must hold text, "
            f"found {type(text).__name__} {repr(text)[:40]}; {_remedy(text)}"
        )
    label, part = (_field(path, number, record, name) for name in (columns.label, columns.part))
    return Row(text=with_line_feeds(text), label=label, part=part)


@contextmanager
def _wide_fields() -> Iterator[None]:
    # csv refuses fields over 131,072 characters by default; an article of WikiText is longer.
    before = csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _decoded_lines(path: Path) -> Iterator[str]:
    # Split at \n only: a multi-byte character never contains it, so offsets stay exact.
    offset_bytes, is_utf8 = 0, False
    with opened(path) as file:
        for number, line in enumerate(file, start=1):
            # UTF-16 without a mark may be valid UTF-8
            if offset_bytes == 0 and (b"\0" in line or is_container(line)):
                raise not_utf8(line, max(0, line.find(0)), path)
            try:
                yield decode(line, path, offset_bytes=offset_bytes)
            except CorpusError as error:
                if not is_utf8:
                    raise
                raise CorpusError(
                    f"{path}: line {number} must be UTF-8, as lines before it are; mend or remove "
                    "that line alone"
                ) from error
            offset_bytes += len(line)
            is_utf8 = is_utf8 or not line.isascii()


def csv_records(path: Path, delimiter: str = ",") -> Iterator[list[str]]:
    """Yield the fields of each record of a CSV file, the header included.

    Args:
        path: the file.
        delimiter: what separates fields, one of `DELIMITERS`.

    Raises:
        CorpusError: where a record can not be parsed or is not UTF-8.
    """
    with _wide_fields():
        reader = csv.reader(_decoded_lines(path), delimiter=delimiter, strict=True)
        try:
            yield from reader
        except csv.Error as error:
            if reader.line_num == 1 and "new-line" in str(error):
                raise CorpusError(
                    f"{path}: lines must end in line feeds, found carriage returns alone, as of "
                    f"old Macs; convert the file, for example with `tr '\\r' '\\n'`"
                ) from error
            raise CorpusError(
                f"{path}: line {reader.line_num}: not a CSV record ({error}); "
                f"quote the field, doubling quotes inside it"
            ) from error


def _filled_records(path: Path, delimiter: str) -> Iterator[list[str]]:
    """Records without what Excel adds: a first line that names the delimiter, rows of it alone."""
    for number, fields in enumerate(csv_records(path, delimiter)):
        if number == 0 and delimiter.join(fields) == f"sep={delimiter}":
            continue
        if any(fields) or len(fields) == 1:  # one empty field is "", a document that is empty
            yield fields


def _header(fields: Sequence[str], columns: Columns) -> list[str]:
    return [name if name in columns.names else name.strip() for name in fields]


def _delimiter(path: Path, columns: Columns) -> str:
    """What separates fields: by which most of the columns are found, then most fields."""

    def num_found(delimiter: str) -> tuple[int, int]:
        try:
            header = _header(next(_filled_records(path, delimiter), []), columns)
        except CorpusError:
            return 0, 0
        return sum(name in header for name in columns.names), len(header)

    return max(DELIMITERS, key=num_found)  # the first of equals


def _holds_rows(fields: Sequence[str]) -> bool:
    """Whether a field has swallowed rows: its first and last line are parts of two, by the tabs."""
    most = len(fields) - 1
    for place, field in enumerate(fields):
        tabs = [line.count("\t") for line in field.split("\n")]
        if len(tabs) > 2 and tabs == [most - place, *[most] * (len(tabs) - 2), place]:
            return most > 0
    return False


def _csv_rows(path: Path, columns: Columns) -> Iterator[Row]:
    delimiter = _delimiter(path, columns)
    records = _filled_records(path, delimiter)
    header = _header(next(records, []), columns)
    if not header:
        raise CorpusError(f"{path}: a table must hold rows, found an empty file; check the path")
    _check_columns(path, header, columns)
    for number, fields in enumerate(records, start=1):
        if len(fields) != len(header):
            raise CorpusError(
                f"{row_of(path, 'csv', number)}: needs {len(header)} fields like the header, "
                f"found {len(fields)}; quote fields that contain {DELIMITERS[delimiter]}"
            )
        if delimiter == "\t" and _holds_rows(fields):
            raise CorpusError(
                f"{row_of(path, 'csv', number)}: a quoted field holds whole rows, as where a text "
                f"begins with a quote that is not doubled; quote such texts, doubling their quotes"
            )
        yield _row(path, number, dict(zip(header, fields, strict=True)), columns)


def _number(digits: str) -> int | float:
    # pandas writes whole numbers as 2.0 where some are missing: 2 and 2.0 are one label.
    number = float(digits)
    return int(number) if number.is_integer() else number


def _mend(number: int, line: str) -> str:
    if number == 1 and line.lstrip().startswith("["):
        return "a list is made lines by `jq -c '.[]'`"
    return "check the kind, or mend the line" if number == 1 else "mend or remove the line"


def _json_record(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        record = json.loads(line, parse_float=_number)
    except (ValueError, RecursionError) as error:  # also numbers and nesting without end
        raise CorpusError(
            f"{path}: row {number}: each line must be one JSON object, found {line[:40]!r} "
            f"({str(error)[:100]}); {_mend(number, line)}"
        ) from error
    if not isinstance(record, dict):
        raise CorpusError(
            f"{path}: row {number}: each line must be one JSON object, found {line[:40]!r}; "
            f"{_mend(number, line)}"
        )
    return record


def _jsonl_rows(path: Path, columns: Columns) -> Iterator[Row]:
    number, found = 0, dict[str, None]()
    for line in _decoded_lines(path):
        if not line.strip():
            continue
        number += 1
        record = _json_record(path, number, line)
        found |= dict.fromkeys(record)
        yield _row(path, number, record, columns)
    if number:  # what is empty may be left out of a row, and not out of all
        _check_columns(path, list(found), columns)


def _parquet_rows(path: Path, columns: Columns) -> Iterator[Row]:
    import pyarrow as pa

    records = _parquet_records(path, columns)
    number = 0
    while True:
        try:
            record = next(records, None)
        # Of a damaged file pyarrow raises errors of its own, of the system and of the decoder.
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise CorpusError(
                f"{path}: must be a Parquet file of UTF-8 texts, found an error after row {number} "
                f"({reason}); check the kind, or write the file again"
            ) from error
        if record is None:
            return
        number += 1
        yield _row(path, number, record, columns)


def _parquet_records(path: Path, columns: Columns) -> Iterator[dict[str, Any]]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        _check_columns(path, file.schema_arrow.names, columns)
        for batch in file.iter_batches(batch_size=1000, columns=list(columns.names)):
            yield from batch.to_pylist()


READERS: dict[str, Callable[[Path, Columns], Iterator[Row]]] = {
    "csv": _csv_rows,
    "jsonl": _jsonl_rows,
    "parquet": _parquet_rows,
}
"""Kind of table -> its reader."""
