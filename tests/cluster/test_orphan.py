"""The watcher of orphans with a clock that a test turns, and a stop that is a list."""

import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

FILE = Path(__file__).parents[2] / "cluster" / "orphan.py"
MINUTE = 60.0


def load():
    spec = spec_from_file_location("orphan", FILE)
    module = module_from_spec(spec)
    sys.modules["orphan"] = module
    spec.loader.exec_module(module)
    return module


orphan = load()


class Machine:
    """Has a Ray node in some of its minutes; `now` is in seconds."""

    def __init__(self, has_node):
        self.now, self.stops, self._has_node = 0.0, [], has_node

    def has_node(self):
        assert self.now < 24 * 60 * MINUTE, "a machine without a node must stop"
        return self._has_node(self.now / MINUTE)

    def sleep(self, seconds):
        self.now += seconds

    def stop(self):
        self.stops.append(self.now / MINUTE)

    def run(self, patience=20):
        orphan.watch(
            self.has_node,
            self.stop,
            patience_seconds=patience * MINUTE,
            sleep=self.sleep,
            clock=lambda: self.now,
        )
        return self.stops


def test_a_machine_stops_once_when_its_ray_node_has_been_gone_for_the_given_minutes():
    (stop,) = Machine(lambda minute: minute < 100).run()
    assert stop == pytest.approx(120, abs=1)


def test_a_ray_that_is_restarted_in_time_starts_the_count_anew():
    (stop,) = Machine(lambda minute: not 10 <= minute < 29 and minute < 40).run()
    assert stop == pytest.approx(60, abs=1)


def test_a_machine_whose_ray_has_not_started_yet_is_given_the_same_time():
    assert Machine(lambda minute: False).run() == [20.0]
    (stop,) = Machine(lambda minute: 15 <= minute < 30).run()
    assert stop == pytest.approx(50, abs=1)


def test_other_minutes_can_be_given(monkeypatch):
    assert Machine(lambda minute: False).run(patience=45) == [45.0]
    watched = []
    monkeypatch.setattr(orphan, "watch", lambda *_, **options: watched.append(options))
    assert orphan.main(["--stop-after-minutes", "45"]) == 0
    assert watched == [{"patience_seconds": 45 * MINUTE}]


def test_without_minutes_it_watches_nothing():
    with pytest.raises(SystemExit, match="2"):
        orphan.main([])


def write_process(folder, number, command):
    (folder / str(number)).mkdir()
    (folder / str(number) / "cmdline").write_bytes(command)


def test_a_ray_node_is_known_by_its_program_and_not_by_a_word_somewhere(tmp_path):
    (tmp_path / "self").mkdir()
    (tmp_path / "7").mkdir()  # ended while it was looked at
    write_process(tmp_path, 8, b"")  # ended, not waited for
    write_process(tmp_path, 9, b"/usr/bin/tail\0-f\0/tmp/ray/logs/raylet\0")
    assert not orphan.has_ray_node(tmp_path)
    write_process(tmp_path, 10, b"/venv/ray/core/src/ray/raylet/raylet\0--node_id=1\0")
    assert orphan.has_ray_node(tmp_path)


def test_this_machine_can_be_looked_at():
    assert orphan.has_ray_node() in (True, False)


def test_the_stop_is_a_shutdown_that_asks_for_no_password_and_says_when_it_may_not(monkeypatch):
    asked = []

    def refuse(command, check):
        asked.append(command)
        raise subprocess.CalledProcessError(1, command)

    monkeypatch.setattr(orphan.subprocess, "run", refuse)
    with pytest.raises(subprocess.CalledProcessError, match="shutdown"):
        orphan.stop_machine()
    assert asked == [("sudo", "-n", "shutdown", "-h", "now")]
