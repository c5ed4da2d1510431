"""What a person sees in a terminal, recorded with a terminal emulator over a pseudo-terminal."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from sweeps.paths import SweepPaths
from sweeps.search.studies import OptunaStudies
from sweeps.spec.cells import GENERAL, make_cells
from sweeps.spec.load import load_spec, spec_to_json
from sweeps.spec.meaning import meaning
from sweeps.spec.spaces import space_of
from tests.sweeps.live.emulator import Emulator
from tests.sweeps.live.played_sweep import played

ROOT = Path(__file__).parents[3]
SETTINGS = {"sizes": "[100, 400]", "search.classifier.trials": "2", "search.bow.trials": "2"}
PLAYER = """
import sys
from sweeps.live.progress import make_progress
from sweeps.spec.load import load_spec
from tests.sweeps.live.played_sweep import played

spec = load_spec("demo", {settings!r})
listener = make_progress(spec, sys.stdout)
hear = {{"started": listener.trial_started, "progress": listener.trial_progress,
        "ended": listener.trial_ended}}
for number, (_, what, record) in enumerate(played(spec)):
    hear[what](record)
    if number == 60:
        listener.message("a message")
        sys.stdin.readline()
listener.finished()
print("the next line")
"""


@pytest.fixture
def emulated(tmp_path):
    """Starts a command in a terminal: `emulated(command, size)`."""
    begun = []

    def emulate(command, size):
        environment = {**os.environ, "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
        begun.append(Emulator([sys.executable, *command], size, environment))
        return begun[-1]

    yield emulate
    for emulator in begun:
        emulator.close()


class LivingLedger:
    """A sweep that another process runs: its events go into a ledger one after the other."""

    def __init__(self, folder):
        self.spec = load_spec("demo", {**SETTINGS, "storage": str(folder)})
        self.paths = SweepPaths.of(self.spec)
        self.paths.folder.mkdir()
        self.paths.spec_json.write_text(spec_to_json(self.spec), encoding="utf-8")
        self._cells = {cell.id: cell for cell in make_cells(self.spec)}
        self._studies = OptunaStudies(self.paths.ledger_url, self.spec.name)
        self._studies.open(meaning(self.spec))
        self._events = played(self.spec)

    @property
    def watch(self):
        return ["-m", "sweeps.cli", "status", str(self.paths.folder), "--watch"]

    def drive(self, process):
        driver = {"process": process, "host": socket.gethostname()}
        self.paths.driver_json.write_text(json.dumps(driver))

    def go_on(self, until=lambda what, record: False):
        for now, what, record in self._events:
            if what == "started":
                cell = self._cells[record.key.study.cell_id]
                self._studies.begin(record, space_of(self.spec, cell, record.key.study.stage))
            elif what == "progress":
                self._studies.report(record.key, record.progress[-1], now)
            else:
                self._studies.end(record)
            if until(what, record):
                return


def general_model_has_an_epoch(what, record):
    return what == "progress" and record.key.study.cell_id.startswith(GENERAL)


@pytest.mark.parametrize("size", [(80, 24), (140, 40)], ids=["narrow", "wide"])
def test_a_run_keeps_one_screen_and_gives_the_terminal_back(emulated, size):
    terminal = emulated(["-c", PLAYER.format(settings=SETTINGS)], size)
    half = terminal.until(lambda lines: any("a message" in line for line in lines))
    half = terminal.until(lambda lines: any(" ends " in line for line in lines))
    assert sum(line.startswith("regime") for line in half) == 1
    assert not terminal.shows_cursor
    terminal.type("\n")
    lines = terminal.to_the_end()
    assert terminal.process.returncode == 0
    assert sum(line.startswith("regime") for line in lines) == 1
    assert lines[lines.index("the next line") - 3].startswith("━")
    assert "100 %" in lines[lines.index("the next line") - 3]
    (row,) = [line for line in lines if line.startswith("bow")]
    assert row.split()[1] == "●●"
    assert terminal.colour("●● ") == "green"
    assert terminal.shows_cursor


def test_a_watched_sweep_is_followed_until_it_is_over(emulated, tmp_path):
    ledger = LivingLedger(tmp_path)
    ledger.drive(os.getpid())
    ledger.go_on(until=general_model_has_an_epoch)
    terminal = emulated(ledger.watch, (100, 30))
    terminal.until(lambda lines: any(" 1/4 " in line or " 2/4 " in line for line in lines))
    ledger.go_on()
    lines = terminal.to_the_end()
    assert terminal.process.returncode == 0
    assert any("100 %" in line and "15 of 15 cells" in line for line in lines)
    assert sum(line.startswith("regime") for line in lines) == 1
    assert terminal.shows_cursor


def test_a_sweep_whose_driver_died_is_shown_as_such_and_ctrl_c_ends_the_watch(emulated, tmp_path):
    ledger = LivingLedger(tmp_path)
    ledger.go_on(until=general_model_has_an_epoch)
    terminal = emulated(ledger.watch, (100, 30))
    lines = terminal.until(lambda lines: any("no driver is at work" in line for line in lines))
    assert not any("1/4" in line for line in lines)
    terminal.process.send_signal(signal.SIGINT)
    terminal.to_the_end()
    assert terminal.process.returncode == 0
    assert terminal.shows_cursor


def test_where_there_is_no_terminal_a_watch_writes_a_line_when_something_has_changed(tmp_path):
    ledger = LivingLedger(tmp_path)
    ledger.drive(os.getpid())
    ledger.go_on(until=general_model_has_an_epoch)
    with subprocess.Popen(
        [sys.executable, *ledger.watch], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        first = process.stdout.readline()
        ledger.go_on()
        *_, last = process.stdout.read().splitlines()
    assert process.returncode == 0
    assert re.fullmatch(r"\d of 15 cells, \d+ %; .* left \(.*\)(; CPU time .*)?\n", first)
    assert last.startswith("15 of 15 cells, 100 %; CPU time ")
    assert "\x1b" not in first + last
