import numpy as np
import pytest

from sweeps.answer.classes import Classes, find_classes
from sweeps.answer.predictions import Predicted
from sweeps.answer.scores import Scores, make_scores
from tests.sweeps.answer.sweep_scores import notes_of, rows_of, scores_of
from tests.sweeps.example_sweep import example_spec

TABLE = {("bow", None): (0.9, 0.9), ("scratch", None): (0.8, 0.9)}


def predicted_as(said, labels):
    """Predictions that say these classes of three."""
    return Predicted(documents=np.arange(len(labels)), labels=labels, probabilities=np.eye(3)[said])


def swept(labels, constant):
    """Predictions of cells that all have these labels, and those named say one class."""
    rows = rows_of(TABLE)
    said = {
        row.cell: np.zeros_like(labels) if (row.regime, row.seed) in constant else labels
        for row in rows
    }
    return {cell: predicted_as(own, labels) for cell, own in said.items()}, rows


def hits_of(predicted):
    return {cell: own.hits for cell, own in predicted.items()}


def test_the_share_of_the_most_frequent_class_and_cells_that_say_no_other_are_told():
    labels = np.repeat([0, 1, 2], [90, 6, 4])
    predicted, rows = swept(labels, {("bow", 0), ("bow", 1), ("scratch", 0)})
    found = find_classes(predicted, rows)
    assert found.share == pytest.approx(0.9)
    assert {row.cell for row in rows if row.cell in found.constant} == set(found.constant)
    text = " ".join(notes_of(example_spec(), rows, classes=found))
    assert "Always saying the most frequent class scores 90.0 %" in text
    assert (
        "`bow` seed 0, `bow` seed 1 and `scratch` seed 0 said one class for every test document."
        in text
    )


def test_even_classes_and_cells_that_tell_them_apart_are_no_caveat():
    found = find_classes(*swept(np.repeat([0, 1, 2], [34, 33, 33]), set()))
    assert not found.is_uneven
    assert not found.constant
    assert not any("class" in note for note in notes_of(example_spec(), [], classes=found))


def test_without_predictions_nothing_is_known():
    assert find_classes({}, rows_of(TABLE)) is None


def test_recall_counts_every_class_the_same_and_says_which_are_never_said():
    labels = np.repeat([0, 1, 2], [90, 6, 4])
    predicted, rows = swept(labels, {("bow", 0), ("bow", 1)})
    found = find_classes(predicted, rows, ("often", "now`and\nthen", "rarely"))
    recalls = found.recalls(scores_of(TABLE, hits_of(predicted)))
    assert recalls["bow", None].value == pytest.approx(1 / 3), "accuracy is 90 %"
    assert recalls["bow", None].interval.low < 1 / 3 < recalls["bow", None].interval.high
    assert recalls["scratch", None].value == pytest.approx(1)
    assert found.num_unsaid(rows) == (2, 2, 0, 0)
    text = " ".join(notes_of(example_spec(), rows, classes=found))
    assert "Of 3 classes some are never said of any test document" in text
    assert "by `bow` 2. The mean recall" in text
    assert "Classes with fewer than 5 test documents: `rarely` (4)." in text


def test_every_seed_has_its_own_documents_where_they_are_a_sample():
    said = np.repeat([0, 1], [6, 4])
    predicted, rows = swept(said, set())
    predicted[rows[1].cell] = predicted_as(said, np.repeat([0, 1], [5, 5]))
    found = find_classes(predicted, [row for row in rows if row.regime == "bow"])
    assert found.counts == (5, 4, 0)
    table = rows_of({("bow", None): (1.0, 0.9)})
    for samples in (None, {0: np.arange(10), 1: np.arange(10) + 5}):
        scores = make_scores(table, hits_of(predicted), samples)
        assert found.recalls(scores)["bow", None].value == pytest.approx((1 + 0.9) / 2)
        assert scores.shares_documents is (samples is None)


def test_where_a_cell_has_no_predictions_no_recall_is_compared():
    predicted, rows = swept(np.repeat([0, 1, 2], [90, 6, 4]), set())
    del predicted[rows[0].cell]
    found = find_classes(predicted, rows)
    assert found.recalls(scores_of(TABLE, hits_of(predicted))) == {}
    assert found.num_unsaid(rows) == (0, 0, 0)


def simulated(rng, labels, ease, num_seeds):
    """Predictions of one point: classes of unequal ease, documents and seeds of unequal luck."""
    shape = num_seeds, len(ease)
    seeds, documents = rng.normal(0, 0.3, shape), rng.normal(0, 1.5, len(labels))
    chance = 1 / (1 + np.exp(-(ease[labels] + documents + seeds[:, labels])))
    hits = rng.random(chance.shape) < chance
    points, numbers = ((("bow", None),), tuple(range(num_seeds)))
    return Scores(points=points, seeds=numbers, values=hits.mean(1)[None], hits=hits[None])


