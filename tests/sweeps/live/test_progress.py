import io
import re
from dataclasses import replace

import pytest

from sweeps.live.progress import PlainProgress, make_progress
from sweeps.live.terminal import LiveProgress
from sweeps.search.listener import RunListener
from sweeps.search.records import Outcome, Progress, StudyKey, TrialKey, TrialRecord, TrialState
from sweeps.search.spending import Spent
from sweeps.spec.cells import Stage, make_cells
from sweeps.spec.load import load_spec
from sweeps.spec.values import BudgetSpec

SHAPE = {
    "sizes": "[100, 400]",
    "search.language_model.trials": "2",
    "search.classifier.trials": "3",
}
SPEC = load_spec("demo", {**SHAPE, "seeds": "2"})
CELL = next(c for c in make_cells(SPEC) if (c.regime, c.size, c.seed) == ("domain", 400, 1))
STARTED = TrialRecord(
    key=TrialKey(study=StudyKey(cell_id=CELL.id, stage=Stage.LANGUAGE_MODEL), number=0),
    params={"learning_rate": 0.0045, "decay": 2.6},
)


def at_epoch(epoch):
    step = Progress(epoch=epoch, num_epochs=8, value=5.0 - epoch / 10)
    return replace(STARTED, progress=(step,), told_at=2.5 * epoch)


FINISHED = replace(
    at_epoch(8), state=TrialState.FINISHED, outcome=Outcome(value=4.2), ended_at=20.0
)
FAILED = replace(at_epoch(2), state=TrialState.FAILED, failure="loss is NaN")


@pytest.fixture
def clock():
    class Clock:
        now = 0.0

        def __call__(self):
            return self.now

    return Clock()


@pytest.fixture
def plain(clock):
    stream = io.StringIO()
    return PlainProgress(SPEC, stream, clock=clock), stream


def run_through(listener, clock):
    listener.preparing("tokens of imdb", 50, 100)
    listener.preparing("tokens of imdb", 100, 100)
    listener.trial_started(STARTED)
    clock.now += 10
    listener.trial_progress(at_epoch(4))
    clock.now += 10
    listener.trial_ended(FINISHED)
    listener.message("report written")
    listener.finished()


def test_the_epochs_of_final_show_a_loss_and_its_end_an_accuracy(plain, clock):
    listener, stream = plain
    study = replace(STARTED.key.study, stage=Stage.FINAL)
    final = replace(STARTED, key=replace(STARTED.key, study=study))
    step = Progress(epoch=1, num_epochs=2, value=0.034)
    listener.trial_started(final)
    clock.now += 10
    listener.trial_progress(replace(final, progress=(step,)))
    listener.trial_ended(
        replace(final, state=TrialState.FINISHED, outcome=Outcome(value=0.776), progress=(step,))
    )
    epoch, end = stream.getvalue().splitlines()[-2:]
    assert epoch.endswith("final 0: epoch 1/2, loss 0.034")
    assert "final 0: finished, 77.6 % (" in end


def test_plain_progress_is_one_line_per_event_cell_first(plain, clock):
    listener, stream = plain
    run_through(listener, clock)
    lines = stream.getvalue().splitlines()
    trial = "domain n=400 seed 1, language_model 0"
    assert lines[:4] == [
        "preparing tokens of imdb: 50 of 100",
        "preparing tokens of imdb: 100 of 100",
        f"{trial}: started, learning_rate 0.0045, decay 2.6",
        f"{trial}: epoch 4/8, loss 4.600",
    ]
    assert lines[4].startswith(f"{trial}: finished, loss 4.200 (")
    assert "% done after 20 s, " in lines[4]
    assert " left (" in lines[4]
    assert lines[5:] == ["report written"]


def test_plain_progress_of_fast_trials_says_now_and_then_how_far_the_sweep_is(plain, clock):
    listener, stream = plain
    for _ in range(3):
        listener.trial_started(STARTED)
        listener.trial_ended(replace(STARTED, state=TrialState.PRUNED))
    clock.now += 10
    listener.trial_ended(replace(STARTED, state=TrialState.PRUNED))
    ends = [line for line in stream.getvalue().splitlines() if ": pruned" in line]
    assert ["% done" in line for line in ends] == [True, False, False, True]


def test_what_an_earlier_run_recorded_counts_as_done(clock):
    def share_after(recorded):
        stream = io.StringIO()
        listener = PlainProgress(SPEC, stream, clock=clock)
        listener.recorded(recorded)
        listener.trial_started(STARTED)
        clock.now += 10
        listener.trial_ended(FINISHED)
        return int(re.search(r"\((\d+) ?% done", stream.getvalue()).group(1))

    numbers = range(1, 6)
    keys = [replace(FINISHED.key, number=number) for number in numbers]
    assert share_after([replace(FINISHED, key=key) for key in keys]) > share_after(())


def test_plain_progress_writes_epochs_only_every_few_seconds(plain, clock):
    listener, stream = plain
    listener.trial_started(STARTED)
    for epoch in range(1, 9):
        clock.now += 1
        listener.trial_progress(at_epoch(epoch))
    epochs = [line.split("epoch ")[1] for line in stream.getvalue().splitlines()[1:]]
    assert epochs == ["3/8, loss 4.700", "6/8, loss 4.400"]


def test_a_trial_whose_epochs_follow_those_of_another_has_its_turn(plain, clock):
    listener, stream = plain
    other = replace(FINISHED.key, number=1)
    listener.trial_started(STARTED)
    listener.trial_started(replace(STARTED, key=other))
    for epoch in range(1, 7):
        clock.now += 10
        listener.trial_progress(at_epoch(epoch))
        clock.now += 1
        listener.trial_progress(replace(at_epoch(epoch), key=other))
    lines = [line.partition("model ")[2] for line in stream.getvalue().splitlines()[2:]]
    assert [line[0] for line in lines] == list("00010001")


def test_plain_progress_says_why_a_trial_failed_and_which_attempt_it_was(plain):
    listener, stream = plain
    again = replace(FAILED, key=replace(FAILED.key, attempt=1))
    listener.trial_ended(again)
    assert "language_model 0 (attempt 2): failed: loss is NaN (" in stream.getvalue()


PRICED = replace(SPEC, budget=BudgetSpec(price_per_accelerator_hour=3.6))


def test_what_was_spent_and_wasted_follows_every_ended_trial(clock):
    stream = io.StringIO()
    listener = PlainProgress(PRICED, stream, clock=clock)
    listener.trial_ended(FINISHED)
    assert "CPU time" not in stream.getvalue()
    listener.spent(Spent(accelerator_seconds=1000.0, wasted_seconds=0.2))
    clock.now += 10
    listener.trial_ended(FINISHED)
    assert stream.getvalue().endswith("; CPU time 17 min, cost of trials 1.00)\n")
    listener.spent(Spent(accelerator_seconds=1000.0, wasted_seconds=60.0))
    clock.now += 10
    listener.trial_ended(FINISHED)
    assert stream.getvalue().endswith(
        "; CPU time 17 min, 60 s of it wasted, cost of trials 1.00)\n"
    )


def test_a_terminal_gets_the_screen_and_a_pipe_lines():
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    assert isinstance(make_progress(SPEC, Terminal()), LiveProgress)
    assert isinstance(make_progress(SPEC, io.StringIO()), PlainProgress)


def test_quiet_progress_takes_every_event_and_shows_nothing(clock, capsys):
    run_through(RunListener(), clock)
    assert capsys.readouterr() == ("", "")
