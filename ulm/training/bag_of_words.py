"""The `bow` line: TF-IDF of words and word pairs with logistic regression.

N documents, F features, C classes. Takes the same encoded documents as the neural classifiers, so
that nobody's text is prepared better. A regime that does not beat this line is not worth a GPU.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from ulm.text.tokens import Documents


def _grams(
    documents: Documents, vocabulary_size: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(document, gram) of every word and word pair; a pair never crosses documents."""
    ids = np.asarray(documents.ids, np.int64)
    owner = np.repeat(np.arange(len(documents)), documents.lengths)
    pairs = (ids[:-1] + 1) * vocabulary_size + ids[1:]
    inside = owner[:-1] == owner[1:]
    return np.concatenate([owner, owner[:-1][inside]]), np.concatenate([ids, pairs[inside]])


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class BagOfWords:
    """A fitted TF-IDF (1, 2) and logistic regression."""

    vocabulary_size: int
    features: NDArray[np.int64]
    weighting: Any
    regression: Any

    def predict(self, documents: Documents) -> NDArray[np.float32]:
        """Class probabilities, [N, C]."""
        counts = _count(documents, self.vocabulary_size, self.features)
        probabilities = self.regression.predict_proba(self.weighting.transform(counts))
        return np.asarray(probabilities, np.float32)


def _count(documents: Documents, vocabulary_size: int, features: NDArray[np.int64]) -> Any:
    """Counts [N, F] of the known features."""
    owner, gram = _grams(documents, vocabulary_size)
    column = np.minimum(np.searchsorted(features, gram), len(features) - 1)
    known = features[column] == gram
    ones = np.ones(int(known.sum()), np.float64)
    return sparse.csr_matrix(
        (ones, (owner[known], column[known])), shape=(len(documents), len(features))
    )


def train_bag_of_words(
    train: Documents,
    labels: NDArray[np.int64],
    *,
    vocabulary_size: int,
    inverse_regularization: float = 1.0,
) -> BagOfWords:
    """Fits TF-IDF weights and a logistic regression.

    Args:
        train: Labelled documents.
        labels: Class of each; every class must occur.
        vocabulary_size: Words V the documents are encoded with.
        inverse_regularization: scikit-learn's `C`.

    Returns:
        The fitted model.
    """
    from sklearn.feature_extraction.text import TfidfTransformer  # heavy, and only for this regime
    from sklearn.linear_model import LogisticRegression

    features = np.unique(_grams(train, vocabulary_size)[1])
    counts = _count(train, vocabulary_size, features)
    weighting = TfidfTransformer().fit(counts)
    regression = LogisticRegression(C=inverse_regularization, max_iter=1000)
    regression.fit(weighting.transform(counts), labels)
    return BagOfWords(
        vocabulary_size=vocabulary_size,
        features=features,
        weighting=weighting,
        regression=regression,
    )
