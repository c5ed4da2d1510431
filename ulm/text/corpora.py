"""Named sources and the user's own files, opened as one checked and fingerprinted `Corpus`.

A `CorpusSource` (what a spec says) goes in, a `Corpus` comes out: texts that are read when asked
for, the part and label of each, and a fingerprint of all of it. Every document is read once here,
which is what finds empty documents, bytes that are not UTF-8 and test documents hidden in the pool.
Empty documents are left out, as are those of the pool that repeat a test document: no test document
is ever in a pool.
"""

import difflib
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ulm.errors import CorpusError
from ulm.text.downloads import URL_NAMES, downloaded_folder
from ulm.text.folders import read_folder
from ulm.text.listing import NO_LABEL, Listing, Part
from ulm.text.rows import Columns
from ulm.text.tables import read_table, read_wikitext
from ulm.text.texts import SelectedTexts, is_empty, sameness

__all__ = ["KINDS", "NO_LABEL", "Corpus", "CorpusSource", "Part", "fingerprint_of", "open_corpus"]

MAX_NAME_BYTES = 160  # names of folders and files add up to 60; systems take 255
TABLE_KINDS = ("csv", "parquet", "jsonl")
SYNTHETIC_KINDS = ("synthetic", "synthetic-general")
KINDS = (*URL_NAMES, "folder", *TABLE_KINDS, *SYNTHETIC_KINDS)
"""What a `CorpusSource` may be."""


def _meaningful_options(kind: str, has_part_column: bool) -> set[str]:
    if kind in TABLE_KINDS:
        own = {"path", "text_column", "label_column", "part_column"}
        return own if has_part_column else own | {"test_share", "seed"}
    if kind in SYNTHETIC_KINDS:
        return {"documents", "seed"}
    return {"path"} if kind == "folder" else set()


@dataclass(frozen=True, kw_only=True, slots=True)
class CorpusSource:
    """Where documents come from.

    Args:
        kind: one of `KINDS`: ``imdb``, ``wikitext-2`` and others that fastai downloads, ``folder``,
            ``csv``, ``parquet``, ``jsonl``, ``synthetic``. Fields of ``csv`` are separated by
            commas, semicolons or tabs: what the header is split at so that the columns are found.
        path: the folder or file, for kinds ``folder``, ``csv``, ``parquet`` and ``jsonl`` only. CSV
            and JSON lines may be compressed by gzip, bzip2 or xz.
        text_column: column of the text of a table.
        label_column: column of the label of a table; blanks around a label are left out, empty
            fields are unlabelled documents. None says that the table has no labels.
        part_column: column of a table that holds ``train``, ``unlabelled`` or ``test``. Without
            one, `test_share` of the labelled documents is drawn for testing.
        test_share: share of labelled documents of each class drawn for testing, 0 < share < 1.
        documents: size of the unlabelled part of a synthetic corpus; None for its default.
        seed: seed of the draw of the test part, or of a synthetic corpus, >= 0.

    Raises:
        CorpusError: where the kind is unknown, a path is missing, a value is out of range, or an
            option is given that has no effect on this kind.
    """

    kind: str
    path: Path | None = None
    text_column: str = "text"
    label_column: str | None = "label"
    part_column: str | None = None
    test_share: float = 0.2
    documents: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.path is not None:
            object.__setattr__(self, "path", Path(self.path))
        if self.kind not in KINDS:
            nearest = difflib.get_close_matches(self.kind, KINDS, n=1)
            hint = f"did you mean {nearest[0]!r}?" if nearest else "choose one"
            raise CorpusError(f"kind must be one of {list(KINDS)}, found {self.kind!r}; {hint}")
        self._check_effect()
        self._check_ranges()

    def _check_effect(self) -> None:
        meaningful = _meaningful_options(self.kind, self.part_column is not None) | {"kind"}
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name not in meaningful and value != field.default:
                raise CorpusError(
                    f"{field.name} has no effect on kind {self.kind!r}"
                    f"{' with a part_column' if self.part_column else ''}, found {value}; remove it"
                )
        if "path" in meaningful and self.path is None:
            raise CorpusError(f"kind {self.kind!r} needs a path, found none; add it")

    def _check_ranges(self) -> None:
        if not 0 < self.test_share < 1:
            raise CorpusError(
                f"test_share must lie between 0 and 1, found {self.test_share}; try 0.2"
            )
        if self.documents is not None and self.documents < 1:
            raise CorpusError(f"documents must be at least 1, found {self.documents}; raise it")
        if self.seed < 0:
            raise CorpusError(f"seed must be 0 or more, found {self.seed}; choose another")
        if self.label_column is None and self.part_column is not None:
            raise CorpusError(
                f"part_column {self.part_column!r} needs a label_column, found none; "
                f"a table without labels has no test part"
            )

    @property
    def name(self) -> str:
        """A short name for folders and messages: the kind, or with the stem of the path."""
        if self.path is None:
            return self.kind
        stem = "".join(c if c.isalnum() or c in "-_" else "-" for c in self.path.stem)
        return f"{self.kind}-{stem}".encode()[:MAX_NAME_BYTES].decode(errors="ignore")


