"""Two machines, one bucket: one of them drives the sweep."""

import json
import time

import pytest

from sweeps.errors import StorageError
from sweeps.paths import SweepPaths
from sweeps.run import presence as presence_module
from sweeps.run.backup import Backup
from sweeps.run.driver import Standing
from sweeps.run.presence import Presence
from sweeps.storage import read_bytes

NEVER = 3600.0
SOON = 0.05


@pytest.fixture
def paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return SweepPaths(storage=f"file://{tmp_path}/bucket", name="tiny")


@pytest.fixture
def file(tmp_path):
    return tmp_path / "bucket" / "tiny" / "driver.json"


def of_another(count, host="elsewhere"):
    return json.dumps({"process": 7, "host": host, "id": "theirs", "count": count})


def wait_for(condition):
    give_up_at = time.monotonic() + 30.0
    while not condition():
        assert time.monotonic() < give_up_at
        time.sleep(SOON / 5)


def test_a_driver_shows_that_it_lives_and_leaves_nothing_nobody_waited(paths, file):
    told = []
    with Presence(paths, told.append, Standing(), interval_seconds=SOON) as presence:
        first = json.loads(file.read_text())["count"]
        wait_for(lambda: json.loads(file.read_text())["count"] > first + 1)
        assert presence.look()
    assert not file.exists()
    assert told == []


def test_a_second_driver_waits_for_two_intervals_and_is_refused_while_the_first_lives(paths, file):
    told = []
    first = Presence(paths, told.append, Standing(), interval_seconds=SOON)
    second = Presence(paths, told.append, Standing(), interval_seconds=4 * SOON)
    with first, pytest.raises(StorageError, match="one driver at a time, found process"), second:
        pass
    (line,) = told
    assert line.endswith("seconds to see whether it still is")
    assert not file.exists(), "the first one's, when it ended"


def test_what_a_crash_left_is_waited_for_once_and_taken_over(paths, file):
    told = []
    file.parent.mkdir(parents=True)
    file.write_text(of_another(3))
    with Presence(paths, told.append, Standing(), interval_seconds=SOON):
        assert json.loads(file.read_text())["id"] != "theirs"
    (line,) = told
    assert line.startswith("process 7 on elsewhere was at work on file://")


def test_a_driver_that_ends_while_it_is_waited_for_is_no_hindrance(paths, file, monkeypatch):
    file.parent.mkdir(parents=True)
    file.write_text(of_another(3))
    with Presence(paths, lambda line: file.unlink(), Standing(), interval_seconds=SOON):
        assert file.exists()


def test_a_driver_that_ends_while_its_file_is_read_is_no_hindrance(paths, file, monkeypatch):
    file.parent.mkdir(parents=True)
    file.write_text(of_another(3))

    def read_too_late(place):
        file.unlink(missing_ok=True)
        return read_bytes(place)

    monkeypatch.setattr(presence_module, "read_bytes", read_too_late)
    with Presence(paths, print, Standing(), interval_seconds=NEVER):
        assert file.exists()


def test_a_driver_that_another_took_for_dead_stops_and_touches_nothing_of_it(paths, file, tmp_path):
    told, standing = [], Standing()
    paths.folder.mkdir(parents=True)
    paths.spec_json.write_text("ours")
    with Presence(paths, told.append, standing, interval_seconds=SOON) as presence:
        file.write_text(of_another(1))
        wait_for(lambda: standing.is_lost)
        with Backup(paths, told.append, presence.look, interval_seconds=NEVER):
            pass
    assert file.read_text() == of_another(1)
    assert not file.with_name("spec.json").exists()
    assert told == []
    with pytest.raises(StorageError, match="found process 7 on elsewhere at work on file://"):
        standing.check()


def test_a_storage_that_fails_for_a_while_ends_nothing(paths, file):
    standing = Standing()
    with Presence(paths, print, standing, interval_seconds=SOON):
        file.unlink()
        file.parent.rmdir()
        file.parent.write_text("a file where the folder was")
        time.sleep(4 * SOON)
        file.parent.unlink()
        wait_for(file.exists)
    assert not standing.is_lost


def test_a_folder_as_storage_has_a_lock_instead(tmp_path):
    with Presence(SweepPaths(storage=str(tmp_path), name="tiny"), print, Standing()) as presence:
        assert presence.look()
    assert not list(tmp_path.iterdir())
