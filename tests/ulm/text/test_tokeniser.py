"""The tokeniser gives fastai's strings, in order, whatever the number of processes."""

import os
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from ulm.errors import TokenError
from ulm.text import tokeniser
from ulm.text.downloads import data_folder
from ulm.text.tokeniser import TokenChunk, tokenise, tokenise_all

pytestmark = pytest.mark.torch

ODD_TEXTS = [
    "A plain sentence, with a comma.",
    "SHOUTING and Mixed CaSe, soooo gooood!!!! very very very very bad",
    "<br /><br />Html &amp; entities &#39;quoted&#39; <unk> 3 @.@ 5 @-@ x",
    "It's what we don't, can't and won't do... cannot; gonna",
    "/slashes\\and#hashes  and   spaces\t\ttabs\n\n\nlines",
    "naïve café – 数据不足 🙂 xxunk xxbos",
    " ",
    "10/10 :-) http://example.com/a?b=c me@example.com $5.00 1,000.5km",
]


def by_fastai(texts: list[str]) -> list[list[str]]:
    from fastai.text.core import tokenize_texts

    return [list(document) for document in tokenize_texts(texts, n_workers=0)]


def strings(chunks: list[TokenChunk]) -> list[list[str]]:
    documents = []
    for chunk in chunks:
        ends = np.cumsum(chunk.lengths)
        for start, end in zip(ends - chunk.lengths, ends, strict=True):
            documents.append([chunk.types[i] for i in chunk.ids[start:end]])
    return documents


def test_tokens_are_fastais_for_odd_texts():
    assert strings([tokenise(ODD_TEXTS)]) == by_fastai(ODD_TEXTS)


def test_threads_that_tokenise_at_once_get_what_one_gets():
    texts = [[f"word{i} and word{j}, not word{i + j}" for j in range(20)] for i in range(200)]
    tokeniser._fastai.cache_clear()
    expected = [strings([tokenise(each)]) for each in texts]
    tokeniser._fastai.cache_clear()
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as threads:
            found = list(threads.map(lambda each: strings([tokenise(each)]), texts))
    finally:
        sys.setswitchinterval(before)
    assert found == expected


def test_types_of_a_chunk_are_in_order_of_first_appearance():
    chunk = tokenise(["b a b", "c a"])
    assert chunk.types == ("xxbos", "b", "a", "c")
    assert chunk.ids.tolist() == [0, 1, 2, 1, 0, 3, 2]


@pytest.mark.network
@pytest.mark.skipif(not (data_folder() / "imdb").is_dir(), reason="IMDB is not unpacked")
def test_tokens_are_fastais_for_real_reviews():
    files = sorted((data_folder() / "imdb" / "unsup").glob("1000*.txt"))
    texts = [path.read_text(encoding="utf-8") for path in files]
    assert texts
    assert strings([tokenise(texts)]) == by_fastai(texts)


def test_several_processes_give_the_same_chunks_as_one(monkeypatch):
    monkeypatch.setattr(tokeniser, "CHUNK_CHARACTERS", 200)
    texts = [f"{text} number {i}" for i in range(3) for text in ODD_TEXTS]
    alone = list(tokenise_all(iter(texts), processes=1))
    together = list(tokenise_all(iter(texts), processes=2))
    assert len(alone) >= tokeniser.MINIMUM_POOL_CHUNKS
    assert strings(together) == strings(alone) == by_fastai(texts)
    assert [chunk.types for chunk in together] == [chunk.types for chunk in alone]
    assert {chunk.process for chunk in alone} == {os.getpid()}
    assert os.getpid() not in {chunk.process for chunk in together}
    assert all(chunk.peak_bytes > 0 for chunk in together)


def test_a_document_longer_than_spacys_limit_is_tokenised():
    text = "one two " * 126_000
    assert len(text) > 1_000_000
    assert tokenise([text]).lengths.tolist() == [252_001]


def test_a_worker_that_dies_is_reported_with_a_remedy(monkeypatch):
    # The work sent is the exit code of the worker.
    monkeypatch.setattr(tokeniser, "_chunks", lambda texts: iter([1] * 10))
    monkeypatch.setattr(tokeniser, "tokenise", os._exit)
    with pytest.raises(TokenError, match=r"a tokenising process ended .*processes=1"):
        list(tokenise_all([], processes=2))