@dataclass(frozen=True, kw_only=True, slots=True)
class LeftOut:
    """How many documents of a source are none of its corpus.

    Args:
        empty: they hold no text.
        repeats: they repeat a test document.
    """

    empty: int = 0
    repeats: int = 0

    def __str__(self) -> str:
        counts = {"empty documents": self.empty, "repeats of test documents": self.repeats}
        return " and ".join(f"{number:,} {what}" for what, number in counts.items() if number)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Corpus:
    """Documents, some labelled.

    Args:
        name: a short name for folders and messages.
        texts: N documents; may read them when asked for.
        parts: uint8 [N], values of `Part`.
        labels: int16 [N], index into `label_names`, -1 for none.
        label_names: names of the classes.
        fingerprint: what `fingerprint_of` says of all this but the name.
        left_out: documents of the source that are not among these.
        digests: of each text, by `texts.sameness`; empty where nobody took them.

    Raises:
        CorpusError: where lengths differ, a labelled or test document has no valid label, there
            are labels but no test documents, or a class of the test part is not in train.
    """

    name: str
    texts: Sequence[str]
    parts: NDArray[np.uint8]
    labels: NDArray[np.int16]
    label_names: tuple[str, ...]
    fingerprint: str
    left_out: LeftOut = LeftOut()
    digests: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        if not len(self.texts) == len(self.parts) == len(self.labels):
            raise CorpusError(
                f"{self.name}: texts, parts and labels must have one length, found "
                f"{len(self.texts)}, {len(self.parts)} and {len(self.labels)}"
            )
        self._check_labels()

    def _check_labels(self) -> None:
        needed = self.labels[self.parts != Part.UNLABELLED]
        if len(needed) and (needed.min() < 0 or needed.max() >= len(self.label_names)):
            raise CorpusError(
                f"{self.name}: labelled and test documents need a label from 0 to "
                f"{len(self.label_names) - 1}, found {needed.min()} to {needed.max()}"
            )
        if len(needed):
            self._check_classes()

    def _check_classes(self) -> None:
        if len(self.label_names) < 2:
            raise CorpusError(
                f"{self.name}: a classifier needs two classes, found {list(self.label_names)}; "
                f"add documents of another class"
            )
        if not (self.parts == Part.TEST).any():
            raise CorpusError(
                f"{self.name}: a labelled corpus needs a test part, found none; add a test folder "
                f"or rows, or leave part_column out so that test_share draws one"
            )
        known = self._classes(Part.LABELLED)
        if unknown := sorted(set(self.label_names) - set(known)):
            left_out = str(self.left_out)
            beside = f" beside {left_out}, which are left out" if left_out else ""
            raise CorpusError(
                f"{self.name}: every label must occur in train, found {unknown} where "
                f"train has {known}{beside}; mend the labels or add documents to train"
            )

    def _classes(self, part: Part) -> list[str]:
        return [self.label_names[i] for i in np.unique(self.labels[self.parts == part])]

    def __len__(self) -> int:
        return len(self.texts)


