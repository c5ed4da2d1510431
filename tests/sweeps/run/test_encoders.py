import pytest
import torch

from sweeps.errors import LostEncoderError, StorageError
from sweeps.run import encoders, shared_folder
from sweeps.run.encoders import SUMMARY_FILE, EncoderStore, key_for
from sweeps.run.shared_folder import CONTENTS_FILE
from ulm.model.architecture import Architecture
from ulm.model.encoder import MANIFEST_FILE, WEIGHTS_FILE, random_encoder
from ulm.text.vocabulary import SPECIAL_WORDS, Vocabulary

pytestmark = pytest.mark.torch


@pytest.fixture
def store(tmp_path):
    return EncoderStore(str(tmp_path / "encoders"))


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
    for read in (store.load, store.summary):
        with pytest.raises(LostEncoderError, match=r"encoder missing is no.* in .*") as caught:
            read("missing")
        assert caught.value.key == "missing"


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
    with pytest.raises(LostEncoderError, match="encoder missing"):
        store.architecture("missing")


@pytest.mark.parametrize("num_put", range(4))
def test_an_encoder_that_was_not_written_to_its_end_is_not_there_until_it_is_saved_again(
    tmp_path, monkeypatch, num_put
):
    left = iter(range(num_put))

    def or_fail(put):
        def act(*places):
            if next(left, None) is None:
                raise OSError("the disk is full")
            put(*places)

        return act

    for name in ("put_file", "put_bytes"):  # files, then contents
        monkeypatch.setattr(shared_folder, name, or_fail(getattr(shared_folder, name)))
    store = EncoderStore(str(tmp_path))
    with pytest.raises(StorageError, match=r"disk is full\): check the rights and the disk of "):
        store.save("k", small_encoder(), {"n": 1})
    assert not store.has("k")
    for read in (EncoderStore.load, EncoderStore.summary, EncoderStore.architecture):
        with pytest.raises(LostEncoderError, match="is no longer in"):
            read(store, "k")
    monkeypatch.undo()
    store.save("k", small_encoder(), {"n": 1})
    assert store.load("k").vocabulary == small_encoder().vocabulary


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


def cut(file):
    file.write_bytes(file.read_bytes()[:-1])


def flip(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def remove(file):
    """As earlier versions did with the summary of a damaged encoder; their contents stayed."""
    file.unlink()


READ = [
    (EncoderStore.load, WEIGHTS_FILE),
    (EncoderStore.load, MANIFEST_FILE),
    (EncoderStore.load, SUMMARY_FILE),
    (EncoderStore.summary, SUMMARY_FILE),
    (EncoderStore.architecture, MANIFEST_FILE),
]
DAMAGED = [
    *((damage, *each) for damage in (cut, flip, remove) for each in READ),
    *((damage, EncoderStore.load, CONTENTS_FILE) for damage in (cut, flip)),
]


@pytest.mark.parametrize("scheme", ["", "file://"])
@pytest.mark.parametrize(("damage", "read", "name"), DAMAGED)
def test_a_damaged_encoder_is_named_and_is_there_no_longer_until_it_is_trained_again(
    tmp_path, read, name, damage, scheme
):
    store = EncoderStore(f"{scheme}{tmp_path}")
    store.save("k", small_encoder(), {"n": 1})
    damage(tmp_path / "k" / name)
    with pytest.raises(LostEncoderError, match=r"encoder k in .* is damaged") as caught:
        read(store, "k")
    assert caught.value.key == "k"
    assert not store.has("k")
    store.save("k", small_encoder(), {"n": 1})
    assert store.has("k")
    assert store.load("k").vocabulary == small_encoder().vocabulary
    assert store.summary("k") == {"n": 1}


@pytest.mark.parametrize("damage", [flip, remove])
def test_a_damaged_encoder_to_keep_is_named_too(tmp_path, monkeypatch, damage):
    monkeypatch.setenv("SWEEP_CACHE", str(tmp_path / "node"))
    store = EncoderStore(f"file://{tmp_path}/bucket")
    store.save("general", small_encoder(), {})
    damage(tmp_path / "bucket" / "general" / WEIGHTS_FILE)
    with pytest.raises(LostEncoderError, match="encoder general in"):
        store.load("general", keep=True)
    assert not store.has("general")


def test_a_storage_that_does_not_answer_costs_no_encoder(store, monkeypatch):
    store.save("k", small_encoder(), {"n": 1})

    def away(place):
        raise OSError("the bucket does not answer")

    with monkeypatch.context() as patched:
        patched.setattr(encoders, "read_bytes", away)
        with pytest.raises(LostEncoderError, match="encoder k "):
            store.summary("k")
    assert store.summary("k") == {"n": 1}
