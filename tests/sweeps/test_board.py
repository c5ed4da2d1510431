from dataclasses import replace

import pytest

from sweeps.board import Board, Pace, duration, score
from sweeps.search.records import Outcome, Progress, StudyKey, TrialKey, TrialRecord, TrialState
from sweeps.spec.cells import Stage, make_cells
from sweeps.spec.cost import trial_cost
from sweeps.spec.load import load_spec
from sweeps.spec.spaces import num_trials

SHAPE = {
    "sizes": "[100, 400]",
    "search.language_model.trials": "2",
    "search.classifier.trials": "3",
}
SPEC = load_spec("demo", {**SHAPE, "seeds": "1"})


def cell_of(regime, size=None):
    return next(c for c in make_cells(SPEC) if (c.regime, c.size) == (regime, size))


def record_of(cell, stage, number=0, value=None, state=None, epoch=None):
    key = TrialKey(study=StudyKey(cell_id=cell.id, stage=stage), number=number)
    progress = () if epoch is None else (Progress(epoch=epoch, num_epochs=4, value=0.5),)
    return TrialRecord(
        key=key,
        params={"learning_rate": 0.01},
        state=state or (TrialState.RUNNING if value is None else TrialState.FINISHED),
        progress=progress,
        outcome=None if value is None else Outcome(value=value),
    )


def all_finished(cell):
    return [
        record_of(cell, stage, number, value=0.75)
        for stage in cell.stages
        for number in range(num_trials(SPEC, cell, stage))
    ]


def test_a_cell_goes_from_waiting_through_its_stages_to_its_score():
    board, cell = Board(SPEC), cell_of("domain", 100)
    assert board.cell_state(cell) == "waiting"
    board.put(record_of(cell, Stage.LANGUAGE_MODEL))
    assert board.cell_state(cell) == "language_model 0/2"
    board.put(record_of(cell, Stage.LANGUAGE_MODEL, 0, 5.0))
    assert board.cell_state(cell) == "language_model 1/2, loss 5.000"
    board.put(record_of(cell, Stage.LANGUAGE_MODEL, 1, 4.5))
    assert board.study(cell, Stage.LANGUAGE_MODEL).best == 4.5
    assert board.cell_state(cell) == "classifier 0/3"
    for record in all_finished(cell):
        board.put(record)
    assert board.cell_state(cell) == "75.0 %"


def test_the_best_classifier_is_the_most_accurate():
    board, cell = Board(SPEC), cell_of("scratch")
    for number, value in enumerate((0.6, 0.8, 0.7)):
        board.put(record_of(cell, Stage.CLASSIFIER, number, value))
    assert board.study(cell, Stage.CLASSIFIER).best == 0.8


def test_a_cell_whose_study_failed_throughout_has_failed():
    board, cell = Board(SPEC), cell_of("domain", 100)
    for number in range(2):
        record = record_of(cell, Stage.LANGUAGE_MODEL, number, state=TrialState.FAILED)
        board.put(record)
    assert board.cell_state(cell) == "failed"
    assert board.study(cell, Stage.LANGUAGE_MODEL).failed == 2


def test_a_lost_trial_makes_room_for_its_repetition():
    board, cell = Board(SPEC), cell_of("scratch")
    board.put(record_of(cell, Stage.CLASSIFIER))
    board.put(record_of(cell, Stage.CLASSIFIER, state=TrialState.LOST))
    state = board.study(cell, Stage.CLASSIFIER)
    assert (state.running, state.ended) == (0, 0)


def test_trials_a_dead_driver_left_running_are_believed_only_on_request():
    left = [record_of(cell_of("scratch"), Stage.CLASSIFIER)]
    assert Board(SPEC, left).running == ()
    assert len(Board(SPEC, left, keep_running=True).running) == 1


def test_records_of_a_larger_spec_are_left_out():
    stranger = replace(cell_of("scratch"), id="scratch-s9-00000000")
    board = Board(SPEC, [record_of(stranger, Stage.CLASSIFIER, value=0.5)])
    assert board.cost_done == 0
    assert board.cell(record_of(stranger, Stage.CLASSIFIER)) == "scratch-s9-00000000"


def test_the_share_done_is_weighed_by_cost_and_reaches_one():
    board, cell = Board(SPEC), cell_of("scratch")
    board.put(record_of(cell, Stage.CLASSIFIER, epoch=2))
    assert board.cost_done == pytest.approx(trial_cost(SPEC, cell, Stage.CLASSIFIER) / 2)
    records = [record for each in make_cells(SPEC) for record in all_finished(each)]
    assert Board(SPEC, records).share_done == pytest.approx(1)


def test_the_time_left_follows_the_pace_of_this_run_only():
    old = all_finished(cell_of("bow"))
    board = Board(SPEC, old)
    assert board.seconds_left(10) is None
    cell = cell_of("domain", 400)
    board.put(record_of(cell, Stage.LANGUAGE_MODEL, value=4.0))
    done = trial_cost(SPEC, cell, Stage.LANGUAGE_MODEL)
    assert board.seconds_left(2 * done) == pytest.approx(2 * (board.cost_total - board.cost_done))


def test_pace_counts_from_the_first_trial():
    now = [100.0]
    pace = Pace(Board(SPEC), lambda: now[0])
    assert str(pace) == "0 % done after 0 s"
    pace.begin()
    now[0] = 130.0
    pace.begin()
    assert str(pace) == "0 % done after 30 s"


def test_numbers_are_written_for_people():
    assert [duration(s) for s in (48, 720, 11_100)] == ["48 s", "12 min", "3 h 05 min"]
    assert score(Stage.LANGUAGE_MODEL, 4.4219) == "loss 4.422"
    assert score(Stage.FINAL, 0.8173) == "81.7 %"