def _read_listing(source: CorpusSource) -> Listing:
    if source.kind == "imdb":
        return read_folder(downloaded_folder("imdb"))
    if source.kind in URL_NAMES:
        return read_wikitext(downloaded_folder(source.kind))
    if source.kind in SYNTHETIC_KINDS:
        from ulm.text.synthetic import read_synthetic

        return read_synthetic(source.kind, documents=source.documents, seed=source.seed)
    assert source.path is not None
    if not source.path.exists():
        raise CorpusError(f"{source.path} does not exist; check the path of the corpus")
    if source.kind == "folder":
        return read_folder(source.path)
    if source.path.is_dir():
        raise CorpusError(
            f"{source.path} must be one file of kind {source.kind}, found a folder; name the file, "
            f"make one of many, or use kind folder for a file a text"
        )
    if not source.path.is_file():  # a pipe or a device would be read without end
        raise CorpusError(
            f"{source.path} must be one file of kind {source.kind}, found none; name a file"
        )
    columns = Columns(text=source.text_column, label=source.label_column, part=source.part_column)
    return read_table(
        source.path, source.kind, columns, test_share=source.test_share, seed=source.seed
    )


def _survey(listing: Listing) -> tuple[list[bytes], list[bytes]]:
    """Read every document once: digest of each text, and one that same texts have alike.

    Both are empty where the document is.
    """
    exact, alike = [], []
    for text in listing.texts:
        empty = is_empty(text)
        exact.append(b"" if empty else hashlib.sha256(text.encode("utf-8")).digest())
        alike.append(b"" if empty else sameness(text))
    return exact, alike


def _repeats(parts: NDArray[np.uint8], alike: list[bytes]) -> NDArray[np.bool_]:
    """Documents of the pool that are a test document too."""
    tests = {alike[i] for i in np.flatnonzero(parts == Part.TEST)}
    return np.array([text in tests for text in alike]) & np.not_equal(parts, Part.TEST)


def fingerprint_of(
    digests: bytes,
    parts: NDArray[np.uint8],
    labels: NDArray[np.int16],
    label_names: tuple[str, ...],
) -> str:
    """One sha256 for all of a corpus: equal ones give the same tokens, subsets and scores.

    Args:
        digests: sha256 of each text, end to end.
        parts: uint8 [N], values of `Part`.
        labels: int16 [N], -1 for none.
        label_names: names of the classes.

    Returns:
        64 hexadecimal digits.
    """
    total = hashlib.sha256(b"ulm corpus 1\0")
    total.update(digests)
    total.update(np.asarray(parts, dtype="u1").tobytes())
    total.update(np.asarray(labels, dtype="<i2").tobytes())
    total.update(json.dumps(label_names).encode())
    return total.hexdigest()


def open_corpus(source: CorpusSource) -> Corpus:
    """Open a source and check every document; leave out what is empty or repeats a test document.

    Reads all texts once: about ten seconds for 100,000 files on a local disk.

    Args:
        source: where the documents come from.

    Raises:
        CorpusError: one message naming file, row and remedy for missing data or columns, no
            text at all, missing labels, labels that differ in case alone, bytes that are not UTF-8,
            or no test part.
    """
    try:
        listing = _read_listing(source)
        exact, alike = _survey(listing)
    except OSError as error:
        raise CorpusError(
            f"{source.name}: each file must be readable ({error}); check permissions and the disk"
        ) from error
    if not any(exact):
        found = f"{len(exact):,} without text" if exact else "none"
        raise CorpusError(
            f"{source.name}: a corpus needs documents, found {found}; check the source"
        )
    has_text = np.array([text != b"" for text in exact])
    is_repeat = has_text & _repeats(listing.parts, alike)
    keep = np.flatnonzero(has_text & ~is_repeat)
    parts, labels = listing.parts[keep], listing.labels[keep]
    return Corpus(
        name=source.name,
        texts=listing.texts if len(keep) == len(exact) else SelectedTexts(listing.texts, keep),
        parts=parts,
        labels=labels,
        label_names=listing.label_names,
        left_out=LeftOut(empty=int((~has_text).sum()), repeats=int(is_repeat.sum())),
        digests=tuple(alike[i] for i in keep),
        fingerprint=fingerprint_of(
            b"".join(exact[i] for i in keep), parts, labels, listing.label_names
        ),
    )
