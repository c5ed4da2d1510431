"""Corpora in one file with a row per document: CSV, Parquet, JSON lines; and fastai's WikiText.

Rows stream in and are packed into one block of bytes; a `Listing` leaves. Where no column says
which rows are for testing, a share of each class is drawn by a hash of seed and text, so that the
choice does not depend on the order of rows.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ulm.errors import CorpusError
from ulm.text.listing import NO_LABEL, Listing, Part, check_spelling
from ulm.text.rows import READERS, Columns, Row, csv_records, row_of
from ulm.text.texts import PackedTexts, is_empty, sameness

LARGEST_NUM_CLASSES = int(np.iinfo(np.int16).max)
PART_NAMES = {"train": Part.LABELLED, "unlabelled": Part.UNLABELLED, "test": Part.TEST}


def _part(place: Callable[[], str], row: Row, columns: Columns) -> Part:
    if columns.part is None:
        return Part.UNLABELLED if row.label is None else Part.LABELLED
    part = PART_NAMES.get((row.part or "").casefold())
    if part is None:
        raise CorpusError(
            f"{place()}: column {columns.part!r} must hold one of {list(PART_NAMES)}, "
            f"found {row.part!r}; write it so. Rows to validate on are train: some of these are "
            "held out"
        )
    if part is Part.TEST and row.label is None:
        raise CorpusError(
            f"{place()}: a test document needs a label, column {columns.label!r} is "
            f"empty; fill it or change the part to 'unlabelled'"
        )
    return Part.UNLABELLED if row.label is None else part


def _check_encodes(place: Callable[[], str], row: Row) -> None:
    for name in ("text", "label", "part"):
        try:
            (getattr(row, name) or "").encode("utf-8")
        except UnicodeEncodeError as error:
            raise CorpusError(
                f"{place()}: {name} must be UTF-8, but character {error.start} is half "
                f"of a surrogate pair; mend the row"
            ) from error


class _Rows:
    """Collects labels and parts while the texts stream into their block."""

    def __init__(self, path: Path, kind: str, columns: Columns) -> None:
        self.path, self.kind, self.columns = path, kind, columns
        self.labels: list[str | None] = []
        self.parts: list[Part] = []

    def texts(self) -> Iterator[str]:
        for number, row in enumerate(READERS[self.kind](self.path, self.columns), start=1):
            place = partial(row_of, self.path, self.kind, number)
            _check_encodes(place, row)
            part = _part(place, row, self.columns)
            self.parts.append(part)
            self.labels.append(None if part is Part.UNLABELLED else row.label)
            yield row.text


def _hash_order(texts: Sequence[str], documents: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    keys = [hashlib.sha256(f"{seed}\0{texts[int(i)]}".encode()).digest() for i in documents]
    return documents[np.array(sorted(range(len(keys)), key=keys.__getitem__), dtype=np.int64)]


def num_drawn(count: int, share: float) -> int:
    """Documents of a class of `count` that `split_test` draws: one at least, and one is left."""
    return min(max(1, round(share * count)), count - 1)


def _by_class(texts: Sequence[str], labels: NDArray[np.int16]) -> dict[int, NDArray[np.int64]]:
    """One document of each text, in the class that most of its rows have; none where they tie."""
    rows: dict[bytes, dict[int, list[int]]] = {}
    for document in np.flatnonzero(labels != NO_LABEL).tolist():
        if not is_empty(text := texts[document]):
            of_label = rows.setdefault(sameness(text), {})
            of_label.setdefault(int(labels[document]), []).append(document)
    found: dict[int, list[int]] = {
        int(label): [] for label in np.unique(labels[labels != NO_LABEL])
    }
    for of_label in rows.values():
        most, *others = sorted(of_label, key=lambda label: -len(of_label[label]))
        if not others or len(of_label[most]) > len(of_label[others[0]]):
            found[most].append(of_label[most][0])
    return {label: np.array(sorted(own), dtype=np.int64) for label, own in found.items()}


def split_test(
    texts: Sequence[str], classes: Mapping[int, NDArray[np.int64]], *, share: float, seed: int
) -> NDArray[np.int64]:
    """Draw the test documents of a corpus that has none: a share of each class.

    Args:
        texts: N documents.
        classes: documents of each class, two or more; of a text that several rows hold one alone,
            for copies would be scored as if they were many.
        share: part of the labelled documents, 0 < share < 1.
        seed: changes the draw; the order of rows does not.

    Returns:
        int64, sorted indices of the test documents, at least one of each class.
    """
    chosen = [
        _hash_order(texts, documents, seed)[: num_drawn(len(documents), share)]
        for documents in classes.values()
    ]
    return np.sort(np.concatenate(chosen)) if chosen else np.empty(0, dtype=np.int64)


def _check_classes(
    column: str, columns: Columns, counts: Mapping[str, int], *, num_rows: int
) -> None:
    if columns.label is not None and not counts:
        raise CorpusError(
            f"{column} must hold some labels, found none in {num_rows} rows; fill it, or set "
            f"label_column to null for text without labels"
        )
    if len(counts) > LARGEST_NUM_CLASSES:
        raise CorpusError(
            f"{column} must hold at most {LARGEST_NUM_CLASSES} classes, found {len(counts)} in "
            f"{num_rows} rows; name the column of the labels in label_column"
        )
    check_spelling(column, counts)


def _check_two_texts(
    column: str,
    listing: Listing,
    classes: Mapping[int, NDArray[np.int64]],
) -> None:
    alone = [label for label, documents in classes.items() if len(documents) < 2]
    if not alone:
        return
    more = f" (and {len(alone) - 1} more)" if len(alone) > 1 else ""
    name = listing.label_names[alone[0]]
    texts = [listing.texts[i] for i in np.flatnonzero(listing.labels == alone[0]).tolist()]
    own = {sameness(text) for text in texts if not is_empty(text)}
    if len(own) > 1:
        num_disputed = len(own) - len(classes[alone[0]])
        raise CorpusError(
            f"{column}: a text has one label, found {num_disputed} texts of {name!r}{more} that "
            "have another in as many rows or more; keep one row a text, or name another "
            "label_column"
        )
    raise CorpusError(
        f"{column}: each class needs 2 documents that differ, one of them for testing, found "
        f"{len(own)} of {name!r}{more}; add documents, remove the class, or name another "
        "label_column"
    )


def read_table(path: Path, kind: str, columns: Columns, *, test_share: float, seed: int) -> Listing:
    """Read a table of documents.

    Args:
        path: the file.
        kind: a key of `rows.READERS`.
        columns: names of the columns.
        test_share: share of labelled documents drawn for testing where no column names the parts.
        seed: seed of that draw.

    Raises:
        CorpusError: missing columns, broken rows, bytes that are not UTF-8, no labels where a label
            column was named, or a class of which no document can be set aside for testing.
    """
    rows = _Rows(path, kind, columns)
    texts = PackedTexts(rows.texts())
    counts = Counter(label for label in rows.labels if label is not None)
    column = f"{path}: column {columns.label!r}"
    _check_classes(column, columns, counts, num_rows=len(texts))
    names = tuple(sorted(counts))
    number_of = {name: number for number, name in enumerate(names)}
    labels = np.array(
        [NO_LABEL if label is None else number_of[label] for label in rows.labels], dtype=np.int16
    )
    listing = Listing(
        texts=texts,
        parts=np.array(rows.parts, dtype=np.uint8),
        labels=labels,
        label_names=names,
    )
    if columns.part is None:
        classes = _by_class(texts, labels)
        _check_two_texts(column, listing, classes)
        drawn = split_test(texts, classes, share=test_share, seed=seed)
        listing.parts[drawn] = Part.TEST
    return listing


def read_wikitext(folder: Path) -> Listing:
    """Read fastai's WikiText: ``train.csv`` and ``test.csv``, one article per row, no header.

    Both files are unlabelled text here: nothing is scored on WikiText. Rows without a letter or
    digit (the first of each file) are left out.

    Raises:
        CorpusError: where a file is missing.
    """
    paths = (folder / "train.csv", folder / "test.csv")
    for path in paths:
        if not path.is_file():
            raise CorpusError(
                f"{path} is missing; remove the folder {folder} so that it is unpacked again"
            )
    articles = (fields[0] for path in paths for fields in csv_records(path) if fields)
    texts = PackedTexts(text for text in articles if any(map(str.isalnum, text)))
    return Listing(
        texts=texts,
        parts=np.full(len(texts), Part.UNLABELLED, dtype=np.uint8),
        labels=np.full(len(texts), NO_LABEL, dtype=np.int16),
        label_names=(),
    )
