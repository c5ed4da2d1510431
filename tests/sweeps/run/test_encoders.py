import pytest
import torch

from sweeps.errors import StorageError
from sweeps.run import encoders
from sweeps.run.encoders import EncoderStore, InMemoryEncoders, key_for
from sweeps.run.shared_folder import CONTENTS_FILE
from ulm.model.architecture import Architecture
from ulm.model.encoder import MANIFEST_FILE, WEIGHTS_FILE, random_encoder
from ulm.text.vocabulary import SPECIAL_WORDS, Vocabulary

pytestmark = pytest.mark.torch


@pytest.fixture(params=["folder", "memory"])
def store(request, tmp_path):
    return (
        EncoderStore(str(tmp_path / "encoders"))
        if request.param == "folder"
        else (InMemoryEncoders())
    )


def small_encoder(seed=0):
    vocabulary = Vocabulary(words=(*SPECIAL_WORDS, "film", "good"))
    return random_encoder(Architecture(embedding=4, hidden=6, layers=2), vocabulary, seed=seed)


def test_the_key_depends_on_every_determinant_and_on_no_order():
    key = key_for({"seed": 1, "documents": "abc"})
    assert key == key_for({"documents": "abc", "seed": 1})
    assert key != key_for({"documents": "abc", "seed": 2})
    assert len(key) == 32


def test_an_encoder_comes_back_whole_with_its_summary(store):
    encoder = small_encoder()
    assert not store.has("k")
    store.save("k", encoder, {"metrics": {"validation_loss": 4.5}})
    assert store.has("k")
    found = store.load("k")
    assert found.vocabulary == encoder.vocabulary
    assert all(torch.equal(found.weights[name], encoder.weights[name]) for name in encoder.weights)
    assert store.summary("k") == {"metrics": {"validation_loss": 4.5}}


def test_an_encoder_that_is_not_there_is_named(store):
    with pytest.raises(StorageError, match="none with key missing"):
        store.load("missing")
    with pytest.raises(StorageError, match="none with key missing"):
        store.summary("missing")


def test_saving_the_same_key_again_leaves_one_whole_encoder(store):
    store.save("k", small_encoder(), {"n": 1})
    store.save("k", small_encoder(), {"n": 1})
    assert store.has("k")
    assert store.summary("k") == {"n": 1}


def test_an_encoder_that_trials_may_be_reading_is_not_written_again(tmp_path):
    store = EncoderStore(str(tmp_path))
    store.save("k", small_encoder(seed=0), {"n": 1})
    store.save("k", small_encoder(seed=1), {"n": 2})
    assert store.summary("k") == {"n": 1}


def test_sizes_are_known_without_reading_the_weights(tmp_path):
    store = EncoderStore(str(tmp_path))
    store.save("k", small_encoder(), {})
    (tmp_path / "k" / WEIGHTS_FILE).unlink()
    assert store.architecture("k") == Architecture(embedding=4, hidden=6, layers=2)
    with pytest.raises(StorageError, match="none with key missing"):
        store.architecture("missing")


def test_an_encoder_without_its_manifest_is_not_there_and_no_part_is_left(tmp_path):
    store = EncoderStore(str(tmp_path))
    store.save("k", small_encoder(), {})
    assert sorted(file.name for file in (tmp_path / "k").iterdir()) == [
        "contents.json",
        "encoder.json",
        "encoder.safetensors",
        "summary.json",
    ]
    (tmp_path / "half").mkdir()
    (tmp_path / "k" / MANIFEST_FILE).rename(tmp_path / "half" / MANIFEST_FILE)
    assert not store.has("half")


def test_a_kept_encoder_is_read_once_per_process(tmp_path):
    store = EncoderStore(str(tmp_path / "kept"))
    store.save("k", small_encoder(), {})
    first = store.load("k", keep=True)
    assert EncoderStore(str(tmp_path / "kept")).load("k") is first
    assert store.load("k", keep=True) is first


def test_a_uri_is_a_store_too(tmp_path):
    store = EncoderStore(f"file://{tmp_path}/by-uri")
    store.save("k", small_encoder(), {"n": 1})
    assert EncoderStore(str(tmp_path / "by-uri")).summary("k") == {"n": 1}


def test_an_encoder_to_keep_is_fetched_to_the_disk_of_the_machine_once(tmp_path, monkeypatch):
    monkeypatch.setenv("SWEEP_CACHE", str(tmp_path / "node"))
    root = f"file://{tmp_path}/bucket"
    encoder = small_encoder()
    EncoderStore(root).save("general", encoder, {})
    monkeypatch.setattr(encoders, "_KEPT", {})
    EncoderStore(root).load("general", keep=True)
    (tmp_path / "bucket" / "general" / WEIGHTS_FILE).write_bytes(b"read no more")
    monkeypatch.setattr(encoders, "_KEPT", {})  # as in another process of the machine
    found = EncoderStore(root).load("general", keep=True)
    assert all(torch.equal(found.weights[name], encoder.weights[name]) for name in encoder.weights)


def test_an_encoder_of_one_cell_fills_no_disk(tmp_path, monkeypatch):
    monkeypatch.setenv("SWEEP_CACHE", str(tmp_path / "node"))
    store = EncoderStore(f"file://{tmp_path}/bucket")
    store.save("k", small_encoder(), {})
    assert store.load("k").vocabulary == small_encoder().vocabulary
    assert not (tmp_path / "node").exists()


def test_an_encoder_of_an_earlier_version_is_read_without_contents(tmp_path, monkeypatch):
    monkeypatch.setenv("SWEEP_CACHE", str(tmp_path / "node"))
    store = EncoderStore(f"file://{tmp_path}/bucket")
    store.save("old", small_encoder(), {})
    (tmp_path / "bucket" / "old" / CONTENTS_FILE).unlink()
    assert store.load("old", keep=True).vocabulary == small_encoder().vocabulary
