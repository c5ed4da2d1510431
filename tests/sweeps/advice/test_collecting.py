from dataclasses import replace

import numpy as np
import pytest

from sweeps.advice.collecting import outlook_at
from sweeps.answer.scores import make_scores
from tests.sweeps.answer.sweep_scores import curve, rows_of

REGIME, SIZES = "ulm+domain", (100, 200, 400)
ROWS = rows_of(curve(REGIME, dict(zip(SIZES, (0.76, 0.81, 0.85), strict=True))))


def outlook(size, rows=ROWS):
    return outlook_at(rows, make_scores(rows), REGIME, SIZES, size, None)


def middle(interval):
    return (interval.low + interval.high) / 2


@pytest.mark.parametrize(("size", "start", "part"), [(200, 100, 1.0), (300, 200, np.log2(1.5))])
def test_accuracy_and_gain_within_the_sizes_are_read_off_the_curve_on_a_log_scale(
    size, start, part
):
    found = outlook(size)
    first, rise = {100: (0.76, 0.05), 200: (0.81, 0.04)}[start]
    assert found.start == start
    assert middle(found.accuracy) == pytest.approx(first + part * rise)
    assert middle(found.gain) == pytest.approx(part * rise)


def test_the_smallest_size_gains_nothing_over_itself():
    assert outlook(100).gain is None


def test_hours_of_a_size_lie_on_a_line_through_those_of_the_cells_and_are_never_below_none():
    def told(hours):
        rows = [replace(row, accelerator_seconds=3600 * hours(row.size)) for row in ROWS]
        return [outlook(size, rows).accelerator_hours for size in (100, 300)]

    assert told(lambda size: 2 + size / 100) == pytest.approx([3, 5])
    assert told(lambda size: 1.0 if size == 400 else 1e-3)[0] == 0
    assert outlook(300).accelerator_hours is None


def test_hours_of_one_measured_size_are_in_proportion():
    rows = [replace(row, accelerator_seconds=7200.0 if row.size == 200 else None) for row in ROWS]
    assert outlook(300, rows).accelerator_hours == pytest.approx(3)
