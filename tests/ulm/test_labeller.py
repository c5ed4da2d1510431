import numpy as np
import pandas as pd
import pytest

from tests.ulm.fastai_reference import WORDS, small_encoder
from ulm.labeller import (
    MANIFEST_FILE,
    WEIGHTS_FILE,
    LabellerError,
    encode_texts,
    load_labeller,
    save_bag_of_words,
    save_classifiers,
)
from ulm.serving import _load_pyfunc
from ulm.text import tokeniser
from ulm.text.vocabulary import SPECIAL_WORDS, Vocabulary
from ulm.training.bag_of_words import train_bag_of_words
from ulm.training.classifier import ClassifierSettings, train_classifier

TEXTS = ["a good film", "a bad film", "good good", "very bad indeed", "", "GOOD, 😀!"]
LABELS = np.array([1, 0, 1, 0, 0, 1])
WORDS_OF_TEXTS = Vocabulary(
    words=(*SPECIAL_WORDS, "a", "good", "bad", "film", "very", "indeed", ",", "!")
)
ABOUT = {"labels": ("negative", "positive"), "provenance": {"regime": "ulm"}}


def trained(seed):
    encoder = small_encoder()
    documents = encode_texts(TEXTS, encoder.vocabulary)
    settings = ClassifierSettings(epochs=1, batch=3, bptt=5)
    trained = train_classifier(encoder, documents, LABELS, settings, num_classes=2, seed=seed)
    return trained, encoder.vocabulary, documents


def test_texts_are_read_as_a_corpus_is_and_some_at_a_time(monkeypatch):
    texts = ["a good\r\n\r\nfilm", "a bad\rfilm", *TEXTS]
    words = Vocabulary(words=(*WORDS_OF_TEXTS.words, "\n", "\n\n"))
    documents = encode_texts(texts, words)
    plain = encode_texts(["a good\n\nfilm", "a bad\nfilm", *TEXTS], words)
    np.testing.assert_array_equal(documents.ids, plain.ids)
    assert {len(words) - 1, len(words) - 2} < set(documents.ids.tolist())
    monkeypatch.setattr(tokeniser, "CHUNK_DOCUMENTS", 3)
    again = encode_texts(texts, words)
    np.testing.assert_array_equal(again.ids, documents.ids)
    np.testing.assert_array_equal(again.offsets, documents.offsets)


def test_whoever_may_read_the_folder_may_read_the_weights(tmp_path):
    (first, vocabulary, _) = trained(0)
    save_classifiers(tmp_path, [first.model], vocabulary=vocabulary, **ABOUT)
    small_encoder().save(tmp_path)
    modes = {path.name: path.stat().st_mode for path in tmp_path.iterdir()}
    assert len(modes) == 4
    assert len(set(modes.values())) == 1


def test_classifiers_read_back_give_the_mean_of_what_they_gave(tmp_path):
    (first, vocabulary, documents), (second, *_) = trained(0), trained(1)
    models = [first.model, second.model]
    save_classifiers(tmp_path, models, vocabulary=vocabulary, **ABOUT)
    labeller = load_labeller(tmp_path)
    expected = np.mean([first.predict(documents), second.predict(documents)], axis=0)
    np.testing.assert_array_equal(labeller.probabilities(TEXTS), expected)
    assert labeller.labels == ("negative", "positive")
    assert labeller.provenance == {"regime": "ulm"}
    assert len(WORDS) <= len(labeller.vocabulary)


def test_a_bag_of_words_read_back_gives_the_same_to_the_last_digit(tmp_path):
    documents = encode_texts(TEXTS, WORDS_OF_TEXTS)
    model = train_bag_of_words(documents, LABELS, vocabulary=WORDS_OF_TEXTS)
    save_bag_of_words(tmp_path, model, vocabulary=WORDS_OF_TEXTS, **ABOUT)
    np.testing.assert_array_equal(
        load_labeller(tmp_path).probabilities(TEXTS), model.predict(documents)
    )


def test_nothing_but_safetensors_and_json_is_written(tmp_path):
    (model, vocabulary, _) = trained(0)
    save_classifiers(tmp_path, [model.model], vocabulary=vocabulary, **ABOUT)
    assert {file.name for file in tmp_path.iterdir()} == {WEIGHTS_FILE, MANIFEST_FILE}


def test_a_served_labeller_answers_with_a_label_and_the_probability_of_every_class(tmp_path):

    documents = encode_texts(TEXTS, WORDS_OF_TEXTS)
    model = train_bag_of_words(documents, LABELS, vocabulary=WORDS_OF_TEXTS)
    save_bag_of_words(tmp_path, model, vocabulary=WORDS_OF_TEXTS, **ABOUT)
    answer = _load_pyfunc(str(tmp_path)).predict(pd.DataFrame({"text": TEXTS[:2]}))
    assert list(answer.columns) == ["label", "probability negative", "probability positive"]
    assert list(answer["label"]) == ["positive", "negative"]
    assert answer[["probability negative", "probability positive"]].sum(axis=1).round(6).eq(1).all()
    assert _load_pyfunc(str(tmp_path)).predict(pd.DataFrame({"text": []})).empty


def test_folders_may_be_text_and_texts_a_column(tmp_path):

    folder = str(tmp_path / "model")
    documents = encode_texts(TEXTS, WORDS_OF_TEXTS)
    bag = train_bag_of_words(documents, LABELS, vocabulary=WORDS_OF_TEXTS)
    save_bag_of_words(folder, bag, vocabulary=WORDS_OF_TEXTS, **ABOUT)
    (model, vocabulary, documents) = trained(0)
    save_classifiers(folder, [model.model], vocabulary=vocabulary, **ABOUT)
    np.testing.assert_array_equal(
        load_labeller(folder).probabilities(pd.Series(TEXTS)), model.predict(documents)
    )


def test_one_text_is_no_list_of_texts(tmp_path):
    (model, vocabulary, _) = trained(0)
    save_classifiers(tmp_path, [model.model], vocabulary=vocabulary, **ABOUT)
    with pytest.raises(LabellerError, match=r"a list of texts, found one text, 'a good film'; put"):
        load_labeller(tmp_path).probabilities("a good film")


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (pd.DataFrame({"text": ["a good film"]}), "found a table; give one column"),
        ({"text": ["a good film"]}, "found a table; give one column"),
        (["a good film", None], "found None in row 1; leave out what is missing"),
        (pd.Series(["a good film", float("nan")]), "found nan in row 1; leave out"),
        ([3], "found 3 in row 0"),
        ([b"a good film"], "found b'a good film' in row 0"),
    ],
)
def test_what_is_no_list_of_texts_is_refused(tmp_path, texts, message):
    (model, vocabulary, _) = trained(0)
    save_classifiers(tmp_path, [model.model], vocabulary=vocabulary, **ABOUT)
    with pytest.raises(LabellerError, match=message):
        load_labeller(tmp_path).probabilities(texts)


@pytest.mark.parametrize("broken", [WEIGHTS_FILE, MANIFEST_FILE])
def test_a_damaged_labeller_is_refused_with_its_folder(tmp_path, broken):
    (model, vocabulary, _) = trained(0)
    save_classifiers(tmp_path, [model.model], vocabulary=vocabulary, **ABOUT)
    (tmp_path / broken).write_bytes(b"not this")
    with pytest.raises(LabellerError, match=f"{tmp_path} could not be read .*: .*save it again"):
        load_labeller(tmp_path)
