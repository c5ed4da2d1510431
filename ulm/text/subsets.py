"""Which documents a cell may see: nested, stratified, paired subsets. numpy only.

Parts and labels of a corpus go in with a seed, indices of documents come out. For a seed there is
one order of the domain pool, beginning with the labelled documents; size n is its first n. Sizes
are therefore nested, and regimes at one seed share labels, documents and test set. No function here
returns a test document in a pool.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ulm.errors import SubsetError
from ulm.text.listing import NO_LABEL, Part

Split = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Documents to train on, documents to validate on."""

VALIDATION_STRIDE = 10
SHOWN = 5  # classes in a message


def _generator(seed: int, purpose: int) -> np.random.Generator:
    # One stream per purpose: drawing the test sample does not change the labels.
    return np.random.default_rng([seed, purpose])


def _shares(class_sizes: NDArray[np.int64], total: int, least: int) -> NDArray[np.int64]:
    """Divide `total` among classes in proportion to their sizes, by largest remainder.

    Ties go to the class listed first. Where that leaves a class fewer than `least`, or than it has,
    those give that have most to spare. No class gets more than it has, since total <= sum(sizes).
    """
    wanted = np.minimum(least, class_sizes)
    exact = class_sizes * (total / class_sizes.sum())
    shares: NDArray[np.int64] = np.floor(exact).astype(np.int64)
    order = np.argsort(shares - exact, kind="stable")
    shares[order[: total - shares.sum()]] += 1
    while (shares < wanted).any():
        spare = shares - wanted
        shares[spare.argmax()] -= 1
        shares[spare.argmin()] += 1
    return shares


def _stratified(
    documents: NDArray[np.int64],
    labels: NDArray[np.int16],
    total: int,
    rng: np.random.Generator,
    least: int = 0,
) -> NDArray[np.int64]:
    """Draw `total` documents with the class proportions of all, shuffled."""
    classes, class_sizes = np.unique(labels[documents], return_counts=True)
    drawn = [
        rng.permutation(documents[labels[documents] == name])[:share]
        for name, share in zip(classes, _shares(class_sizes, total, least), strict=True)
    ]
    return rng.permutation(np.concatenate(drawn))


def _labelled_documents(
    parts: NDArray[np.uint8], labels: NDArray[np.int16], num_labels: int
) -> NDArray[np.int64]:
    labelled = np.flatnonzero((parts == Part.LABELLED) & (labels != NO_LABEL)).astype(np.int64)
    if len(labelled) == 0:
        raise SubsetError(
            f"a classifier needs labelled documents to train on, found none in {len(parts)}; "
            f"label some, or name their column with label_column"
        )
    if num_labels > len(labelled):
        raise SubsetError(
            f"labels must not exceed the labelled training documents, found {num_labels} for "
            f"{len(labelled)}; ask for fewer labels or label more documents"
        )
    num_classes = len(np.unique(labels[labelled]))
    if num_labels < num_classes:
        raise SubsetError(
            f"each of the {num_classes} classes needs a label, found {num_labels} labels; "
            f"ask for at least {num_classes}"
        )
    return labelled


