"""Subsets: nested, stratified, paired, never a test document."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ulm.errors import SubsetError
from ulm.text.listing import NO_LABEL, Part
from ulm.text.subsets import (
    fold_labels,
    language_model_split,
    make_subset,
    order_pool,
    sample_test,
    split_labels,
)

seeds = st.integers(0, 10_000)


@st.composite
def corpora(draw):
    """Parts and labels of a corpus with 2 to 4 classes of uneven size, in shuffled order."""
    num_classes = draw(st.integers(2, 4))
    sizes = st.lists(st.integers(2, 30), min_size=num_classes, max_size=num_classes)
    labelled, tests = draw(sizes), draw(sizes)
    labels = [np.repeat(np.arange(num_classes), labelled), np.repeat(np.arange(num_classes), tests)]
    num_unlabelled = draw(st.integers(0, 60))
    labels.append(np.full(num_unlabelled, NO_LABEL))
    parts = np.repeat(
        [Part.LABELLED, Part.TEST, Part.UNLABELLED], [sum(labelled), sum(tests), num_unlabelled]
    )
    order = np.random.default_rng(draw(seeds)).permutation(len(parts))
    return parts[order].astype(np.uint8), np.concatenate(labels)[order].astype(np.int16)


@st.composite
def asked(draw):
    """A corpus and a number of labels that it has."""
    parts, labels = draw(corpora())
    num_classes = labels.max() + 1
    num_labels = draw(st.integers(num_classes, np.count_nonzero(parts == Part.LABELLED)))
    return parts, labels, int(num_labels)


@given(asked(), seeds)
def test_the_order_holds_every_pool_document_once_and_no_test_document(corpus, seed):
    parts, labels, num_labels = corpus
    order = order_pool(parts, labels, num_labels=num_labels, seed=seed)
    assert np.array_equal(np.sort(order), np.flatnonzero(parts != Part.TEST))


@given(asked(), seeds)
def test_the_order_begins_with_stratified_labels(corpus, seed):
    parts, labels, num_labels = corpus
    first = order_pool(parts, labels, num_labels=num_labels, seed=seed, of_each=1)[:num_labels]
    assert (parts[first] == Part.LABELLED).all()
    available = np.bincount(labels[parts == Part.LABELLED])
    drawn = np.bincount(labels[first], minlength=len(available))
    exact = available * num_labels / available.sum()
    assert drawn.min() >= 1
    # Within one of proportional, except where a class was given its only label.
    assert (np.abs(drawn - exact) < 1 + np.count_nonzero(exact < 1)).all()


@given(asked(), seeds, st.data())
def test_a_smaller_size_is_the_beginning_of_a_larger_one(corpus, seed, data):
    parts, labels, num_labels = corpus
    largest = np.count_nonzero(parts != Part.TEST)
    small, large = sorted(data.draw(st.tuples(*[st.integers(num_labels, largest)] * 2)))
    options = {"num_labels": num_labels, "seed": seed}
    inner = make_subset(parts, labels, size=small, **options)
    outer = make_subset(parts, labels, size=large, **options)
    assert np.array_equal(outer.documents[:small], inner.documents)
    assert np.array_equal(outer.labelled, inner.labelled)
    assert len(inner.documents) == small


@given(asked(), seeds)
def test_the_labels_of_a_seed_do_not_depend_on_the_unlabelled_documents(corpus, seed):
    parts, labels, num_labels = corpus
    more_parts = np.append(parts, np.full(7, Part.UNLABELLED, dtype=np.uint8))
    more_labels = np.append(labels, np.full(7, NO_LABEL, dtype=np.int16))
    few = order_pool(parts, labels, num_labels=num_labels, seed=seed)
    many = order_pool(more_parts, more_labels, num_labels=num_labels, seed=seed)
    assert np.array_equal(few[:num_labels], many[:num_labels])


def test_seeds_give_different_labels_and_orders():
    parts = np.zeros(200, dtype=np.uint8)
    labels = (np.arange(200) % 2).astype(np.int16)
    first, second = (order_pool(parts, labels, num_labels=20, seed=seed) for seed in (0, 1))
    assert set(first[:20]) != set(second[:20])
    assert not np.array_equal(first[20:], second[20:])


def test_seeds_give_different_splits_of_the_same_labels():
    labelled, labels = np.arange(40), (np.arange(40) % 2).astype(np.int16)
    splits = {
        tuple(split_labels(labelled, labels, share=0.25, seed=seed)[1].tolist())
        for seed in range(5)
    }
    assert len(splits) == 5


@pytest.mark.parametrize(("of_each", "rare"), [(2, 2), (5, 5), (90, 30)])
def test_a_rare_class_gets_the_labels_that_splits_need(of_each, rare):
    labels = np.repeat([0, 1, 2], [9000, 970, 30]).astype(np.int16)
    parts = np.zeros(len(labels), dtype=np.uint8)
    options = {"num_labels": 500, "size": 600, "seed": 0}
    labelled = make_subset(parts, labels, of_each=of_each, **options).labelled
    assert np.bincount(labels[labelled])[2] == rare
    train, validation = split_labels(labelled, labels, share=0.2, seed=0)
    assert set(labels[train]) == set(labels[validation]) == {0, 1, 2}


def test_few_labels_are_one_of_each_class_at_least():
    labels = np.repeat([0, 1, 2], [90, 9, 1]).astype(np.int16)
    order = order_pool(np.zeros(100, dtype=np.uint8), labels, num_labels=4, seed=0, of_each=5)
    assert np.bincount(labels[order[:4]]).tolist() == [2, 1, 1]


def test_the_first_of_uneven_remainders_gets_the_spare_label():
    parts = np.zeros(10, dtype=np.uint8)
    labels = np.array([0] * 7 + [1] * 3, dtype=np.int16)
    first = order_pool(parts, labels, num_labels=5, seed=0, of_each=1)[:5]
    # 3.5 and 1.5: equal remainders, the class listed first gets the spare one.
    assert np.bincount(labels[first]).tolist() == [4, 1]


@given(st.integers(2, 300), st.integers(2, 300))
def test_splits_of_nested_sizes_nest(small, large):
    assume(small <= large)
    order = np.random.default_rng(0).permutation(large)
    train, validation = language_model_split(order[:small])
    more_train, more_validation = language_model_split(order)
    assert len(validation) >= 1
    assert len(train) + len(validation) == small
    assert np.array_equal(more_train[: len(train)], train)
    assert np.array_equal(more_validation[: len(validation)], validation)


def test_a_tenth_is_set_aside_for_validation():
    train, validation = language_model_split(np.arange(1000))
    assert (len(train), len(validation)) == (900, 100)


@given(asked(), seeds, st.floats(0.05, 0.9))
def test_a_label_split_is_stratified_and_leaves_every_class_on_both_sides(corpus, seed, share):
    parts, labels, _ = corpus
    labelled = np.flatnonzero(parts == Part.LABELLED)
    num_classes = len(np.unique(labels[labelled]))
    assume(num_classes <= round(share * len(labelled)) <= len(labelled) - num_classes)
    train, validation = split_labels(labelled, labels, share=share, seed=seed)
    assert np.array_equal(np.sort(np.concatenate([train, validation])), labelled)
    sizes = np.bincount(labels[labelled])
    held = np.bincount(labels[validation], minlength=len(sizes))
    assert (held >= 1).all()
    assert (held < sizes).all()
    # A small class that is given a document takes it from the largest.
    exact = np.clip(share * sizes, 1, sizes - 1)
    assert (np.abs(held - exact) <= num_classes).all()
    assert held.sum() <= round(share * len(labelled))


@pytest.mark.parametrize(("share", "count"), [(0.05, 0), (0.1, 1), (0.9, 7)])
def test_a_share_without_room_for_every_class_is_refused(share, count):
    labels = np.array([0, 1] * 4, dtype=np.int16)
    with pytest.raises(SubsetError, match=f"found {share} of 8 labels, which is {count};"):
        split_labels(np.arange(8), labels, share=share, seed=0)


@given(corpora(), seeds, st.integers(2, 5))
def test_folds_validate_every_document_once_and_stay_stratified(corpus, seed, folds):
    parts, labels = corpus
    labelled = np.flatnonzero(parts == Part.LABELLED)
    sizes = np.bincount(labels[labelled])
    assume(sizes.min() >= folds)
    splits = fold_labels(labelled, labels, folds=folds, seed=seed)
    assert np.array_equal(np.sort(np.concatenate([v for _, v in splits])), labelled)
    for train, validation in splits:
        assert np.array_equal(np.sort(np.concatenate([train, validation])), labelled)
        held = np.bincount(labels[validation], minlength=len(sizes))
        assert (np.abs(held - sizes / folds) < 1).all()
    assert np.ptp([len(validation) for _, validation in splits]) <= 1


@given(corpora(), seeds, st.data())
def test_a_test_sample_is_stratified_and_sorted(corpus, seed, data):
    parts, labels = corpus
    tests = np.flatnonzero(parts == Part.TEST)
    assert np.array_equal(sample_test(parts, labels, documents=None, seed=seed), tests)
    count = data.draw(st.integers(1, len(tests)))
    sample = sample_test(parts, labels, documents=count, seed=seed)
    assert len(sample) == count
    assert (np.diff(sample) > 0).all()
    assert np.isin(sample, tests).all()
    available = np.bincount(labels[tests])
    drawn = np.bincount(labels[sample], minlength=len(available))
    assert (np.abs(drawn - available * count / available.sum()) < 1).all()


PARTS = np.array([0, 0, 0, 0, 1, 2], dtype=np.uint8)
LABELS = np.array([0, 1, 0, 1, -1, 0], dtype=np.int16)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_labels": 5, "size": 5}, "must not exceed the labelled.*found 5 for 4"),
        ({"num_labels": 1, "size": 5}, "each of the 2 classes needs a label, found 1"),
        ({"num_labels": 4, "size": 3}, "found size 3 for 4 labels"),
        ({"num_labels": 2, "size": 6}, "must not exceed the pool, found 6 for 5"),
    ],
)
def test_asking_for_more_than_there_is_raises(options, message):
    with pytest.raises(SubsetError, match=message):
        make_subset(PARTS, LABELS, seed=0, **options)


def test_a_corpus_without_labels_has_no_classes_to_learn():
    with pytest.raises(SubsetError, match="found none in 1; label some"):
        order_pool(PARTS[4:5], LABELS[4:5], num_labels=0, seed=0)


@pytest.mark.parametrize("share", [0.0, 1.0, -0.2])
def test_a_share_must_leave_something_on_both_sides(share):
    with pytest.raises(SubsetError, match="between 0 and 1"):
        split_labels(np.arange(4), LABELS, share=share, seed=0)


def test_documents_are_asked_for_where_a_class_has_no_second_one_for_training():
    labels = np.array([0, 0, 0, 1, 1, 2, 2, 2, 0, 1, 2], dtype=np.int16)
    drawn = np.array([0, 1, 2, 3, 5])  # one of class 1, whose other may be for testing
    labels[9] = 0
    with pytest.raises(SubsetError, match="; add documents of 'rare', raise the labels, lower"):
        split_labels(drawn, labels, share=0.4, seed=0, names=("a", "rare", "c"))
    labels[9] = 1
    with pytest.raises(SubsetError, match="; raise the labels, lower"):
        split_labels(drawn, labels, share=0.4, seed=0, names=("a", "rare", "c"))


def test_a_class_of_one_document_can_not_be_split_or_folded():
    with pytest.raises(SubsetError, match="each class, found 1 of class 1 among 3 labels"):
        split_labels(np.arange(3), LABELS, share=0.5, seed=0)
    with pytest.raises(SubsetError, match="3 folds needs 3 labelled documents of each class"):
        fold_labels(np.arange(4), LABELS, folds=3, seed=0)
    with pytest.raises(SubsetError, match="found 2 of 'bad', 2 of 'good' among 4 labels; add"):
        fold_labels(np.arange(4), LABELS, folds=3, seed=0, names=("bad", "good"))
    with pytest.raises(SubsetError, match="at least 2, found 1"):
        fold_labels(np.arange(4), LABELS, folds=1, seed=0)


def test_a_language_model_needs_a_document_to_validate_on():
    with pytest.raises(SubsetError, match="needs 2 documents"):
        language_model_split(np.arange(1))


def test_a_test_sample_can_not_be_drawn_from_nothing_or_exceed_what_there_is():
    with pytest.raises(SubsetError, match="found none"):
        sample_test(PARTS[:5], LABELS[:5], documents=None, seed=0)
    for documents in (0, 2):
        with pytest.raises(SubsetError, match=f"1 to 1 documents, found {documents}"):
            sample_test(PARTS, LABELS, documents=documents, seed=0)


def test_a_class_that_has_fewer_documents_than_splits_need_gives_all_and_no_more():
    labels = np.array([0] * 40 + [1] * 3 + [NO_LABEL] * 40, dtype=np.int16)
    parts = np.where(labels == NO_LABEL, Part.UNLABELLED, Part.LABELLED).astype(np.uint8)
    for seed in range(5):
        found = make_subset(parts, labels, num_labels=20, size=60, seed=seed, of_each=5)
        assert np.bincount(labels[found.labelled]).tolist() == [17, 3]


def test_what_follows_the_labels_has_another_order_at_every_seed():
    """Else seeds would read nearly the same text, and look surer than they are."""
    labels = np.array([0, 1] * 5 + [NO_LABEL] * 200, dtype=np.int16)
    parts = np.where(labels == NO_LABEL, Part.UNLABELLED, Part.LABELLED).astype(np.uint8)
    read = [
        set(make_subset(parts, labels, num_labels=10, size=50, seed=seed).documents[10:].tolist())
        for seed in range(6)
    ]
    shared = [len(a & b) for i, a in enumerate(read) for b in read[:i]]
    assert sum(shared) / len(shared) < 16, "40 of 200 share 8 by chance"
