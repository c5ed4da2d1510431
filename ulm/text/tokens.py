"""One memory-mapped array of tokens per corpus, made once.

A `CorpusSource` goes in; out comes a `TokenArray`, from which a cell counts words and encodes
documents by numpy alone. Token ids number the types of the whole corpus; a vocabulary is applied
later by one lookup table, so that cells with different vocabularies share the array and tokenising
is never repeated.
"""

import glob
import hashlib
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from ulm.errors import TokenError
from ulm.peak_memory import peak_memory_bytes
from ulm.text.corpora import Corpus, CorpusSource, LeftOut, Part, open_corpus
from ulm.text.stamps import recall, remember, stamp_source
from ulm.text.token_folder import (
    FINGERPRINT,
    ChunkWriter,
    TokenCost,
    folder_name,
    is_whole,
    left_out_of,
    publish,
    read_arrays,
    read_manifest,
    read_types,
)
from ulm.text.tokeniser import (
    default_processes,
    refuse_while_importing_main,
    tokenise_all,
)

_log = logging.getLogger(__name__)

# Documents gathered at a time: their tokens stay in the processor's cache.
BLOCK_DOCUMENTS = 1024

CASE_MARKS = ("xxup", "xxmaj")  # what the rules put before a word in place of its capitals
# Weight of a token by its place, as powers of this number modulo 2**64.
_PLACE = 0x9E3779B97F4A7C15


