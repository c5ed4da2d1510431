"""Weights and vocabularies that are damaged or hostile: one message, and nothing of them runs."""

import json
import pickle
import random
import struct
import zipfile

import pytest
import torch
from safetensors.torch import load_file, save_file

from ulm.errors import UlmError
from ulm.model.architecture import Architecture
from ulm.model.encoder import (
    MANIFEST_FILE,
    WEIGHTS_FILE,
    Encoder,
    EncoderError,
    build_language_model,
    random_encoder,
)
from ulm.model.fastai_format import export_fastai, import_fastai
from ulm.text.vocabulary import SPECIAL_WORDS, Vocabulary

SIZES = Architecture(embedding=6, hidden=8, layers=2)
WORDS = Vocabulary(words=(*SPECIAL_WORDS, *(f"word{i}" for i in range(12))))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A whole encoder; the working directory is where code of a bomb would leave its mark."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    random_encoder(SIZES, WORDS, seed=1).save(tmp_path / "encoder")
    return tmp_path / "encoder"


@pytest.fixture
def files(folder):
    _, weights, vocabulary = export_fastai(Encoder.load(folder), folder.parent / "fastai")
    return weights, vocabulary


def nothing_ran(folder):
    return list((folder.parent / "here").iterdir()) == []


def text(word):
    return b"X" + struct.pack("<I", len(word)) + word.encode()


