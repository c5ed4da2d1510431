import io
from dataclasses import replace

import pytest
from rich.console import Console

from sweeps.progress import LiveProgress, PlainProgress, QuietProgress, make_progress
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
    return replace(STARTED, progress=(step,))


FINISHED = replace(at_epoch(8), state=TrialState.FINISHED, outcome=Outcome(value=4.2))
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
    assert "% done after 20 s, about " in lines[4]
    assert lines[5:] == ["report written"]


def test_plain_progress_writes_epochs_only_every_few_seconds(plain, clock):
    listener, stream = plain
    listener.trial_started(STARTED)
    for epoch in range(1, 9):
        clock.now += 1
        listener.trial_progress(at_epoch(epoch))
    epochs = [line.split("epoch ")[1] for line in stream.getvalue().splitlines()[1:]]
    assert epochs == ["3/8, loss 4.700", "6/8, loss 4.400"]


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
    listener.spent(Spent(accelerator_seconds=1000.0, wasted_seconds=60.0))
    listener.trial_ended(FINISHED)
    assert stream.getvalue().endswith("; CPU time 17 min, 60 s of it wasted, cost 1.00)\n")


def test_the_live_table_ends_with_what_was_spent(clock):
    listener, _ = live_progress(clock)
    listener.spent(Spent(accelerator_seconds=7200.0))
    assert rendered(listener).rstrip().endswith("; CPU time 2 h 00 min")


def live_progress(clock, records=()):
    console = Console(file=io.StringIO(), width=120, force_terminal=True, color_system=None)
    return LiveProgress(SPEC, console, records, clock=clock), console


def rendered(listener):
    console = Console(file=io.StringIO(), width=120)
    console.print(listener.render())
    return console.file.getvalue()


def row_of(text, regime, size):
    return next(line for line in text.splitlines() if regime in line.split() and size in line)


def test_the_live_table_shows_cells_running_trials_and_time_left(clock):
    listener, _ = live_progress(clock)
    listener.trial_started(STARTED)
    clock.now = 10
    listener.trial_progress(at_epoch(4))
    text = rendered(listener)
    row = row_of(text, "domain", "400")
    assert "waiting" in row
    assert "language_model 0/2" in row
    assert "seed 0" in text
    running = next(line for line in text.splitlines() if "epoch" in line)
    assert "domain n=400 seed 1" in running
    assert "learning_rate 0.0045" in running
    assert "epoch 4/8, loss 4.600" in running
    assert "% done after 10 s, about" in text


def test_the_live_table_shows_what_was_recorded_before(clock):
    number_one = replace(FINISHED, key=replace(FINISHED.key, number=1))
    listener, _ = live_progress(clock, [FINISHED, number_one])
    assert "classifier 0/3" in rendered(listener)


def test_the_live_table_draws_in_a_terminal_and_gives_it_back(clock):
    listener, console = live_progress(clock)
    run_through(listener, clock)
    listener.finished()
    written = console.file.getvalue()
    assert "report written" in written
    assert "language_model 1/2" in written
    assert written.endswith("\x1b[?25h")  # the cursor is shown again


def test_a_failure_is_a_line_above_the_live_table(clock):
    listener, console = live_progress(clock)
    listener.trial_started(STARTED)
    listener.trial_ended(FAILED)
    listener.finished()
    line = "domain n=400 seed 1, language_model 0: failed: loss is NaN"
    assert line in console.file.getvalue()


def test_a_running_trial_without_an_epoch_is_starting(clock):
    listener, _ = live_progress(clock)
    listener.trial_started(STARTED)
    assert "starting" in rendered(listener)


def test_preparation_is_shown_until_it_is_done(clock):
    listener, _ = live_progress(clock)
    listener.preparing("tokens", 1, 2)
    assert "preparing tokens: 1 of 2" in rendered(listener)
    listener.preparing("tokens", 2, 2)
    assert "preparing" not in rendered(listener)
    listener.finished()


def test_a_terminal_gets_the_table_and_a_pipe_lines():
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    assert isinstance(make_progress(SPEC, Terminal()), LiveProgress)
    assert isinstance(make_progress(SPEC, io.StringIO()), PlainProgress)


def test_quiet_progress_takes_every_event_and_shows_nothing(clock, capsys):
    run_through(QuietProgress(), clock)
    assert capsys.readouterr() == ("", "")
