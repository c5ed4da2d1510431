"""fastai's tokeniser and rules over chunks of documents, in this process or several.

Texts go in, `TokenChunk` values come out in document order whatever the number of processes: the
distinct token strings of the chunk, one small integer per token, one length per document. spaCy is
asked only for words that were not seen before (`pieces`), and no Python object is made per token:
on reviews three times as fast as fastai's `tokenize_texts`, with the same strings.
"""

import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ulm.errors import TokenError
from ulm.peak_memory import peak_memory_bytes
from ulm.processors import processors
from ulm.text.pieces import PieceTokeniser

# About 500 reviews, a second of work: large against sending it, small against memory.
CHUNK_CHARACTERS = 600_000
CHUNK_DOCUMENTS = 20_000
# Starting a process costs about as much as tokenising three chunks.
MINIMUM_POOL_CHUNKS = 6
# A worker with fastai and spaCy holds half a GiB; three stay below 2 GiB.
DEFAULT_PROCESSES = 3
_TURN = threading.Lock()
NO_GUARD = "the calling script has no `if __name__ == '__main__':` guard"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TokenChunk:
    """Some documents, tokenised.

    Args:
        types: distinct token strings, in order of first appearance.
        ids: int32 [T], index into `types` of each token.
        lengths: int64 [N], tokens of each document.
        process: id of the process that made it.
        peak_bytes: largest resident memory of that process so far.
    """

    types: tuple[str, ...]
    ids: NDArray[np.int32]
    lengths: NDArray[np.int64]
    process: int
    peak_bytes: int


@cache
def _fastai() -> tuple[
    PieceTokeniser, Callable[[Sequence[str]], Iterator[str]], Callable[[str], str], Any
]:
    """Return a tokeniser, fastai's rules over texts, its rule over tokens, and spaCy's strings."""
    from fastai.text.core import SpacyTokenizer, defaults
    from fastcore.basics import compose, maps

    nlp = SpacyTokenizer().pipe.__self__
    rules = list(defaults.text_proc_rules)
    return (
        PieceTokeniser(nlp.tokenizer),
        lambda texts: maps(*rules, texts),
        compose(*defaults.text_postproc_rules),
        nlp.vocab.strings,
    )


def tokenise(texts: Sequence[str]) -> TokenChunk:
    """Tokenise documents as `fastai.text.core.tokenize_texts` does, ``xxbos`` included.

    Threads take turns, as those of a server: what was read is remembered for all.

    Args:
        texts: at least one document.
    """
    with _TURN:
        to_hashes, apply_rules, finish, strings = _fastai()
        hashes = to_hashes(apply_rules(texts))
    distinct, first, inverse = np.unique(
        np.concatenate(hashes), return_index=True, return_inverse=True
    )
    order = np.argsort(first)
    rank = np.empty(len(order), dtype=np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    return TokenChunk(
        types=tuple(finish(strings[int(key)]) for key in distinct[order]),
        ids=rank[inverse],
        lengths=np.array([len(tokens) for tokens in hashes], dtype=np.int64),
        process=os.getpid(),
        peak_bytes=peak_memory_bytes(),
    )


def _chunks(texts: Iterable[str]) -> Iterator[list[str]]:
    chunk: list[str] = []
    num_characters = 0
    for text in texts:
        chunk.append(text)
        num_characters += len(text)
        if num_characters >= CHUNK_CHARACTERS or len(chunk) >= CHUNK_DOCUMENTS:
            yield chunk
            chunk, num_characters = [], 0
    if chunk:
        yield chunk


def refuse_while_importing_main() -> None:
    """Refuse to tokenise in a worker that is still importing the script of its parent.

    Raises:
        TokenError: That script tokenises without a guard; it would wait for itself.
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise TokenError(f"{NO_GUARD}; add the guard, or pass processes=1")


def _leave_with_parent() -> None:
    """End this worker when its parent ends: after a SIGKILL nobody else would."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _tokenise_in_pool(chunks: Iterator[list[str]], processes: int) -> Iterator[TokenChunk]:
    pool = ProcessPoolExecutor(
        processes, multiprocessing.get_context("spawn"), initializer=_leave_with_parent
    )
    waiting: deque[Future[TokenChunk]] = deque()
    try:
        # A bounded window: texts are read no faster than they are used up.
        waiting.extend(pool.submit(tokenise, chunk) for chunk in islice(chunks, 2 * processes))
        while waiting:
            yield waiting.popleft().result()
            waiting.extend(pool.submit(tokenise, chunk) for chunk in islice(chunks, 1))
    except BrokenProcessPool as error:
        raise TokenError(
            f"a tokenising process ended before its work: out of memory, or {NO_GUARD}; add the "
            "guard, or pass processes=1"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def default_processes() -> int:
    """Return how many processes tokenise where the caller does not say: processors, at most 3."""
    return min(processors(), DEFAULT_PROCESSES)


def tokenise_all(texts: Iterable[str], *, processes: int) -> Iterator[TokenChunk]:
    """Tokenise documents of any number in bounded memory, in order.

    Args:
        texts: the documents; read as they are needed.
        processes: processes to use, >= 1. Small corpora are tokenised in this process all the same.

    Raises:
        TokenError: where a process dies.
    """
    chunks = _chunks(texts)
    head = list(islice(chunks, MINIMUM_POOL_CHUNKS))
    together = (chunk for part in (head, chunks) for chunk in part)
    if processes == 1 or len(head) < MINIMUM_POOL_CHUNKS:
        return map(tokenise, together)
    return _tokenise_in_pool(together, processes)