def order_pool(
    parts: NDArray[np.uint8],
    labels: NDArray[np.int16],
    *,
    num_labels: int,
    seed: int,
    of_each: int = 2,
) -> NDArray[np.int64]:
    """Return the one order of the domain pool for a seed.

    Args:
        parts: uint8 [N], values of `Part`.
        labels: int16 [N], -1 for none.
        num_labels: L, labelled documents to begin with, at least one of each class.
        seed: draws labels and order, >= 0.
        of_each: labelled documents of each class to begin with, where it has them and all classes
            fit: as many as splits of the labels need, 2 or the number of folds.

    Returns:
        int64 [P], every document of the labelled and unlabelled parts once: first L labelled ones
        with the class proportions of all (largest remainder), then all others shuffled.

    Raises:
        SubsetError: where there are fewer labelled documents than asked for.
    """
    labelled = _labelled_documents(parts, labels, num_labels)
    least = min(of_each, num_labels // len(np.unique(labels[labelled])))
    first = _stratified(labelled, labels, num_labels, _generator(seed, 0), least)
    pool = np.flatnonzero(parts != Part.TEST).astype(np.int64)
    rest = np.setdiff1d(pool, first, assume_unique=True)
    return np.concatenate([first, _generator(seed, 1).permutation(rest)])


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Subset:
    """The documents one cell may see.

    Args:
        documents: int64 [n], the first n of the order of the pool.
        labelled: int64 [L], those whose labels may be used: the first L of `documents`.
    """

    documents: NDArray[np.int64]
    labelled: NDArray[np.int64]

    def __post_init__(self) -> None:
        num_labels = len(self.labelled)
        assert np.array_equal(self.documents[:num_labels], self.labelled), "labelled come first"


def make_subset(
    parts: NDArray[np.uint8],
    labels: NDArray[np.int16],
    *,
    num_labels: int,
    size: int,
    seed: int,
    of_each: int = 2,
) -> Subset:
    """Return the first `size` documents of the order of a seed.

    Args:
        parts: uint8 [N], values of `Part`.
        labels: int16 [N], -1 for none.
        num_labels: L, labelled documents.
        size: n, documents in all, L <= n <= documents in the pool.
        seed: draws labels and order, >= 0.
        of_each: labelled documents of each class, see `order_pool`.

    Raises:
        SubsetError: where there are fewer labels or documents than asked for, or n < L.
    """
    order = order_pool(parts, labels, num_labels=num_labels, seed=seed, of_each=of_each)
    if num_labels > size:
        raise SubsetError(
            f"a size must hold the labelled documents, found size {size} for {num_labels} labels; "
            f"raise the size or lower the labels"
        )
    if size > len(order):
        raise SubsetError(
            f"a size must not exceed the pool, found {size} for {len(order)} documents; "
            f"lower the size or collect more text"
        )
    return Subset(documents=order[:size], labelled=order[:num_labels])


def language_model_split(documents: NDArray[np.int64]) -> Split:
    """Set aside every tenth document of an order for validation, so that splits of sizes nest too.

    Args:
        documents: int64 [n], at least 2, in the order of the pool.

    Returns:
        Documents to train on, documents to validate on (at least one).

    Raises:
        SubsetError: where there are fewer than 2 documents.
    """
    if len(documents) < 2:
        raise SubsetError(
            f"a language model needs 2 documents, one to validate on, found {len(documents)}; "
            f"raise the size"
        )
    # The second of every ten, so that two documents are enough.
    held = np.arange(len(documents)) % VALIDATION_STRIDE == 1
    return documents[~held], documents[held]


def _class_members(
    labelled: NDArray[np.int64], labels: NDArray[np.int16], rng: np.random.Generator
) -> list[NDArray[np.int64]]:
    found = labels[labelled]
    assert (found != NO_LABEL).all(), "labelled documents have labels"
    return [rng.permutation(labelled[found == name]) for name in np.unique(found)]


def _in_order(labelled: NDArray[np.int64], held: NDArray[np.int64]) -> Split:
    is_held = np.isin(labelled, held)
    return labelled[~is_held], labelled[is_held]


def split_labels(
    labelled: NDArray[np.int64],
    labels: NDArray[np.int16],
    *,
    share: float,
    seed: int,
    names: Sequence[str] = (),
) -> Split:
    """Set aside a stratified share of the labelled documents for validation.

    Args:
        labelled: int64 [L], labelled documents.
        labels: int16 [N], labels of the corpus.
        share: share to validate on, 0 < share < 1.
        seed: draws the split, >= 0.
        names: names of the classes, for messages.

    Returns:
        Documents to train on, documents to validate on, both in the order of `labelled`; each class
        has at least one document in both.

    Raises:
        SubsetError: where the share leaves 0 to 1, a class has a single document, or the share is
            too small or too large to leave one of each class on both sides.
    """
    if not 0 < share < 1:
        raise SubsetError(f"validation must lie between 0 and 1, found {share}; try 0.2")
    members = _class_members(labelled, labels, _generator(seed, 2))
    _check_class_sizes(labelled, labels, 2, "a validation share", names)
    sizes = np.array([len(documents) for documents in members], dtype=np.int64)
    total = round(share * len(labelled))
    if not len(sizes) <= total <= len(labelled) - len(sizes):
        raise SubsetError(
            f"validation must hold a label of each of the {len(sizes)} classes and leave one of "
            f"each to train on, found {share:g} of {len(labelled)} labels, which is {total}; "
            f"change the share or ask for more labels"
        )
    counts = np.minimum(_shares(sizes, total, least=1), sizes - 1)
    chosen = [documents[:count] for documents, count in zip(members, counts, strict=True)]
    return _in_order(labelled, np.concatenate(chosen))


def _class_name(label: int, names: Sequence[str]) -> str:
    return repr(names[label]) if names else f"class {label}"


def _check_class_sizes(
    labelled: NDArray[np.int64],
    labels: NDArray[np.int16],
    least: int,
    purpose: str,
    names: Sequence[str],
) -> None:
    found = labels[labelled]
    few = {
        label: f"{size} of {_class_name(label, names)}"
        for label, size in zip(*np.unique(found, return_counts=True), strict=True)
        if size < least
    }
    if few or not len(found):
        more = " and more" if len(few) > SHOWN else ""
        # One at least is for testing: no number of labels would do.
        rare = [_class_name(label, names) for label in few if (labels == label).sum() <= least]
        told = f" and {len(rare) - SHOWN} more" if len(rare) > SHOWN else ""
        add = f"add documents of {', '.join(rare[:SHOWN])}{told}, " if rare else ""
        raise SubsetError(
            f"{purpose} needs {least} labelled documents of each class, found "
            f"{', '.join(list(few.values())[:SHOWN]) or 'none'}{more} among {len(found)} labels; "
            f"{add}raise the labels, lower what is set aside, or leave such a class out"
        )


def fold_labels(
    labelled: NDArray[np.int64],
    labels: NDArray[np.int16],
    *,
    folds: int,
    seed: int,
    names: Sequence[str] = (),
) -> tuple[Split, ...]:
    """Divide the labelled documents into stratified folds, each validated on once.

    Args:
        labelled: int64 [L], labelled documents.
        labels: int16 [N], labels of the corpus.
        folds: number of folds, at least 2 and at most the documents of the smallest class.
        seed: draws the folds, >= 0.
        names: names of the classes, for messages.

    Returns:
        One split per fold; fold sizes differ by at most one.

    Raises:
        SubsetError: where there are fewer than 2 folds, or a class has fewer documents than folds.
    """
    if folds < 2:
        raise SubsetError(f"folds must be at least 2, found {folds}; raise it or give a share")
    members = _class_members(labelled, labels, _generator(seed, 3))
    _check_class_sizes(labelled, labels, folds, f"{folds} folds", names)
    # Dealt out one class after the other, so that classes and sizes stay even.
    dealt = np.concatenate(members)
    return tuple(_in_order(labelled, dealt[fold::folds]) for fold in range(folds))


def sample_test(
    parts: NDArray[np.uint8], labels: NDArray[np.int16], *, documents: int | None, seed: int
) -> NDArray[np.int64]:
    """Return the test documents, all or a stratified sample.

    Args:
        parts: uint8 [N], values of `Part`.
        labels: int16 [N], -1 for none.
        documents: size of the sample, None for all.
        seed: draws the sample, >= 0.

    Returns:
        int64, sorted indices.

    Raises:
        SubsetError: where there are no test documents, or fewer than asked for.
    """
    tests = np.flatnonzero(parts == Part.TEST).astype(np.int64)
    if len(tests) == 0:
        raise SubsetError("a score needs test documents, found none; give the corpus a test part")
    if documents is None:
        return tests
    if not 1 <= documents <= len(tests):
        raise SubsetError(
            f"a test sample must hold 1 to {len(tests)} documents, found {documents}; "
            f"choose a number between, or leave it out for all"
        )
    return np.sort(_stratified(tests, labels, documents, _generator(seed, 4)))
