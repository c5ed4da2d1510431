"""What is left to read of a run whose terminal is gone."""

import re
from dataclasses import replace

import pytest

from sweeps.errors import StorageError
from sweeps.live.run_log import RunLog
from sweeps.paths import SweepPaths
from sweeps.search.listener import RunListener
from sweeps.search.records import StudyKey, TrialKey, TrialRecord, TrialState
from sweeps.spec.cells import Stage, make_cells
from sweeps.spec.load import load_spec
from sweeps.storage import read_bytes

SPEC = load_spec("demo")
CELL = next(cell for cell in make_cells(SPEC) if cell.regime == "domain")
STARTED = TrialRecord(
    key=TrialKey(study=StudyKey(cell_id=CELL.id, stage=Stage.CLASSIFIER), number=1, attempt=1),
    params={"learning_rate": 0.01},
)


class Heard(RunListener):
    def __init__(self):
        self.messages = []

    def message(self, text):
        self.messages.append(text)


def lines_of(text):
    stamp = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d{4} "
    return [re.sub(stamp, "", line) for line in text.splitlines()]


@pytest.fixture
def paths(tmp_path):
    return SweepPaths(storage=str(tmp_path), name=SPEC.name)


def log_of(paths, listener=None):
    return RunLog(paths, SPEC, listener or RunListener(), clock=lambda: 1e9)


def run_until_it_is_full(paths, listener):
    with log_of(paths, listener) as log:
        log.preparing("tokens", 5, 10)
        log.preparing("tokens", 10, 10)
        paths.folder.mkdir()
        log.trial_started(STARTED)
        log.trial_ended(replace(STARTED, state=TrialState.FAILED, failure="diverged"))
        log.message("postgresql://me:secret@host is away")
        raise StorageError("the bucket is full")


def test_a_log_has_what_runs_told_and_why_each_ended(paths):
    heard = Heard()
    with pytest.raises(StorageError):
        run_until_it_is_full(paths, heard)
    with log_of(paths):
        pass
    assert lines_of(paths.run_log.read_text()) == [
        "run begins",
        "prepared tokens: 10",
        f"{CELL.label}, classifier 1 (attempt 2): started, learning_rate 0.01",
        f"{CELL.label}, classifier 1 (attempt 2): failed: diverged",
        "postgresql://***@host is away",
        "run ends: the bucket is full",
        "run begins",
        "run ends",
    ]
    assert heard.messages == ["postgresql://me:secret@host is away"]


def test_an_error_that_is_ours_says_where_it_came_from(paths):
    paths.folder.mkdir()
    with pytest.raises(ZeroDivisionError), log_of(paths):
        _ = 1 / 0
    assert "test_run_log.py" in paths.run_log.read_text()
    assert lines_of(paths.run_log.read_text())[-1] == "ZeroDivisionError: division by zero"


def test_a_mistake_before_there_is_a_folder_leaves_none(paths):
    with pytest.raises(StorageError), log_of(paths):
        raise StorageError("no such corpus")
    assert not paths.folder.exists()


def test_a_log_that_can_not_be_written_ends_nothing_and_keeps_its_lines(paths):
    paths.folder.mkdir()
    paths.run_log.symlink_to("/dev/full")  # takes what is written, and fails when it is closed
    with log_of(paths) as log:
        log.message("on")
        paths.run_log.unlink()
    assert lines_of(paths.run_log.read_text()) == ["run begins", "on", "run ends"]


def test_a_driver_whose_place_was_taken_leaves_the_log_of_the_other(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bucket").mkdir()
    paths = SweepPaths(storage=f"file://{tmp_path}/bucket", name=SPEC.name)
    with RunLog(paths, SPEC, RunListener(), is_alone=lambda: False) as log:
        log.has_copy = True
    with log_of(paths):
        pass  # it never had the other's lines
    assert list((tmp_path / "bucket").iterdir()) == []


@pytest.mark.parametrize("has_folder", [True, False])
def test_the_log_of_a_sweep_in_a_bucket_goes_there(tmp_path, monkeypatch, has_folder):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bucket").mkdir()
    paths = SweepPaths(storage=f"file://{tmp_path}/bucket", name=SPEC.name)
    if has_folder:
        paths.folder.mkdir(parents=True)
    log = log_of(paths)
    log.has_copy = True
    with pytest.raises(StorageError), log:
        raise StorageError("no such corpus")
    told = read_bytes(paths.shared(paths.run_log)).decode()
    assert lines_of(told) == ["run begins", "run ends: no such corpus"]


@pytest.mark.parametrize(
    "error", [BrokenPipeError("Broken pipe"), UnicodeEncodeError("latin-1", "–", 0, 1, "no such")]
)
def test_a_terminal_that_is_gone_ends_no_run(paths, error):
    class Gone(RunListener):
        told = 0

        def trial_started(self, record):
            self.told += 1
            raise error

    paths.folder.mkdir()
    gone = Gone()
    with log_of(paths, gone) as log:
        log.trial_started(STARTED)
        log.trial_started(STARTED)
        log.finished()
    assert gone.told == 1
    lines = lines_of(paths.run_log.read_text())
    assert f"progress is no longer shown: {error}" in lines
    assert len([line for line in lines if "started" in line]) == 2


def test_a_name_that_is_no_utf_8_is_written_too(paths):
    paths.folder.mkdir()
    with pytest.raises(StorageError), log_of(paths):
        raise StorageError("caf\udce9.txt is not UTF-8")
    assert r"caf\udce9.txt is not UTF-8" in paths.run_log.read_text()
