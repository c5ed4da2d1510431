import io
import itertools
from dataclasses import replace

import pytest
from rich.console import Console

from sweeps.live.board import Board
from sweeps.live.screen import Screen
from sweeps.search.records import TrialState
from sweeps.search.spending import Spent
from sweeps.spec.load import load_spec
from tests.sweeps.live.played_sweep import BEGIN, played

DEMO = load_spec("demo", {"seeds": "3", "budget.price_per_accelerator_hour": "0.5"})
IMDB = load_spec("imdb")
NARROW, WIDE = (80, 24), (140, 40)


class Picture:
    """A board with a screen, and what a terminal of some size shows of it."""

    def __init__(self, spec, size=WIDE, encoding="utf-8"):
        self.now = BEGIN
        self.board = Board(spec)
        self.screen = Screen(self.board, lambda: self.now)
        stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
        width, height = size
        self.console = Console(
            file=stream, width=width, height=height, force_terminal=True, color_system=None
        )

    def take(self, now, record):
        self.now = now
        self.screen.begin()
        self.board.put(record)

    def play(self, workers=2, until=lambda board: False):
        for now, _, record in played(self.board.spec, workers):
            self.take(now, record)
            if until(self.board):
                break
        return self

    @property
    def lines(self):
        with self.console.capture() as captured:
            self.console.print(self.screen)
        return captured.get().splitlines()

    def row(self, first):
        return next(line for line in self.lines if line.split()[:1] == [first])


def half_done(board):
    return board.share_done >= 0.5


def is_at_classifiers(board):
    return any(is_classifier_at_work(record) for record in board.running)


def is_classifier_at_work(record):
    study = record.key.study
    return study.stage == "classifier" and not study.cell_id.startswith("bow") and record.progress


def test_a_place_shows_a_mark_for_every_seed_and_the_mean_of_those_that_are_finished():
    picture = Picture(DEMO)
    assert picture.row("bow").split() == ["bow", "···"]
    picture.play(until=lambda board: board.num_finished >= 4)
    picture.play()
    bow = [r.outcome.value for r in picture.board.records if r.key.study.cell_id.startswith("bow")]
    finals = [
        r.outcome.value
        for r in picture.board.records
        if r.key.study.cell_id.startswith("bow") and r.key.study.stage == "final"
    ]
    assert len(bow) > len(finals) == 3
    assert picture.row("bow").split() == ["bow", "●●●", f"{100 * sum(finals) / 3:.1f}"]


def test_before_a_result_a_place_shows_what_held_out_labels_or_losses_say():
    def has_language_model(board):
        return any(r.key.study.cell_id.startswith("domain") and r.outcome for r in board.records)

    picture = Picture(DEMO).play(until=has_language_model)
    assert "L" in picture.row("domain")
    picture.play(until=lambda board: is_at_classifiers(board) and board.num_ended > 70)
    assert "~" in "".join(picture.lines[4:10])


def test_running_trials_show_learning_rate_epoch_and_value():
    picture = Picture(DEMO).play(until=is_at_classifiers)
    record = next(r for r in picture.board.running if is_classifier_at_work(r))
    row = next(line for line in picture.lines if line.startswith(picture.board.name(record)))
    assert f" {record.progress[-1].epoch}/{record.progress[-1].num_epochs} " in row
    assert f"{record.params['learning_rate']:.3g}" in row
    assert f"{100 * record.progress[-1].value:.1f} %" in row


def test_the_last_lines_say_how_far_it_is_what_is_left_and_what_was_spent():
    picture = Picture(DEMO).play(until=half_done)
    board = picture.board
    assert 0 < board.num_finished < 28
    board.spent = Spent(accelerator_seconds=7200.0, wasted_seconds=60.0)
    share, time, money = picture.lines[-3:]
    assert " 50 %" in share
    assert f"{board.num_ended} of {board.num_wanted} trials, {board.num_finished} of 28" in share
    assert " so far, " in time
    assert " left (" in time
    assert ", ends " in time
    assert money == "CPU time 2 h 00 min, 60 s of it wasted, cost of trials 1.00"


def test_a_sweep_that_is_over_foretells_nothing():
    picture = Picture(DEMO).play()
    assert "100 %" in picture.lines[-3]
    assert picture.lines[-2].endswith(" so far")


@pytest.mark.parametrize("size", [NARROW, WIDE])
@pytest.mark.parametrize("spec", [DEMO, IMDB], ids=["demo", "imdb"])
def test_it_fits_the_terminal_and_everything_keeps_its_place_from_the_first_trial_to_the_last(
    spec, size
):
    picture, places = Picture(spec, size), set()
    width, height = size
    for step, (now, _, record) in enumerate(itertools.islice(played(spec, 3), 1500)):
        picture.take(now, record)
        if step >= 2 and step % (1 if step < 10 else 197) == 0:
            lines = picture.lines
            assert len(lines) < height
            assert max(map(len, lines)) <= width
            words = [line.split()[:1] for line in lines]
            (bar,) = [i for i, line in enumerate(lines) if " trials, " in line]
            places.add((words.index(["bow"]), words.index(["ulm+domain"]), bar, lines[3]))
    assert len(places) == 1


def test_scores_stand_below_their_marks_where_the_terminal_is_narrow():
    finished = Picture(IMDB, NARROW).play(8)
    row = finished.row("domain")
    below = finished.lines[finished.lines.index(row) + 1]
    assert row.count("●●●●●") == 8
    assert len(below.split()) == 8
    assert max(map(len, finished.lines)) <= 80


def test_a_terminal_that_is_narrower_still_gets_the_sizes_in_blocks():
    lines = Picture(IMDB, (44, 50)).lines
    assert sum(line.startswith("regime") for line in lines) == 2
    assert all(any(f"{size:,}" in line for line in lines) for size in IMDB.sizes)


def test_many_seeds_are_counted():
    picture = Picture(load_spec("demo", {"seeds": "12"}))
    assert picture.row("bow").split() == ["bow", "·0/12"]
    picture.play(4)
    assert picture.row("bow").split()[1] == "●12/12"


def test_trials_that_do_not_fit_are_counted():
    picture = Picture(IMDB, NARROW).play(64, until=lambda board: len(board.running) == 64)
    shown = [line for line in picture.lines if "starting" in line]
    assert any(line.strip() == f"and {64 - len(shown)} more" for line in picture.lines)
    assert "running, 64 at once" in "".join(picture.lines)


def test_a_terminal_that_knows_ascii_only_gets_letters():
    picture = Picture(DEMO, encoding="ascii")
    assert picture.row("bow").split() == ["bow", "..."]
    picture.play(until=half_done)
    assert "●" not in "".join(picture.lines[:10])
    assert picture.row("bow").split()[:2] == ["bow", "###"]


def test_a_failed_cell_and_a_trial_that_waits_for_a_node_say_so():
    picture = Picture(DEMO)
    events = (record for _, _, record in played(DEMO))
    general = next(events)
    picture.board.put(replace(general, waiting_since=BEGIN))
    assert any("waits for a node" in line for line in picture.lines)
    picture.board.put(replace(general, state=TrialState.FAILED, failure="loss is NaN"))
    assert picture.row("general").split() == ["general", "✕"]
    assert picture.row("ulm").split() == ["ulm", "✕✕✕"]


def test_a_note_takes_the_place_of_the_last_lines():
    picture = Picture(DEMO).play(until=half_done)
    height = len(picture.lines)
    picture.screen.note = "preparing tokens: 1 of 2"
    assert len(picture.lines) == height
    assert picture.lines[-2] == "preparing tokens: 1 of 2"
