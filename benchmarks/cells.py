"""Making a cell ready at 64,000 documents: subset, vocabulary and ids, from the mapped token array.

    python benchmarks/cells.py

The other side is what fastai does with texts that are tokenised already: count words, choose a
vocabulary, write every text as ids and lay the stream out (`Datasets` and `LMDataLoader`, as
`TextDataLoaders` builds them). Its tokens are handed over as Python lists that share their strings.
Memory is that of a process of its own in which the whole array has been read before.
"""

import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import reviews
from table import Row, clock, interleaved, machine, print_table

from ulm.peak_memory import peak_memory_bytes
from ulm.text.subsets import make_subset
from ulm.text.tokens import Documents, TokenArray, load_tokens, prepare_tokens
from ulm.text.vocabulary import count_vocabulary, lookup

SIZE = 64_000
LABELS = 500
WORDS = 60_000


def make_ready(array: TokenArray) -> Documents:
    """What a worker does before it trains a cell."""
    subset = make_subset(array.parts, array.labels, num_labels=LABELS, size=SIZE, seed=0)
    words = count_vocabulary(
        array.counts(subset.documents), array.types, size=WORDS, minimum_count=2
    )
    return array.encode(subset.documents, lookup(words, array.types))


def tokenised(array: TokenArray) -> list[list[str]]:
    """The same documents as lists of strings."""
    subset = make_subset(array.parts, array.labels, num_labels=LABELS, size=SIZE, seed=0)
    ids, types = np.asarray(array.ids), array.types
    spans = ((array.offsets[d], array.offsets[d + 1]) for d in subset.documents)
    return [[types[i] for i in ids[begin:end].tolist()] for begin, end in spans]


def by_fastai(texts: list[list[str]]) -> object:
    """Loaders from tokenised texts, made by fastai."""
    from fastai.data.core import Datasets
    from fastai.text.data import LMDataLoader, Numericalize

    datasets = Datasets(texts, [[Numericalize(min_freq=2, max_vocab=WORDS)]])
    return datasets.dataloaders(bs=64, seq_len=70, dl_type=LMDataLoader)


def peak_mib() -> float:
    """MiB that making the cell ready adds in a fresh process, measured by itself."""
    output = subprocess.run(
        [sys.executable, __file__, "--memory"], check=True, capture_output=True, text=True
    )
    return float(output.stdout)


def print_memory() -> None:
    """The process of `peak_mib`."""
    array = load_tokens(next(reviews.CACHE.glob("imdb-*")))
    np.asarray(array.ids).max()  # every page of the map is resident
    before = peak_memory_bytes()
    make_ready(array)
    print((peak_memory_bytes() - before) / 2**20)


def second_start() -> float:
    """Seconds until all 100,000 documents are at hand again."""
    begin = clock()
    prepare_tokens(reviews.SOURCE, reviews.CACHE)
    return clock() - begin


def rows() -> Iterator[Row]:
    array = reviews.tokens()
    seconds = sorted(second_start() for _ in range(5))[2]
    yield Row(
        what=f"second start, {array.num_documents:,} documents",
        against="–",
        reach="≤ 1 s",
        measured=f"{seconds:.2f} s (median of 5)",
        reached=seconds <= 1,
    )
    texts = tokenised(array)
    ratio = interleaved(lambda: make_ready(array), lambda: by_fastai(texts))
    ours = sorted(ratio.ours)[2]
    what = f"cell ready, {SIZE:,} documents, {sum(map(len, texts)) / 1e6:.1f} M tokens"
    yield Row(
        what=what,
        against="fastai's loaders from tokenised texts",
        reach="≥ 20 ×",
        measured=str(ratio),
        reached=ratio.median >= 20,
    )
    yield Row(
        what=what,
        against="–",
        reach="≤ 3 s",
        measured=f"{ours:.2f} s (median of 5)",
        reached=ours <= 3,
    )
    mib = peak_mib()
    yield Row(
        what=what,
        against="the mapped array",
        reach="≤ 300 MiB more",
        measured=f"{mib:.0f} MiB more",
        reached=mib <= 300,
    )


if __name__ == "__main__":
    if "--memory" in sys.argv:
        print_memory()
    else:
        print(machine("numpy", "fastai", "torch"), end="\n\n")
        print_table(rows())
