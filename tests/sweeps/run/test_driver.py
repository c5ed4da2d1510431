import json
import os
import socket

import pytest

from sweeps.errors import StorageError
from sweeps.paths import SweepPaths
from sweeps.run.driver import driver_lock, has_driver


def test_a_second_driver_is_refused_with_process_and_machine_of_the_first(tmp_path):
    paths = SweepPaths(storage=str(tmp_path), name="tiny")
    with (
        driver_lock(paths),
        pytest.raises(StorageError, match=f"one driver at a time, found process {os.getpid()}"),
        driver_lock(paths),
    ):
        pass
    with driver_lock(paths):
        assert paths.driver_lock.is_file()


def test_a_process_of_the_same_number_that_began_later_is_no_driver(tmp_path):
    paths = SweepPaths(storage=str(tmp_path), name="tiny")
    assert not has_driver(paths)
    with driver_lock(paths):
        assert has_driver(paths)
        os.utime(paths.driver_json, (0, 0))
        assert not has_driver(paths)


def test_a_driver_is_at_work_where_its_process_lives_or_can_not_be_looked_at(tmp_path):
    paths = SweepPaths(storage=str(tmp_path), name="tiny")
    paths.folder.mkdir()
    ended = {"process": 2**31 - 1, "host": socket.gethostname()}
    for told, is_there in ((ended, False), ({**ended, "host": "elsewhere"}, True), ({}, False)):
        paths.driver_json.write_text(json.dumps(told))
        assert has_driver(paths) is is_there
    assert has_driver(SweepPaths(storage=f"file://{tmp_path}/bucket", name="tiny"))


def test_storage_that_can_not_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    paths = SweepPaths(storage=str(tmp_path / "file"), name="tiny")
    with pytest.raises(StorageError, match="storage must be writable"), driver_lock(paths):
        pass


def test_a_new_sweep_of_which_nothing_came_leaves_no_folder(tmp_path):
    paths = SweepPaths(storage=str(tmp_path), name="tiny")
    with driver_lock(paths):
        (paths.folder / "half").write_text("half written")
    assert not paths.folder.exists()


def test_the_folder_of_a_begun_sweep_and_what_was_there_before_stay(tmp_path):
    begun = SweepPaths(storage=str(tmp_path), name="begun")
    with driver_lock(begun):
        begun.spec_json.write_text("{}")
    assert begun.spec_json.is_file()
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "mine.txt").write_text("not of a sweep")
    with driver_lock(SweepPaths(storage=str(tmp_path), name="notes")):
        pass
    assert (tmp_path / "notes" / "mine.txt").is_file()
