import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from ulm.text.tokens import Documents
from ulm.text.vocabulary import SPECIAL_WORDS, Vocabulary
from ulm.training.bag_of_words import train_bag_of_words

TEXTS = (
    "xxbos a good film , really good .",
    "xxbos a bad film , really bad .",
    "xxbos good plot and good cast",
    "xxbos bad plot and bad cast",
)
LABELS = np.array([1, 0, 1, 0])


def _encode(texts, vocabulary):
    index = {word: row for row, word in enumerate(vocabulary.words)}
    rows = [[index[word] for word in text.split()] for text in texts]
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    return Documents(ids=np.concatenate(rows).astype(np.int32), offsets=offsets)


def _vocabulary(texts):
    words = sorted({word for text in texts for word in text.split()} - set(SPECIAL_WORDS))
    return Vocabulary(words=(*SPECIAL_WORDS, *words))


def test_it_is_scikit_learns_tfidf_and_logistic_regression():
    texts = [*TEXTS, "xxbos the cast was good but the plot was bad"]
    vocabulary = _vocabulary(texts)
    model = train_bag_of_words(
        _encode(TEXTS, vocabulary), LABELS, vocabulary=vocabulary, inverse_regularization=3.0
    )
    plain = [text.removeprefix("xxbos ") for text in texts]
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    regression = LogisticRegression(C=3.0, max_iter=1000)
    regression.fit(vectorizer.fit_transform(plain[:4]), LABELS)
    wanted = regression.predict_proba(vectorizer.transform(plain))
    np.testing.assert_allclose(model.predict(_encode(texts, vocabulary)), wanted, atol=1e-6)


def test_a_pair_never_crosses_documents():
    vocabulary = _vocabulary(TEXTS)
    model = train_bag_of_words(_encode(TEXTS, vocabulary), LABELS, vocabulary=vocabulary)
    index = {word: row for row, word in enumerate(vocabulary.words)}
    size = len(vocabulary.words)
    across = (index["bad"] + 1) * size + index["good"]  # document 2 ends with bad, 3 begins: good
    within = (index["good"] + 1) * size + index["cast"]
    assert across not in model.features
    assert within in model.features


def test_a_document_without_a_known_word_gets_the_prior():
    vocabulary = _vocabulary(TEXTS)
    model = train_bag_of_words(_encode(TEXTS, vocabulary), LABELS, vocabulary=vocabulary)
    empty = Documents(ids=np.array([2], np.int32), offsets=np.array([0, 1]))
    assert model.predict(empty)[0, 1] == pytest.approx(0.5, abs=1e-3)


def test_it_knows_words_of_its_own_documents_alone():
    texts = ["xxbos unheard of", "xxbos a film", "xxbos . a", "xxbos bad unheard"]
    vocabulary = _vocabulary([*TEXTS, *texts])
    model = train_bag_of_words(_encode(TEXTS, vocabulary), LABELS, vocabulary=vocabulary)
    encoded = _encode(texts, vocabulary)
    assert model.knows(encoded).tolist() == [False, True, False, True]
    assert np.ptp(model.predict(encoded.take(np.array([0, 2])))[:, 0]) == 0


def test_single_characters_are_words_of_scripts_without_blanks_alone():
    texts = ["xxbos \u597d a", "xxbos \u574f a", "xxbos \u597d b", "xxbos \u574f b"]
    documents = _encode(texts, vocabulary := _vocabulary(texts))
    model = train_bag_of_words(documents, np.array([1, 0, 1, 0]), vocabulary=vocabulary)
    assert model.predict(documents).argmax(1).tolist() == [1, 0, 1, 0]
    assert len(model.features) == 2


def test_documents_without_a_single_word_leave_the_shares_of_the_classes():
    texts = ["xxbos ! !", "xxbos ?", "xxbos !", "xxbos ? ?"]
    documents = _encode(texts, vocabulary := _vocabulary(texts))
    model = train_bag_of_words(documents, np.array([0, 1, 1, 1]), vocabulary=vocabulary)
    np.testing.assert_allclose(model.predict(documents)[:, 1], 0.75, atol=1e-3)
