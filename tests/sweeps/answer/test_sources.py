import json
import shutil

import numpy as np
import pytest
from safetensors.numpy import save_file

from sweeps.answer import sources
from sweeps.answer.sources import read_embedding, recorded_tokens, text_of
from sweeps.paths import SweepPaths
from sweeps.search.studies import OptunaStudies
from sweeps.spec.meaning import CONTENT
from tests.sweeps.example_sweep import example_spec
from ulm.text.corpora import CorpusSource
from ulm.text.tokens import prepare_tokens


@pytest.fixture
def paths(tmp_path):
    return SweepPaths(storage=str(tmp_path), name="x")


def test_the_names_of_an_encoders_files_are_those_it_is_saved_under():
    from ulm.model import encoder

    for name in ("WEIGHTS_FILE", "MANIFEST_FILE", "EMBEDDING"):
        assert getattr(sources, name) == getattr(encoder, name)


ROWS = np.arange(6, dtype=np.float32).reshape(3, 2)


def save_encoder(folder):
    folder.mkdir(parents=True)
    save_file({sources.EMBEDDING: ROWS, "bias": np.zeros(3)}, folder / sources.WEIGHTS_FILE)
    (folder / sources.MANIFEST_FILE).write_text(json.dumps({"vocabulary": ["a", "b", "c"]}))


def test_an_embedding_is_read_without_a_model(paths):
    save_encoder(paths.encoders / "key")
    found = read_embedding(paths, "key")
    assert found.words == ("a", "b", "c")
    assert found.rows.tolist() == ROWS.tolist()


def test_an_encoder_in_a_bucket_comes_to_this_machine_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the working copy of a URI lies there
    paths = SweepPaths(storage=f"file://{tmp_path}/bucket", name="x")
    assert read_embedding(paths, "key") is None
    save_encoder(tmp_path / "bucket" / "encoders" / "key")
    assert read_embedding(paths, "key").rows.tolist() == ROWS.tolist()
    shutil.rmtree(tmp_path / "bucket")
    assert read_embedding(paths, "key").rows.tolist() == ROWS.tolist()


def test_an_encoder_that_is_not_here_or_is_damaged_is_none(paths):
    assert read_embedding(paths, "key") is None
    folder = paths.encoders / "key"
    folder.mkdir(parents=True)
    (folder / sources.MANIFEST_FILE).write_text("{}")
    (folder / sources.WEIGHTS_FILE).write_bytes(b"half a file")
    assert read_embedding(paths, "key") is None


def record(paths, spec, content):
    studies = OptunaStudies(paths.ledger_url, spec.name)
    studies.open({CONTENT[0]: content})
    studies.close()


def test_texts_come_from_the_token_array_of_the_corpus_wherever_that_lies_by_now(paths, tmp_path):
    for part, label, text in (
        ("train", "bad", "Dull."),
        ("train", "good", "Fine."),
        ("test", "bad", "It was BAD, really bad!"),
        ("test", "good", "It's good."),
    ):
        folder = tmp_path / "corpus" / part / label
        folder.mkdir(parents=True)
        (folder / "0.txt").write_text(text)
    source = CorpusSource(kind="folder", path=tmp_path / "corpus")
    spec = example_spec(corpus=source)
    assert recorded_tokens(paths, spec) is None
    made = prepare_tokens(source, paths.tokens, processes=1)
    tokens = recorded_tokens(paths, spec)
    texts = [text_of(tokens, document) for document in range(tokens.num_documents)]
    assert "It was BAD, really bad!" in texts
    assert tokens.label_names == ("bad", "good")
    assert (tokens.num_documents, tokens.num_tests) == (4, 2)

    (tmp_path / "corpus").rename(tmp_path / "moved")
    assert recorded_tokens(paths, spec) is None
    paths.folder.mkdir()
    record(paths, spec, made.fingerprint[:16])
    assert recorded_tokens(paths, spec).fingerprint == made.fingerprint


def test_documents_of_another_text_than_the_recorded_one_are_not_taken(paths):
    spec = example_spec(corpus=CorpusSource(kind="synthetic", documents=5))
    prepare_tokens(spec.corpus, paths.tokens, processes=1)
    assert recorded_tokens(paths, spec) is not None
    paths.folder.mkdir()
    record(paths, spec, "316b501b2faeef58")
    assert recorded_tokens(paths, spec) is None