def _new_offsets(offsets: NDArray[np.int64], documents: NDArray[np.int64]) -> NDArray[np.int64]:
    lengths = offsets[documents + 1] - offsets[documents]
    return np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(lengths, dtype=np.int64)])


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Documents:
    """Encoded documents of different lengths, end to end in one array.

    Args:
        ids: int32 [T], tokens as numbers of a vocabulary.
        offsets: int64 [N + 1]; document i is ``ids[offsets[i]:offsets[i + 1]]``.
    """

    ids: NDArray[np.int32]
    offsets: NDArray[np.int64]

    def __post_init__(self) -> None:
        assert self.offsets[0] == 0, "offsets begin at 0"
        assert self.offsets[-1] == len(self.ids), "the last offset is the number of tokens"

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> NDArray[np.int32]:
        """Return one document, int32 [length], without copying."""
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        index %= len(self)
        return self.ids[self.offsets[index] : self.offsets[index + 1]]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each document, int64 [N]."""
        return np.diff(self.offsets)

    def take(self, indices: NDArray[np.int64]) -> "Documents":
        """Copy some documents, in the order given.

        Args:
            indices: int64 [n], each from 0 to N - 1.
        """
        return Documents(
            ids=np.concatenate([self.ids[:0], *map(self.__getitem__, indices.tolist())]),
            offsets=_new_offsets(self.offsets, indices),
        )


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TokenArray:
    """A tokenised corpus, mapped from disk.

    Args:
        folder: where it lies.
        name: name of the corpus.
        fingerprint: fingerprint of the corpus.
        types: string of each type id, in order of first appearance.
        ids: type id of each token of all documents, the smallest unsigned dtype that fits;
            read-only.
        offsets: int64 [N + 1]; document i is ``ids[offsets[i]:offsets[i + 1]]``.
        parts: uint8 [N], values of `Part`.
        labels: int16 [N], index into `label_names`, -1 for none.
        label_names: names of the classes.
        left_out: documents of the source that are not among these.
        cost: what making it took.
    """

    folder: Path
    name: str
    fingerprint: str
    types: tuple[str, ...] = field(repr=False)
    ids: NDArray[np.unsignedinteger] = field(repr=False)
    offsets: NDArray[np.int64] = field(repr=False)
    parts: NDArray[np.uint8] = field(repr=False)
    labels: NDArray[np.int16] = field(repr=False)
    label_names: tuple[str, ...]
    left_out: LeftOut
    cost: TokenCost

    def __reduce__(self) -> tuple[Callable[[Path], "TokenArray"], tuple[Path]]:
        # A pickle of a memory map would hold every token.
        return load_tokens, (self.folder,)

    @property
    def num_documents(self) -> int:
        """Documents of all parts."""
        return len(self.offsets) - 1

    @property
    def num_tests(self) -> int:
        """Documents of the test part."""
        return int((self.parts == Part.TEST).sum())

    @property
    def num_tokens(self) -> int:
        """Tokens of all parts, ``xxbos`` included."""
        return int(self.offsets[-1])

    def _blocks(self, documents: NDArray[np.int64]) -> Iterator[NDArray[np.unsignedinteger]]:
        ids = np.asarray(self.ids)
        for start in range(0, len(documents), BLOCK_DOCUMENTS):
            block = documents[start : start + BLOCK_DOCUMENTS]
            ends = self.offsets[block + 1].tolist()
            spans = zip(self.offsets[block].tolist(), ends, strict=True)
            # Whole documents are copied twice as fast as their tokens one by one.
            yield np.concatenate([ids[begin:end] for begin, end in spans])

    def counts(self, documents: NDArray[np.int64]) -> NDArray[np.int64]:
        """Count how often each type occurs in some documents.

        Args:
            documents: int64 [n], indices.

        Returns:
            int64 [num_types].
        """
        total = np.zeros(len(self.types), dtype=np.int64)
        for ids in self._blocks(documents):
            total += np.bincount(ids, minlength=len(self.types))
        return total

    def digests(self, documents: NDArray[np.int64]) -> NDArray[np.uint64]:
        """Digest some documents, so that those of two arrays can be compared.

        Two documents have one digest where their tokens are the same strings but for marks of case,
        and otherwise with a probability of about 2**-64.

        Args:
            documents: int64 [n], indices.

        Returns:
            uint64 [n].
        """
        of_types = np.frombuffer(
            b"".join(hashlib.blake2b(t.encode(), digest_size=8).digest() for t in self.types), "<u8"
        )
        is_word = np.array([word not in CASE_MARKS for word in self.types])
        of_types = of_types * is_word
        lengths = self.offsets[documents + 1] - self.offsets[documents]
        weights = np.cumprod(np.full(lengths.max(initial=0), _PLACE, np.uint64))
        found, start = np.empty(len(documents), np.uint64), 0
        for ids in self._blocks(documents):
            block = lengths[start : start + BLOCK_DOCUMENTS]
            begins = np.cumsum(block) - block
            place = np.cumsum(is_word[ids])  # every document begins with `xxbos`, at 0
            places = place - np.repeat(place[begins], block)
            terms = of_types[ids] * weights[places]
            found[start : start + len(block)] = np.add.reduceat(terms, begins)
            start += len(block)
        return found

    def encode(self, documents: NDArray[np.int64], lookup: NDArray[np.int32]) -> Documents:
        """Write some documents in the numbers of a vocabulary.

        Args:
            documents: int64 [n], indices, kept in this order.
            lookup: int32 [num_types], number of each type (see `vocabulary.lookup`).
        """
        assert len(lookup) == len(self.types), "one number for each type"
        offsets = _new_offsets(self.offsets, documents)
        encoded = np.empty(offsets[-1], dtype=np.int32)
        start = 0
        for ids in self._blocks(documents):
            encoded[start : start + len(ids)] = lookup.take(ids)
            start += len(ids)
        return Documents(ids=encoded, offsets=offsets)


def load_tokens(folder: str | Path) -> TokenArray:
    """Map a token array into memory.

    Args:
        folder: what `TokenArray.folder` says.

    Raises:
        TokenError: where the folder is missing, half-written or damaged.
    """
    folder = Path(folder)
    manifest = read_manifest(folder)
    return TokenArray(
        folder=folder,
        name=manifest["name"],
        fingerprint=manifest["fingerprint"],
        types=read_types(folder),
        label_names=tuple(manifest["label_names"]),
        left_out=left_out_of(manifest),
        cost=TokenCost(**manifest["cost"]),
        **read_arrays(folder),
    )


def _write(
    corpus: Corpus, folder: Path, processes: int, on_progress: Callable[[int, int], None] | None
) -> None:
    started = time.monotonic()
    writer = ChunkWriter(folder)
    num_done = 0
    for num_documents in writer.append(tokenise_all(corpus.texts, processes=processes)):
        num_done += num_documents
        if on_progress is not None:
            on_progress(num_done, len(corpus))
    peaks = {**writer.peak_bytes, os.getpid(): peak_memory_bytes()}
    writer.finish(
        corpus,
        TokenCost(
            wall_seconds=round(time.monotonic() - started, 1),
            peak_gib=round(sum(peaks.values()) / 2**30, 3),
            processes=len(writer.peak_bytes),
        ),
    )


def _make(
    corpus: Corpus,
    cache: Path,
    processes: int,
    on_progress: Callable[[int, int], None] | None,
    obtain: Callable[[Path], None] | None,
) -> Path:
    """Tokenise a corpus into its folder; the caller holds the lock of its name."""
    folder = cache / folder_name(corpus.name, corpus.fingerprint)
    if obtain is not None and not is_whole(folder):
        obtain(folder)
    if is_whole(folder):
        return folder
    if folder.exists():
        _log.warning("%s is not as it was written, and is made anew", folder)
    # Under the lock, whatever is half-written was left by a process that died.
    for left in cache.glob(f".{glob.escape(corpus.name)}-{FINGERPRINT}-*.tmp"):
        shutil.rmtree(left)
    temporary = cache / f".{folder.name}.tmp"
    temporary.mkdir()
    try:
        _write(corpus, temporary, processes, on_progress)
        publish(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder


def stored_tokens(folder: Path) -> TokenArray | None:
    """What `load_tokens` gives; None where it is missing or damaged."""
    try:
        return load_tokens(folder)
    except TokenError:
        return None


def recalled_tokens(source: CorpusSource, cache: Path) -> TokenArray | None:
    """What `prepare_tokens` made of a source as its files are now; None where it has not."""
    return _recalled(cache, stamp_source(source))


def _recalled(cache: Path, stamp: str | None) -> TokenArray | None:
    folder = None if stamp is None else recall(cache, stamp)
    return None if folder is None else stored_tokens(folder)


def prepare_tokens(
    source: CorpusSource,
    cache: str | Path,
    *,
    processes: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
    obtain: Callable[[Path], None] | None = None,
) -> TokenArray:
    """Tokenise a corpus once with fastai's tokeniser and rules, or load what was made before.

    A second start recognises the source by the outside of its files and reads no text. A stored
    array that is damaged is made anew. Processes that start together wait for each other. Tokens
    are the strings of `fastai.text.core.tokenize_texts`.

    Args:
        source: where the documents come from.
        cache: folder that holds token arrays; made where missing.
        processes: worker processes; None for one per processor, at most 3 (2 GiB).
        on_progress: called with documents done and documents in all.
        obtain: called with the folder before it is made; where somebody else has made it, a whole
            copy may be put there.

    Raises:
        CorpusError: where the source can not be opened or breaks a rule.
        TokenError: where a worker dies, or the calling script has no guard.
    """
    if processes is not None and processes < 1:
        raise TokenError(f"processes must be at least 1, found {processes}; leave it out")
    cache = Path(cache)
    stamp = stamp_source(source)
    if (tokens := _recalled(cache, stamp)) is not None:
        return tokens
    refuse_while_importing_main()
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(cache / f".{source.name}.lock"):
        if (tokens := _recalled(cache, stamp)) is not None:
            return tokens
        corpus = open_corpus(source)
        folder = _make(corpus, cache, processes or default_processes(), on_progress, obtain)
        # A download has changed the outside of the files.
        stamp = stamp_source(source)
        assert stamp is not None, "a corpus that was opened has files"
        remember(cache, stamp, folder)
    return load_tokens(folder)
