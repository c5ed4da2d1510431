import numpy as np
import pytest

from sweeps.answer.majority import find_majority
from sweeps.paths import SweepPaths
from sweeps.report.caveats import caveats
from tests.sweeps.answer.sweep_scores import rows_of
from tests.sweeps.example_sweep import example_spec

TABLE = {("bow", None): (0.9, 0.9), ("scratch", None): (0.8, 0.9)}


def swept(folder, labels, constant):
    """A sweep whose cells all have these labels, and those named say one class."""
    paths, rows = SweepPaths(storage=str(folder), name="x"), rows_of(TABLE)
    paths.predictions_folder.mkdir(parents=True)
    for row in rows:
        said = np.zeros_like(labels) if (row.regime, row.seed) in constant else labels
        np.savez(paths.predictions(row.cell), labels=labels, probabilities=np.eye(3)[said])
    return paths, rows


def test_the_share_of_the_most_frequent_class_and_cells_that_say_no_other_are_told(tmp_path):
    labels = np.repeat([0, 1, 2], [90, 6, 4])
    paths, rows = swept(tmp_path, labels, {("bow", 0), ("bow", 1), ("scratch", 0)})
    found = find_majority(paths, rows)
    assert found.share == pytest.approx(0.9)
    assert {row.cell for row in rows if row.cell in found.constant} == set(found.constant)
    text = " ".join(caveats(example_spec(), rows, majority=found))
    assert "Always saying the most frequent class scores 90.0 %" in text
    assert (
        "`bow` seed 0, `bow` seed 1 and `scratch` seed 0 said one class for every test document."
        in text
    )


def test_even_classes_and_cells_that_tell_them_apart_are_no_caveat(tmp_path):
    found = find_majority(*swept(tmp_path, np.repeat([0, 1, 2], [34, 33, 33]), set()))
    assert not found.is_uneven
    assert not found.constant
    assert not any("class" in note for note in caveats(example_spec(), [], majority=found))


def test_without_predictions_nothing_is_known(tmp_path):
    assert find_majority(SweepPaths(storage=str(tmp_path), name="x"), rows_of(TABLE)) is None
