"""The `bow` line: TF-IDF of words and word pairs with logistic regression.

N documents, F features, C classes. Takes the same encoded documents as the neural classifiers, so
that nobody's text is prepared better; fastai's marks and punctuation are left out, as by
scikit-learn's own tokeniser. A regime that does not beat this line is not worth a GPU.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from ulm.text.scripts import HAN, UNSPACED
from ulm.text.tokens import Documents
from ulm.text.vocabulary import SPECIAL_WORDS, Vocabulary

WORD = re.compile(rf"\w\w|[{HAN}{UNSPACED}]")
"""scikit-learn's idea of a word: at least two letters or digits. Where a script has no blanks, one
character may be a word, and each is where users put blanks between them."""
NO_GRAM = np.array([-1])
"""The one feature, which no document holds, of documents without a word."""


def _is_word(vocabulary: Vocabulary) -> NDArray[np.bool_]:
    """Which rows of a vocabulary are words, [V]."""
    special = set(SPECIAL_WORDS)
    return np.array([bool(WORD.match(w)) and w not in special for w in vocabulary.words])


def _grams(
    documents: Documents, is_word: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(document, gram) of every word and pair of neighbouring words within a document."""
    kept = is_word[documents.ids]
    ids = np.asarray(documents.ids[kept], np.int64)
    owner = np.repeat(np.arange(len(documents)), documents.lengths)[kept]
    pairs = (ids[:-1] + 1) * len(is_word) + ids[1:]
    inside = owner[:-1] == owner[1:]
    return np.concatenate([owner, owner[:-1][inside]]), np.concatenate([ids, pairs[inside]])


def _count(
    documents: Documents, is_word: NDArray[np.bool_], features: NDArray[np.int64]
) -> sparse.csr_matrix:
    """Counts [N, F] of the known features."""
    owner, gram = _grams(documents, is_word)
    column = np.minimum(np.searchsorted(features, gram), len(features) - 1)
    known = features[column] == gram
    ones = np.ones(int(known.sum()), np.float64)
    return sparse.csr_matrix(
        (ones, (owner[known], column[known])), shape=(len(documents), len(features))
    )


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class BagOfWords:
    """A fitted TF-IDF (1, 2) with logarithmic counts, and its logistic regression."""

    is_word: NDArray[np.bool_]
    features: NDArray[np.int64]
    weighting: Any
    regression: Any

    def predict(self, documents: Documents) -> NDArray[np.float32]:
        """Class probabilities, [N, C]."""
        counts = _count(documents, self.is_word, self.features)
        probabilities = self.regression.predict_proba(self.weighting.transform(counts))
        return np.asarray(probabilities, np.float32)

    def knows(self, documents: Documents) -> NDArray[np.bool_]:
        """Whether it knows any word of each document, [N]; of others it says what classes share."""
        known = np.isin(np.arange(len(self.is_word)), self.features)[documents.ids]
        owner = np.repeat(np.arange(len(documents)), documents.lengths)
        return np.asarray(np.bincount(owner[known], minlength=len(documents)) > 0)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All that was fitted, by name; `from_arrays` makes it whole again."""
        regression = self.regression
        return {
            "features": self.features,
            "idf": self.weighting.idf_,
            "coefficients": regression.coef_,
            "intercepts": regression.intercept_,
            "classes": regression.classes_,
        }


def from_arrays(arrays: Mapping[str, NDArray[Any]], vocabulary: Vocabulary) -> BagOfWords:
    """The model whose `arrays` these are; it predicts the same to the last digit.

    Args:
        arrays: As they were.
        vocabulary: The words that its documents are encoded with.
    """
    from sklearn.feature_extraction.text import TfidfTransformer
    from sklearn.linear_model import LogisticRegression

    weighting, regression = TfidfTransformer(sublinear_tf=True), LogisticRegression()
    weighting.idf_ = arrays["idf"]
    regression.coef_ = arrays["coefficients"]
    regression.intercept_ = arrays["intercepts"]
    regression.classes_ = arrays["classes"]
    return BagOfWords(
        is_word=_is_word(vocabulary),
        features=arrays["features"],
        weighting=weighting,
        regression=regression,
    )


def train_bag_of_words(
    train: Documents,
    labels: NDArray[np.int64],
    *,
    vocabulary: Vocabulary,
    inverse_regularization: float = 10.0,
) -> BagOfWords:
    """Fits TF-IDF weights and a logistic regression.

    Args:
        train: Labelled documents, encoded with `vocabulary`.
        labels: Class of each; every class must occur.
        vocabulary: Every word of the labelled documents.
        inverse_regularization: scikit-learn's `C`.

    Returns:
        The fitted model.
    """
    from sklearn.feature_extraction.text import TfidfTransformer  # heavy, and only for this regime
    from sklearn.linear_model import LogisticRegression

    is_word = _is_word(vocabulary)
    grams = np.unique(_grams(train, is_word)[1])
    features = grams if len(grams) else NO_GRAM  # e.g. emoji alone: the classes' shares are left
    counts = _count(train, is_word, features)
    weighting = TfidfTransformer(sublinear_tf=True).fit(counts)
    regression = LogisticRegression(C=inverse_regularization, max_iter=1000)
    regression.fit(weighting.transform(counts), labels)
    return BagOfWords(
        is_word=is_word, features=features, weighting=weighting, regression=regression
    )
