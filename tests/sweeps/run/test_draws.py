import numpy as np
import pytest
from tiny import tiny_spec

from sweeps.run.draws import Draws, check_draws, check_general
from sweeps.spec.cells import make_cells
from sweeps.spec.values import LabelSpec, TestSpec
from tests.sweeps.example_sweep import example_spec
from ulm.errors import SubsetError
from ulm.regimes import Regime
from ulm.text.listing import Part

# 40 labelled documents of two classes, 30 without a label, 10 for testing
PARTS = np.repeat([Part.LABELLED, Part.UNLABELLED, Part.TEST], [40, 30, 10]).astype(np.uint8)
LABELS = np.where(PARTS == Part.UNLABELLED, -1, np.arange(80) % 2).astype(np.int16)
EVERY_DOCUMENT = {"sizes": (20, 70), "test": TestSpec(), "labels": LabelSpec(train=20)}


def test_a_corpus_that_has_just_what_is_asked_for_passes(tmp_path):
    check_draws(tiny_spec(tmp_path, **EVERY_DOCUMENT), PARTS, LABELS)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sizes": (20, 71)}, "must not exceed the pool, found 71 for 70"),
        ({"labels": LabelSpec(train=41), "sizes": (41,)}, "found 41 for 40"),
        ({"labels": LabelSpec(train=20, validation=0.05)}, "a label of each of the 2 classes"),
        ({"labels": LabelSpec(train=20, folds=11)}, "11 folds needs 11"),
        ({"test": TestSpec(documents=11)}, "1 to 10 documents, found 11"),
    ],
)
def test_what_the_corpus_can_not_give_is_refused(tmp_path, changes, message):
    with pytest.raises(SubsetError, match=message):
        check_draws(tiny_spec(tmp_path, **{**EVERY_DOCUMENT, **changes}), PARTS, LABELS)


def test_sizes_count_only_where_a_regime_has_them(tmp_path):
    spec = tiny_spec(tmp_path, **{**EVERY_DOCUMENT, "sizes": (71,)}, regimes=(Regime.BOW,))
    check_draws(spec, PARTS, LABELS)


def test_regimes_at_one_seed_are_given_the_same_labels_and_test_documents(tmp_path):
    spec = tiny_spec(tmp_path, **{**EVERY_DOCUMENT, "test": TestSpec(documents=4)}, seeds=(0, 1))
    given = {}
    for cell in make_cells(spec)[1:]:
        draws = Draws(spec=spec, cell=cell, parts=PARTS, labels=LABELS)
        (train, validation), test = draws.label_splits[0], draws.test
        given.setdefault(cell.seed, set()).add((*train, -1, *validation, -1, *test))
    assert [len(distinct) for distinct in given.values()] == [1, 1]
    assert given[0] != given[1]


def test_a_general_corpus_of_one_document_has_none_to_validate_on():
    check_general(2)
    with pytest.raises(SubsetError, match="needs 2 documents"):
        check_general(1)


@pytest.mark.parametrize("folds", [5, 8])
def test_a_rare_class_is_given_a_label_for_every_fold(folds):
    labelled = LabelSpec(train=40, folds=folds)
    spec = example_spec(sizes=(40, 100), seeds=(0, 1, 2), labels=labelled)
    labels = np.array([0] * 300 + [1] * 9 + [0, 1] * 10, dtype=np.int16)
    parts = np.array([Part.LABELLED] * 309 + [Part.TEST] * 20, dtype=np.uint8)
    check_draws(spec, parts, labels)
