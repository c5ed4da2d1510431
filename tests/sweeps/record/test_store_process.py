import io
import os
import pickle
import signal
import sqlite3
import subprocess

import pytest

from sweeps.record.record_place import RecordPlace
from sweeps.record.runs import Run, RunStatus
from sweeps.record.store_process import COMMAND, StoreError, StoreProcess, serve


def run_of(number, **changes):
    key = f"trial/{number}"
    return Run(key=key, kind="trial", name=key, status=RunStatus.FINISHED, **changes)


@pytest.fixture
def place(tmp_path):
    return RecordPlace(
        uri=f"sqlite:///{tmp_path / 'mlflow.db'}",
        experiment="tiny",
        is_own=True,
        artifacts=tmp_path / "artifacts",
    )


@pytest.fixture
def store(place):
    made = StoreProcess(place)
    yield made
    made.close()


def keys_in(place):
    from sweeps.record.mlflow_client import open_client

    client = open_client(place.uri)
    experiment = client.get_experiment_by_name("tiny")
    found = client.search_runs([experiment.experiment_id])
    return sorted(run.data.tags["ulm.key"] for run in found)


def test_a_process_that_was_killed_is_replaced_and_no_run_is_doubled(store, place, tmp_path):
    store.apply(run_of(0), None)
    os.kill(store._process.pid, signal.SIGKILL)
    with pytest.raises(StoreError, match="has ended"):
        store.apply(run_of(1), None)
    for number in range(2):
        store.apply(run_of(number), None)
    (tmp_path / "note.txt").write_text("a note")
    store.attach(run_of(0), tmp_path / "note.txt")
    with sqlite3.connect(tmp_path / "mlflow.db") as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    database.close()
    assert keys_in(place) == ["trial/0", "trial/1"]
    kept = (tmp_path / "artifacts").rglob("note.txt")
    assert [file.read_text() for file in kept] == ["a note"]


def test_the_error_of_a_call_comes_back_as_its_text_and_the_process_goes_on(store):
    for _ in range(2):
        with pytest.raises(StoreError, match="has no attribute 'nothing'"):
            store._call("nothing")


def test_what_a_server_holds_is_looked_up_anew_after_a_call_that_failed(monkeypatch):
    class Failing:
        def __init__(self, place):
            self.called = place

        def apply(self, run, parent):
            self.called.append(run)
            raise ConnectionError("refused")

        def close(self):
            self.called.append("close")

    called, calls, answers = [], io.BytesIO(), io.BytesIO()
    for message in (called, ("apply", (1, None)), ("apply", (2, None))):
        pickle.dump(message, calls)
    calls.seek(0)
    monkeypatch.setattr("sweeps.record.mlflow_store.MlflowStore", lambda _: Failing(called))
    serve(calls, answers)
    assert called == [1, "close", 2, "close"]


def test_what_lies_in_the_users_folder_is_not_taken_for_a_library(store, tmp_path, monkeypatch):
    (tmp_path / "random.py").write_text("raise SystemExit('mine')", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    store.close_strays(frozenset())


def test_a_store_that_is_closed_leaves_no_process(store):
    with pytest.raises(StoreError):
        store._call("nothing")
    process = store._process
    store.close()
    assert process.poll() is not None
    store.close()


def test_the_process_ends_when_its_driver_is_gone(place):
    process = subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    pickle.dump(place, process.stdin)
    process.stdin.close()
    assert process.wait(timeout=60) == 0
    assert process.stdout.read() == b""
    process.stdout.close()
