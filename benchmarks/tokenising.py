"""Tokenising reviews against fastai's `tokenize_texts`, on one core and on several.

    python benchmarks/tokenising.py

Both sides start every round anew, without the words of the round before, on the same texts; the
tokens are compared one by one. Several processes are compared with one process on more texts, the
start of the processes included.
"""

import time
from collections.abc import Iterator

import numpy as np
import reviews
from table import BUSY, Row, interleaved, machine, print_table

from ulm.text import tokeniser
from ulm.text.tokeniser import TokenChunk, default_processes, tokenise, tokenise_all

REVIEWS = 3000
MANY_REVIEWS = 40_000


def ours(texts: list[str]) -> TokenChunk:
    """One chunk, by a tokeniser that knows no word yet."""
    tokeniser._fastai.cache_clear()
    return tokenise(texts)


def theirs(texts: list[str]) -> list[list[str]]:
    """The same by fastai, in this process."""
    from fastai.text.core import tokenize_texts

    return [list(document) for document in tokenize_texts(texts, n_workers=0)]


def strings(chunk: TokenChunk) -> list[list[str]]:
    """Tokens of each document."""
    ends = np.cumsum(chunk.lengths)
    spans = zip(ends - chunk.lengths, ends, strict=True)
    return [[chunk.types[i] for i in chunk.ids[begin:end]] for begin, end in spans]


def tokens_per_second(texts: list[str], processes: int) -> float:
    """Throughput of `tokenise_all`."""
    tokeniser._fastai.cache_clear()
    begin = time.perf_counter()
    number = sum(len(chunk.ids) for chunk in tokenise_all(iter(texts), processes=processes))
    return number / (time.perf_counter() - begin)


def rows() -> Iterator[Row]:
    texts = reviews.texts(REVIEWS)
    chunk, wanted = ours(texts), theirs(texts)
    same = strings(chunk) == wanted
    ratio = interleaved(lambda: ours(texts), lambda: theirs(texts))
    speeds = [len(chunk.ids) / sorted(side)[2] for side in (ratio.ours, ratio.theirs)]
    equal = "same tokens" if same else "OTHER TOKENS"
    yield Row(
        what=f"tokenising on one core, {REVIEWS:,} reviews",
        against="`tokenize_texts` in one process",
        reach="≥ 1.5 ×, same tokens",
        measured=f"{ratio}, {equal}, {speeds[0]:,.0f} tokens/s against {speeds[1]:,.0f}",
        reached=same and ratio.median >= 1.5,
    )
    yield several_cores(default_processes())


def several_cores(processes: int) -> Row:
    """All processors against one; a machine that others use has none to spare."""
    what = f"tokenising on {processes} cores, {MANY_REVIEWS:,} reviews, their start included"
    reach = f"≥ {0.6 * processes:.1f} × ({processes} cores)"
    if BUSY:
        return Row(what=what, against="one core", reach=reach, measured="needs a quiet machine")
    many = reviews.texts(MANY_REVIEWS)
    speeds = [tokens_per_second(many, number) for number in (1, processes)]
    return Row(
        what=what,
        against="one core",
        reach=reach,
        measured=f"{speeds[1] / speeds[0]:.2f} ×, {speeds[1]:,.0f} tokens/s",
        reached=speeds[1] / speeds[0] >= 0.6 * processes,
    )


if __name__ == "__main__":
    print(machine("fastai", "spacy", "numpy"), end="\n\n")
    print_table(rows())
