import random
from dataclasses import replace

import pytest

from sweeps.live.board import Board
from sweeps.live.forecast import Forecast, forecast
from sweeps.search.records import Progress
from sweeps.spec.cells import Stage
from sweeps.spec.load import load_spec
from tests.sweeps.live.played_sweep import even_pace, played

SPEC = load_spec("demo", {"seeds": "2", "search.general.trials": "1"})
SHARES = (0.1, 0.3, 0.5, 0.8, 0.95)


def forecasts(pace, workers=2, seed=0):
    """(Forecast, seconds that were really left) when a share of the wall time is behind."""
    events = list(played(SPEC, workers, pace, seed))
    begin, end = events[0][0], events[-1][0]
    board, shares = Board(SPEC), list(SHARES)
    for now, _, record in events:
        board.put(record)
        if shares and now - begin >= shares[0] * (end - begin):
            shares.pop(0)
            yield forecast(board), end - now


def uneven_pace(seed):
    """Every stage and size has a pace that the plan does not know, and trials scatter around it."""
    own, factors = random.Random(seed), {}

    def pace(cell, stage, rng):
        key = (stage, cell.size, cell.regime == "bow")
        factor = factors.setdefault(key, own.lognormvariate(0.5, 0.3))
        return factor * rng.lognormvariate(0, 0.1)

    return pace


def test_nothing_is_foretold_before_the_first_epoch():
    board = Board(SPEC)
    assert forecast(board) is None
    (_, what, record) = next(played(SPEC))
    assert what == "started"
    board.put(record)
    assert forecast(board) is None


def test_the_first_epoch_of_a_neural_model_gives_a_forecast_that_says_how_little_it_knows():
    board = Board(SPEC)
    for _, what, record in played(SPEC):
        board.put(record)
        if what == "progress" and board.cells[record.key.study.cell_id].regime != "bow":
            break
        assert forecast(board) is None
    told = forecast(board)
    assert told.high_seconds > 2 * told.low_seconds


def slow_bags_of_words(cell, stage, rng):
    return 20.0 if cell.regime == "bow" else 1.0


def test_a_bag_of_words_tells_nothing_of_a_neural_model():
    """It runs on processors; from one that took twice its time a GPU was once given 98 hours."""
    board = Board(SPEC)
    for _, what, record in played(SPEC, 1, slow_bags_of_words):
        if what == "ended" and board.cells[record.key.study.cell_id].regime == "bow":
            board.put(record)
            assert forecast(board) is None
    assert board.num_ended
    for _, what, record in played(SPEC, 1):
        board.put(record)
        if what == "progress":
            break
    plan = sum(seconds for c in board.cells.values() for seconds, _ in board.work_left(c).values())
    assert forecast(board).likely_seconds == pytest.approx(plan, rel=0.1)


def begun(start_seconds, first_seconds, epoch_seconds, *, num_epochs=40):
    """The first neural trial of a sweep, three epochs on."""
    record = next(r for _, _, r in played(SPEC) if r.key.study.stage is not Stage.FINAL)
    seconds = [first_seconds + epoch_seconds * epoch for epoch in range(3)]
    progress = tuple(
        Progress(epoch=epoch, num_epochs=num_epochs, value=0.5, metrics={"seconds": s})
        for epoch, s in enumerate(seconds, 1)
    )
    told_at = record.started_at + start_seconds + seconds[-1]
    return replace(record, progress=progress, told_at=told_at)


def left_after(record):
    board = Board(SPEC)
    board.put(record)
    return forecast(board).likely_seconds


def test_what_a_trial_takes_to_start_and_to_compile_is_no_pace():
    slow = left_after(begun(10.0, 6.0, 1.0))
    # all of it at the pace of the later epochs, and the start once
    assert slow == pytest.approx(left_after(begun(0.0, 16.0, 1.0)))
    assert slow == pytest.approx(left_after(begun(0.0, 1.0, 1.0)) * 55 / 40, rel=0.05)


def test_seconds_that_begin_anew_with_each_fold_are_no_negative_pace():
    record = begun(0.0, 1.0, 1.0)
    *rest, last = record.progress
    folded = replace(record, progress=(*rest, replace(last, metrics={"seconds": 1.0})))
    assert left_after(folded) == pytest.approx(left_after(record))


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("factor", [1.0, 3.0])
def test_where_every_trial_is_slower_than_planned_by_one_factor_the_forecast_is_right(
    workers, factor
):
    pace = even_pace if factor == 1.0 else lambda cell, stage, rng: factor
    told = list(forecasts(pace, workers))
    assert len(told) == len(SHARES)
    for expected, left in told:
        assert expected.likely_seconds == pytest.approx(left, rel=0.1, abs=5 * factor)


def test_the_range_holds_the_truth_in_at_least_eight_of_ten_sweeps():
    told = [pair for seed in range(20) for pair in forecasts(uneven_pace(seed), seed=seed)]
    inside = [f.low_seconds <= left <= f.high_seconds for f, left in told]
    assert len(inside) == 20 * len(SHARES)
    assert sum(inside) / len(inside) >= 0.8


def test_the_longest_chain_bounds_the_time_that_more_workers_take():
    (alone, _), (crowded, _) = (next(iter(forecasts(even_pace, n))) for n in (1, 500))
    assert alone.likely_seconds / 500 < crowded.likely_seconds < alone.likely_seconds


def test_a_sweep_that_is_over_takes_no_more_time():
    board = Board(SPEC)
    for _, _, record in played(SPEC):
        board.put(record)
    assert board.is_over
    assert forecast(board).high_seconds == 0


def test_a_forecast_is_said_with_its_range():
    told = Forecast(low_seconds=1200, likely_seconds=1500, high_seconds=2040)
    assert str(told) == "25 min left (20–34 min)"
