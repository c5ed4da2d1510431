"""The text that benchmarks read: IMDB reviews, raw and tokenised once into `runs/bench-tokens`."""

import sys
from pathlib import Path

import numpy as np

from ulm.text.corpora import CorpusSource, open_corpus
from ulm.text.downloads import data_folder
from ulm.text.listing import Part
from ulm.text.tokens import Documents, TokenArray, prepare_tokens
from ulm.text.vocabulary import Vocabulary, count_vocabulary, lookup

CACHE = Path("runs/bench-tokens")
SOURCE = CorpusSource(kind="imdb")


def _need_reviews() -> None:
    if not (data_folder() / "imdb").is_dir():
        sys.exit(f"this benchmark reads IMDB's reviews, found none at {data_folder() / 'imdb'}")


def texts(number: int, *, seed: int = 0) -> list[str]:
    """Some reviews of the unlabelled part, drawn from a seed."""
    _need_reviews()
    corpus = open_corpus(SOURCE)
    pool = np.flatnonzero(corpus.parts == Part.UNLABELLED)
    chosen = np.random.default_rng(seed).choice(pool, number, replace=False)
    return [corpus.texts[int(document)] for document in chosen]


def tokens() -> TokenArray:
    """All of IMDB; minutes at the first call on a machine, less than a second afterwards."""
    _need_reviews()
    return prepare_tokens(SOURCE, CACHE)


def sample(array: TokenArray, part: Part, number: int, *, seed: int = 0) -> np.ndarray:
    """Indices of some documents of a part."""
    pool = np.flatnonzero(array.parts == part)
    return np.random.default_rng(seed).choice(pool, number, replace=False)


def vocabulary(array: TokenArray, size: int) -> Vocabulary:
    """The most frequent words of all documents; made-up ones fill a vocabulary that is larger."""
    counts = array.counts(np.arange(array.num_documents, dtype=np.int64))
    words = count_vocabulary(counts, array.types, size=size, minimum_count=1).words
    return Vocabulary(words=(*words, *(f"made-up-{i}" for i in range(size - len(words)))))


def encode(array: TokenArray, documents: np.ndarray, words: Vocabulary) -> Documents:
    """Documents as the numbers of a vocabulary."""
    return array.encode(documents, lookup(words, array.types))