@pytest.mark.parametrize("num_seeds", [2, 5])
def test_the_interval_of_a_recall_holds_the_truth(num_seeds):
    labels = np.repeat(np.arange(14), [40, 20, 12, 9, 8, 7, 6, 5, 4, 3, 2, 2, 1, 1])
    ease, rng = np.linspace(2.5, -1, 14), np.random.default_rng(0)
    luck = np.sqrt(0.3**2 + 1.5**2) * rng.standard_normal((100_000, 1))
    truth = float((1 / (1 + np.exp(-(ease + luck)))).mean())
    own = dict.fromkeys(range(num_seeds), labels)
    classes = Classes(names=tuple("abcdefghijklmn"), share=0.3, labels=own, said={})
    sweeps = [simulated(rng, labels, ease, num_seeds) for _ in range(300)]
    found = [classes.recalls(scores)["bow", None] for scores in sweeps]
    assert np.mean([f.value for f in found]) == pytest.approx(truth, abs=0.01)
    assert np.mean([f.interval.low < truth < f.interval.high for f in found]) > 0.95


def drawn(rng, counts, recalls, num_seeds, is_sampled):
    """A sweep of one point whose documents are as hard for all seeds, for the most part.

    Where they are sampled there are twice as many, of which every seed is scored on its own half.
    """
    labels = np.repeat(np.arange(len(counts)), np.multiply(counts, 1 + is_sampled))
    shared, own = rng.random(len(labels)), rng.random((num_seeds, len(labels)))
    is_shared = rng.random(own.shape) < 0.7
    hits = np.where(is_shared, shared, own) < np.asarray(recalls)[labels]
    seen = rng.random(own.shape).argsort(axis=1) < sum(counts)
    hits &= seen
    classes = Classes(
        names=tuple("abc"[: len(counts)]),
        share=max(counts) / sum(counts),
        labels={seed: labels[seen[seed]] for seed in range(num_seeds)},
        said={},
    )
    scores = Scores(
        points=(("bow", None),),
        seeds=tuple(range(num_seeds)),
        values=hits.sum(axis=1)[None] / sum(counts),
        hits=hits[None],
        seen=seen if is_sampled else None,
    )
    return classes.recalls(scores)["bow", None].interval


# widest: four standard deviations of the mean recall over documents, and some
@pytest.mark.parametrize("is_sampled", [False, True])
@pytest.mark.parametrize("num_seeds", [1, 3, 5])
@pytest.mark.parametrize(
    ("counts", "recalls", "widest"),
    [
        ((950, 50), (0.9, 0.9), 0.1),
        ((950, 50), (0.95, 0.98), 0.07),
        ((700, 200, 100), (0.9, 0.7, 0.5), 0.085),
    ],
)
def test_uneven_classes_make_no_interval_wide(counts, recalls, widest, num_seeds, is_sampled):
    rng, truth = np.random.default_rng(0), np.mean(recalls)
    found = [drawn(rng, counts, recalls, num_seeds, is_sampled) for _ in range(300)]
    assert np.mean([i.low <= truth <= i.high for i in found]) > 0.92, "95 % but for 300 draws"
    assert np.mean([i.high - i.low for i in found]) < widest


@pytest.mark.parametrize("is_sampled", [False, True])
@pytest.mark.parametrize("num_seeds", [1, 2, 3, 5])
def test_to_find_all_of_a_rare_class_is_not_to_be_certain(num_seeds, is_sampled):
    rng, possible = np.random.default_rng(0), 0.98 if is_sampled else 0.96
    for recall in (1.0, 0.95):
        interval = drawn(rng, (950, 50), (recall, 1.0), num_seeds, is_sampled)
        assert interval.low < (recall + possible) / 2, "13 % find all 50, or 100, at this recall"
        assert interval.high <= 1


def test_all_right_is_a_recall_of_exactly_one():
    labels = np.repeat([0, 1, 2], [20, 7, 3])
    own = dict.fromkeys(range(3), labels)
    classes = Classes(names=("a", "b", "c"), share=2 / 3, labels=own, said={})
    hits = np.ones((1, 3, len(labels)), dtype=bool)
    scores = Scores(points=(("bow", None),), seeds=(0, 1, 2), values=hits.mean(axis=2), hits=hits)
    found = classes.recalls(scores)["bow", None]
    assert found.value == found.interval.high == 1.0


def test_a_class_that_one_seed_has_no_document_of_counts_where_it_has_some():
    labels = {0: np.repeat([0, 1], [30, 10]), 1: np.repeat([0, 1], [40, 0])}
    classes = Classes(names=("a", "b"), share=0.9, labels=labels, said={})
    hits = np.ones((1, 2, 40), dtype=bool)
    hits[0, :, ::2] = False
    scores = Scores(points=(("bow", None),), seeds=(0, 1), values=hits.mean(axis=2), hits=hits)
    found = classes.recalls(scores)["bow", None]
    assert found.value == pytest.approx(0.5)
    assert found.interval.low < 0.5 < found.interval.high
