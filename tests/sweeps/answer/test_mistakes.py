import numpy as np
import pytest

from sweeps.answer.mistakes import SHOWN, find_mistakes
from sweeps.answer.predictions import Predicted

LABELS = np.array([0, 1, 0, 1])


def predicted(chances, documents=(10, 11, 12, 13)):
    """Predictions of two classes from the probability of the document's own class."""
    of_label = np.asarray(chances, dtype=np.float32)
    probabilities = np.empty((len(of_label), 2), dtype=np.float32)
    labels = LABELS[: len(of_label)]
    probabilities[np.arange(len(of_label)), labels] = of_label
    probabilities[np.arange(len(of_label)), 1 - labels] = 1 - of_label
    return Predicted(documents=np.array(documents), labels=labels, probabilities=probabilities)


def test_a_document_is_learnt_where_every_seed_was_wrong_before_and_is_right_after():
    found = find_mistakes(
        {
            1600: {0: predicted([0.9, 0.6, 0.8, 0.2]), 1: predicted([0.7, 0.9, 0.4, 0.1])},
            100: {0: predicted([0.2, 0.9, 0.1, 0.3]), 1: predicted([0.4, 0.1, 0.2, 0.4])},
        }
    )
    assert (found.sizes, found.num_seeds, found.num_documents) == ((100, 1600), 2, 4)
    (learnt,) = found.learnt  # document 11 was right at a seed, document 12 is wrong at one
    assert (learnt.document, learnt.label) == (10, 0)
    assert learnt.chances == ((100, pytest.approx(0.3)), (1600, pytest.approx(0.8)))
    assert (found.num_learnt, found.num_forgotten, found.num_never) == (1, 0, 1)


def test_what_was_forgotten_is_counted_the_same_way():
    good, bad = predicted([0.9] * 4), predicted([0.1] * 4)
    found = find_mistakes({100: {0: good}, 1600: {0: bad}})
    assert (found.num_learnt, found.num_forgotten) == (0, 4)


def test_the_surest_errors_come_first_and_are_few():
    chances = np.linspace(0.45, 0.05, 20)
    labels = np.zeros(20, dtype=int)
    probabilities = np.stack([chances, 1 - chances], axis=1)
    cell = Predicted(documents=np.arange(20), labels=labels, probabilities=probabilities)
    found = find_mistakes({100: {0: cell}})
    assert [mistake.document for mistake in found.surest] == [19, 18, 17, 16, 15, 14][:SHOWN]
    assert (found.surest[0].label, found.surest[0].said) == (0, 1)
    assert found.surest[0].chance == pytest.approx(0.95)


def test_only_documents_that_every_cell_scored_are_compared():
    other = predicted([0.9, 0.9, 0.9], documents=(11, 12, 13))
    shifted = Predicted(
        documents=other.documents, labels=LABELS[1:], probabilities=other.probabilities
    )
    found = find_mistakes({100: {0: predicted([0.1] * 4)}, 1600: {0: shifted}})
    assert found.num_documents == 3


def test_sizes_without_a_common_seed_or_document_are_not_compared():
    cell = predicted([0.5] * 4)
    assert find_mistakes({}) is None
    assert find_mistakes({100: {0: cell}, 1600: {1: cell}}) is None
    apart = predicted([0.5] * 4, documents=(1, 2, 3, 4))
    assert find_mistakes({100: {0: cell}, 1600: {0: apart}}) is None


def said(*right):
    """Predictions of class 0 documents, of which some are right."""
    of_label = np.array([0.8 if each else 0.3 for each in right], dtype=np.float32)
    return Predicted(
        documents=np.arange(len(right)),
        labels=np.zeros(len(right), dtype=np.int64),
        probabilities=np.stack([of_label, 1 - of_label], axis=1),
    )


def test_learnt_and_forgotten_is_what_no_seed_had_and_every_seed_has_or_the_reverse():
    small = {0: said(0, 0, 1, 1, 1), 1: said(0, 0, 1, 1, 0)}
    large = {0: said(1, 1, 0, 0, 0), 1: said(1, 0, 0, 1, 0)}
    found = find_mistakes({100: small, 1600: large})
    assert found.num_learnt == 1, "the second is right at one seed alone"
    assert found.num_forgotten == 1, "the fourth is right at one seed still, the fifth was at one"
    assert [judged.document for judged in found.learnt] == [0]