# A pickle that makes a folder when it is loaded, by every opcode that can call.
CALL = text("pwned") + b"\x85"  # the arguments: a tuple of one text
BOMBS = {
    "reduce": b"cos\nmkdir\n" + CALL + b"R.",
    "reduce of a stack global": text("os") + text("mkdir") + b"\x93" + CALL + b"R.",
    "inst": b"(" + text("pwned") + b"ios\nmkdir\n.",
    "obj": b"(cos\nmkdir\n" + text("pwned") + b"o.",
    "newobj": b"\x80\x02cos\nmkdir\n" + CALL + b"\x81.",
    "newobj with names": b"\x80\x04cos\nmkdir\n" + CALL + b"}\x92.",
    "inside a list of words": b"]" + text("word") + b"acos\nmkdir\n" + CALL + b"Ra.",
    "getattr": b"cbuiltins\ngetattr\n(cos\n__dict__\n" + text("mkdir") + b"tR" + CALL + b"R.",
    "build": b"cos\nmkdir\n" + b"}" + text("__setstate__") + text("x") + b"sb.",
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_no_opcode_of_a_vocabulary_runs_code(bomb, folder, files):
    weights, vocabulary = files
    vocabulary.write_bytes(BOMBS[bomb])
    with pytest.raises(EncoderError, match=r"found (os|builtins)\.\w+: .*could run code"):
        import_fastai(weights, vocabulary)
    assert nothing_ran(folder)


def test_the_bombs_are_live(folder):
    pickle.loads(BOMBS["reduce"])
    assert not nothing_ran(folder)


@pytest.mark.parametrize("bomb", BOMBS)
def test_no_opcode_of_a_weights_file_runs_code(bomb, folder, files):
    weights, vocabulary = files
    weights.write_bytes(BOMBS[bomb])  # the format before zip archives
    with pytest.raises(EncoderError, match="could not be read as plain weights"):
        import_fastai(weights, vocabulary)
    with zipfile.ZipFile(weights, "w") as archive:
        archive.writestr("archive/data.pkl", BOMBS[bomb])
        archive.writestr("archive/version", "3\n")
    with pytest.raises(EncoderError, match="could not be read as plain weights"):
        import_fastai(weights, vocabulary)
    assert nothing_ran(folder)


VOCABULARIES = {
    "no list": pickle.dumps({"word": 1}),
    "no words": pickle.dumps([1, 2]),
    "a list in itself": b"]q\x00h\x00a.",
    "nested lists": b"]" * 100_000 + b"a" * 99_999 + b".",
    "nothing": b"",
    "half of a word": pickle.dumps(["word"] * 20)[:-5],
    "a text that claims 8 EiB": b"\x8d" + b"\xff" * 8 + b"word.",
    "a number of 100,000 digits": b"I" + b"9" * 100_000 + b"\n.",
    "an extension": b"\x82\x01.",
    "a name from outside": b"P1\n.",
    "a memo that is not there": b"h\x07.",
    "bytes": bytes(range(256)),
    "other words": pickle.dumps(["a", "b"]),
    "words twice": pickle.dumps([*WORDS.words[:-1], "xxunk"]),
}


@pytest.mark.parametrize("what", VOCABULARIES)
def test_a_vocabulary_that_is_none_is_refused_by_one_message(what, files):
    weights, vocabulary = files
    vocabulary.write_bytes(VOCABULARIES[what])
    with pytest.raises(UlmError) as refusal:
        import_fastai(weights, vocabulary)
    assert len(str(refusal.value)) < 1000


STATES = {
    "a list": [torch.zeros(2)],
    "a number": 3,
    "numbers for names": {1: torch.zeros(2)},
    "a model that is none": {"model": 3},
    "no recurrent weights": {"0.encoder.weight": torch.zeros(2, 2)},
}


@pytest.mark.parametrize("what", STATES)
def test_weights_of_another_form_are_refused(what, files):
    weights, vocabulary = files
    torch.save(STATES[what], weights)
    with pytest.raises(EncoderError, match=str(weights)):
        import_fastai(weights, vocabulary)


WRONG = {
    "0.encoder.weight": torch.zeros(5),
    "1.decoder.bias": torch.zeros(7),
    "0.rnns.0.weight_hh_l0_raw": torch.zeros(4),
    "0.rnns.1.module.weight_ih_l0": torch.zeros(3, 3),
    "0.rnns.1.module.bias_hh_l0": "no tensor",
}


@pytest.mark.parametrize("name", WRONG)
def test_a_weight_of_another_shape_is_refused_before_anything_is_built(name, files):
    weights, vocabulary = files
    state = torch.load(weights, weights_only=True)
    torch.save({**state, name: WRONG[name]}, weights)
    with pytest.raises(EncoderError, match=r"must have a row per word|must be those of|plain wei"):
        import_fastai(weights, vocabulary)


def rewritten(folder, **changes):
    file = folder / MANIFEST_FILE
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


MANIFESTS = {
    "nothing": "",
    "no object": "[1]",
    "no architecture": "{}",
    "nesting without end": "[" * 200_000,
    "a number without end": '{"architecture": ' + "9" * 10_000 + "}",
    "not UTF-8": "\udcff",
}


@pytest.mark.parametrize("what", MANIFESTS)
def test_a_manifest_that_is_none_is_refused(what, folder):
    text = MANIFESTS[what].encode("utf-8", "surrogateescape")
    (folder / MANIFEST_FILE).write_bytes(text)
    with pytest.raises(EncoderError, match="could not be read"):
        Encoder.load(folder)


@pytest.mark.parametrize(
    "architecture",
    [
        {"embedding": 6, "hidden": 10**12, "layers": 2},
        {"embedding": 6, "hidden": 8, "layers": 10**12},
        {"embedding": 6, "hidden": 8, "layers": 1},
        {"embedding": 6.0, "hidden": 8, "layers": 2},
        {"embedding": "6", "hidden": 8, "layers": 2},
        {"embedding": 6, "hidden": -8, "layers": 2},
        {"embedding": 6, "hidden": 8, "layers": 2, "more": 1},
        ["embedding", 6],
    ],
)
def test_an_architecture_other_than_the_weights_is_refused_before_it_is_built(architecture, folder):
    rewritten(folder, architecture=architecture)
    with pytest.raises(EncoderError, match=r"must be those of|could not be read"):
        Encoder.load(folder)


@pytest.mark.parametrize("vocabulary", [5, ["a"], [1, 2, 3], None, {"a": 1}])
def test_a_vocabulary_other_than_the_weights_is_refused(vocabulary, folder):
    rewritten(folder, vocabulary=vocabulary)
    with pytest.raises(EncoderError, match=r"row per word|could not be read"):
        Encoder.load(folder)


@pytest.mark.parametrize("change", ["shape", "dtype", "missing", "more"])
def test_weights_that_are_not_those_of_the_architecture_are_refused(change, folder):
    weights = load_file(folder / WEIGHTS_FILE)
    if change == "shape":
        weights["encoder.layers.1.bias_hh_l0"] = torch.zeros(3)
    elif change == "dtype":
        weights["bias"] = weights["bias"].long()
    elif change == "missing":
        del weights["encoder.layers.0.weight_ih_l0"]
    else:
        weights["more"] = torch.zeros(1)
    save_file(weights, folder / WEIGHTS_FILE)
    with pytest.raises(EncoderError, match=r"must be those of|must be floats"):
        Encoder.load(folder)


def test_a_header_of_weights_that_claims_more_than_there_is_is_refused(folder):
    for claimed in (10, 10**9, 2**63):
        (folder / WEIGHTS_FILE).write_bytes(struct.pack("<Q", claimed) + b"{" * 100)
        with pytest.raises(EncoderError, match="could not be read"):
            Encoder.load(folder)


@pytest.mark.parametrize("file", [WEIGHTS_FILE, MANIFEST_FILE])
def test_a_damaged_encoder_is_one_that_can_be_built_or_is_refused(file, folder):
    """Flipped bits of numbers can not be seen here; whoever stores encoders compares digests."""
    whole = (folder / file).read_bytes()
    refused = 0
    for seed in range(150):
        generator = random.Random(seed)
        data = bytearray(whole)
        if seed % 3:
            data[generator.randrange(min(len(data), 1500))] ^= 1 << generator.randrange(8)
        else:
            data = data[: generator.randrange(len(data))]
        (folder / file).write_bytes(data)
        try:
            build_language_model(Encoder.load(folder))
        except EncoderError as error:
            refused += bool(str(error))
    assert refused > 50, "a test of nothing"


@pytest.mark.parametrize("which", [0, 1])
def test_damaged_fastai_files_are_read_or_refused(which, folder, files):
    whole = files[which].read_bytes()
    refused = 0
    for seed in range(100):
        generator = random.Random(seed)
        data = bytearray(whole)
        for _ in range(generator.randint(1, 4)):
            data[generator.randrange(len(data))] = generator.randrange(256)
        files[which].write_bytes(data if seed % 2 else data[: generator.randrange(len(data))])
        try:
            build_language_model(import_fastai(*files))
        except UlmError as error:
            refused += bool(str(error))
    assert refused > 40, "a test of nothing"
    assert nothing_ran(folder)
