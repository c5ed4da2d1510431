"""No test document of the domain is in the text of the general model."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from tiny import tiny_spec

from sweeps.paths import SHARED_TEXT, SweepPaths
from sweeps.report.caveats import caveats
from sweeps.report.evidence import Evidence
from sweeps.run.context import Materials
from sweeps.run.memory import MemoryPeak
from sweeps.run.prepare import prepare_context
from sweeps.run.session import RunSession
from sweeps.search.control import Control
from sweeps.search.listener import RunListener
from sweeps.spec.cells import make_cells
from sweeps.spec.general import GeneralSpec
from sweeps.spec.values import TestSpec
from ulm.text.corpora import CorpusSource, open_corpus
from ulm.text.listing import Part

REVIEWS = [f"review {i} of a film" for i in range(100)]


class Listener(RunListener):
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


def spec_of(tmp_path, corpus, path):
    general = GeneralSpec(kind="csv", path=path)
    return tiny_spec(tmp_path, corpus=corpus, general=general, test=TestSpec())


def general_texts(tmp_path, corpus, path, listener):
    """What the general model trains on, as strings."""
    spec = spec_of(tmp_path, corpus, path)
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


def test_what_general_text_shares_with_the_domain_is_in_the_report(tmp_path, corpus, monkeypatch):
    articles = [f"article {i}" for i in range(30)]
    path = table(tmp_path / "copy.csv", [*articles, *(f" {text}" for text in REVIEWS[:47])])
    spec = spec_of(tmp_path, corpus, path)
    paths = SweepPaths.of(spec)
    paths.folder.mkdir()
    _, tokens = prepare_context(spec, paths, Listener())
    session = RunSession(spec, paths, Listener(), tokens=tokens)
    monkeypatch.setattr(Control, "num_trained", 1)
    session.keep_facts(1.0, MemoryPeak())
    session.close()
    facts = json.loads(paths.summary_json.read_text())
    tests = int((tokens[0].parts[:47] == Part.TEST).sum())
    assert (47 - tests) / 80 != 47 / 100, "test documents do not count"
    labelled = (tokens[0].parts == Part.LABELLED) & (tokens[0].labels >= 0)
    assert facts["documents_to_draw_labels_from"] == labelled.sum() > 0
    assert facts["test_documents_left_out_of_general_text"] == tests > 0
    assert facts["share_of_domain_in_general_text"] == pytest.approx((47 - tests) / 80)
    evidence = Evidence.gather(paths, session.control.ledger)
    assert evidence.pool_labels == labelled.sum()
    notes = caveats(evidence)
    share = f"{100 * (47 - tests) / 80:.1f} %"
    assert any(f"pretrained on {share} of the domain's own documents" in note for note in notes)
    assert not any(
        "own documents" in n for n in caveats(replace(evidence, summary={SHARED_TEXT: 0.05}))
    )
