"""No test document of the domain is in the text of the general model."""

from pathlib import Path

import pytest
from tiny import Silence, tiny_spec

from sweeps.paths import SweepPaths
from sweeps.run.context import Materials
from sweeps.run.prepare import prepare_context
from sweeps.spec.cells import make_cells
from sweeps.spec.general import GeneralSpec
from sweeps.spec.values import TestSpec
from ulm.text.corpora import CorpusSource, open_corpus
from ulm.text.listing import Part

REVIEWS = [f"review {i} of a film" for i in range(100)]


class Listener(Silence):
    def __init__(self):
        self.heard = []

    def message(self, text):
        self.heard.append(text)

    def preparing(self, what, done, total):
        pass


def table(file, texts, labels=None) -> Path:
    lines = [
        "text,label",
        *(f"{t},{'' if labels is None else labels[i]}" for i, t in enumerate(texts)),
    ]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


@pytest.fixture
def corpus(tmp_path):
    path = table(tmp_path / "reviews.csv", REVIEWS, ["bad", "good"] * 50)
    return CorpusSource(kind="csv", path=path)


def general_texts(tmp_path, corpus, path, listener):
    """What the general model trains on, as strings."""
    general = GeneralSpec(kind="csv", path=path)
    spec = tiny_spec(tmp_path, corpus=corpus, general=general, test=TestSpec())
    context, _ = prepare_context(spec, SweepPaths.of(spec), listener)
    materials = Materials(context, make_cells(spec)[0])
    types, tokens = materials.tokens.types, materials.tokens
    return {
        " ".join(types[i] for i in tokens.ids[tokens.offsets[d] : tokens.offsets[d + 1]])
        for d in materials.documents
    }


def test_test_documents_are_left_out_wherever_they_come_from(tmp_path, corpus):
    articles = ["an article of something else", "another article"]
    # other order, other types, a blank more
    path = table(tmp_path / "more.csv", [*articles, *(f" {text}" for text in REVIEWS[::-1])])
    opened = open_corpus(corpus)
    tests = {t for t, part in zip(opened.texts, opened.parts, strict=True) if part == Part.TEST}
    assert len(tests) == 20
    listener = Listener()
    found = general_texts(tmp_path, corpus, path, listener)
    assert found == {f"xxbos {t}" for t in [*articles, *REVIEWS] if t not in tests}
    assert listener.heard == ["20 documents of general repeat a test document and are left out"]


def test_other_text_is_read_whole(tmp_path, corpus):
    path = table(tmp_path / "other.csv", [f"article {i}" for i in range(30)])
    listener = Listener()
    assert len(general_texts(tmp_path, corpus, path, listener)) == 30
    assert listener.heard == []
