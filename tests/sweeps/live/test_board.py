from dataclasses import replace

import pytest

from sweeps.live.board import Board
from sweeps.search.records import Outcome, Progress, StudyKey, TrialKey, TrialRecord, TrialState
from sweeps.spec.cells import Stage, make_cells
from sweeps.spec.cost import TrialCosts
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


def test_a_cell_goes_from_waiting_through_its_stages_to_its_result():
    board, cell = Board(SPEC), cell_of("domain", 100)
    assert board.study(cell, Stage.LANGUAGE_MODEL).is_untouched
    board.put(record_of(cell, Stage.LANGUAGE_MODEL, 0, 5.0))
    assert board.stage_of(cell) is Stage.LANGUAGE_MODEL
    board.put(record_of(cell, Stage.LANGUAGE_MODEL, 1, 4.5))
    assert board.study(cell, Stage.LANGUAGE_MODEL).best == 4.5
    assert board.stage_of(cell) is Stage.CLASSIFIER
    assert not board.is_finished(cell)
    for record in all_finished(cell):
        board.put(record)
    assert board.is_finished(cell)
    assert (board.num_finished, board.num_ended) == (1, 6)


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
    assert board.has_failed(cell)
    assert not board.is_finished(cell)
    assert board.work_left(cell) == {}
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
    assert board.name(record_of(stranger, Stage.CLASSIFIER)) == "scratch-s9-00000000"


def test_the_share_done_is_weighed_by_cost_and_reaches_one():
    board, cell = Board(SPEC), cell_of("scratch")
    board.put(record_of(cell, Stage.CLASSIFIER, epoch=2))
    assert board.cost_done == pytest.approx(TrialCosts.of(SPEC).seconds(cell, Stage.CLASSIFIER) / 2)
    records = [record for each in make_cells(SPEC) for record in all_finished(each)]
    assert Board(SPEC, records).share_done == pytest.approx(1)


def test_cells_that_need_a_failed_one_have_failed_and_a_sweep_of_such_ends_is_over():
    general = cell_of("general")
    failed = record_of(general, Stage.LANGUAGE_MODEL, state=TrialState.FAILED)
    rest = [r for c in make_cells(SPEC) if not c.needs and c != general for r in all_finished(c)]
    board = Board(SPEC, [failed, *rest])
    assert board.has_failed(cell_of("ulm"))
    assert board.is_over
    assert board.num_finished == sum(not cell.needs for cell in make_cells(SPEC)) - 1


def test_the_work_left_is_what_has_not_ended_less_the_epochs_behind():
    board, cell = Board(SPEC), cell_of("scratch")
    cost = TrialCosts.of(SPEC).seconds(cell, Stage.CLASSIFIER)
    board.put(record_of(cell, Stage.CLASSIFIER, 0, 0.6))
    board.put(record_of(cell, Stage.CLASSIFIER, 1, epoch=1))
    left, trials = board.work_left(cell)[Stage.CLASSIFIER]
    assert (left, trials) == (pytest.approx(1.75 * cost), 2)


def test_the_most_trials_at_once_counts_those_that_a_worker_has():
    board = Board(SPEC)
    for number in range(3):
        record = record_of(cell_of("scratch"), Stage.CLASSIFIER, number)
        board.put(replace(record, waiting_since=1.0 if number == 2 else None))
    assert board.at_once == 2
    board.put(record_of(cell_of("scratch"), Stage.CLASSIFIER, 0, 0.5))
    assert (board.at_once, len(board.running)) == (2, 2)
