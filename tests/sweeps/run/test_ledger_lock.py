import os
import signal
import subprocess
import sys
import time

import pytest
from sqlalchemy.exc import OperationalError

from sweeps.errors import StorageError
from sweeps.run import ledger_lock as ledger_lock_module
from sweeps.run.ledger_lock import ledger_lock

HOLD = """
import sys, time
from sweeps.run.ledger_lock import ledger_lock
with ledger_lock(*sys.argv[1:], ousted=print):
    print("held", flush=True)
    time.sleep(600)
"""
FREE_SECONDS = 30
LOCKS = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted"
END_HOLDERS = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'"


def no_other(error):
    raise AssertionError(f"no other driver was there: {error}")


def try_to_lock(url, sweep="demo"):
    with ledger_lock(url, sweep, no_other):
        pass


def wait_for(condition):
    give_up_at = time.monotonic() + FREE_SECONDS
    while not condition():
        assert time.monotonic() < give_up_at
        time.sleep(0.02)


def test_a_second_driver_on_the_server_is_refused_with_process_and_machine_of_the_first(postgres):
    url = postgres.database("lock")
    with ledger_lock(url, "demo", no_other):
        with pytest.raises(
            StorageError, match=f"found process {os.getpid()} on .*/lock: wait"
        ) as e:
            try_to_lock(url)
        assert "***" in str(e.value), "and without the password"
        try_to_lock(url, "another sweep")
        try_to_lock(postgres.database("lock2"))
    try_to_lock(url)


def test_a_driver_that_is_killed_frees_the_lock(postgres):
    url = postgres.database("lock")
    command = [sys.executable, "-c", HOLD, url, "demo"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(StorageError, match=f"found process {holder.pid} on "):
            try_to_lock(url)
        holder.send_signal(signal.SIGKILL)
    give_up_at = time.monotonic() + FREE_SECONDS
    while True:
        try:
            return try_to_lock(url)
        except StorageError:
            assert time.monotonic() < give_up_at, "the lock outlived its driver"
            time.sleep(0.05)


def test_a_lock_whose_connection_was_ended_is_taken_anew(postgres):
    url = postgres.database("lock")
    with ledger_lock(url, "demo", no_other, look_seconds=0.05):
        assert postgres.query("lock", END_HOLDERS) == ["t"]
        wait_for(lambda: postgres.query("lock", LOCKS) == ["1"])
        with pytest.raises(StorageError, match=f"found process {os.getpid()} on "):
            try_to_lock(url)
    try_to_lock(url)


def test_a_driver_that_lost_its_lock_to_another_is_told_whose_it_is(postgres, monkeypatch):
    url, heard = postgres.database("lock"), []
    with ledger_lock(url, "demo", heard.append, look_seconds=1.0):
        postgres.query("lock", END_HOLDERS)
        monkeypatch.setattr(ledger_lock_module, "this_driver", lambda: "process 1 on elsewhere")
        with ledger_lock(url, "demo", no_other):
            monkeypatch.undo()
            wait_for(lambda: heard)
    assert "found process 1 on elsewhere at work" in str(heard[0])


def test_a_connection_that_lives_and_did_not_get_the_lock_is_given_up(monkeypatch):
    class Connection:
        is_open = True

        def close(self):
            self.is_open = False

    made, asked = [Connection(), Connection(), Connection()], []

    def owner(connection, sweep):
        asked.append(connection)
        if connection is made[1]:
            raise OperationalError("SELECT", {}, Exception("out of shared memory"))

    connections = iter(made)
    monkeypatch.setattr(ledger_lock_module, "_connect", lambda url: next(connections))
    monkeypatch.setattr(ledger_lock_module, "_owner", owner)
    monkeypatch.setattr(ledger_lock_module, "_is_alive", lambda connection: connection.is_open)
    with ledger_lock("postgresql://host/db", "demo", no_other, look_seconds=0.01):
        made[0].close()
        wait_for(lambda: asked == made)
    assert not made[1].is_open


def test_a_server_that_ends_idle_connections_keeps_that_of_the_lock(postgres):
    url = f"{postgres.database('lock')}?options=-c%20idle_session_timeout%3D50"
    with ledger_lock(url, "demo", no_other):
        time.sleep(0.3)
        with pytest.raises(StorageError, match="one driver at a time"):
            try_to_lock(url)


def test_a_server_that_does_not_answer_is_named(postgres):
    url = postgres.database("lock").replace(f":{postgres.port}/", ":1/")
    with pytest.raises(StorageError, match=r"check `ledger\.url`"):
        try_to_lock(url)


def test_a_file_outside_the_sweeps_folder_has_one_driver_for_each_sweep(tmp_path):
    url = f"sqlite:///{tmp_path}/ledger.db"
    with ledger_lock(url, "demo", no_other):
        with pytest.raises(StorageError, match=r"one driver at a time, .*/ledger\.db: wait"):
            try_to_lock(url)
        try_to_lock(url, "another sweep")
        try_to_lock(None)
    try_to_lock(url)


def test_a_server_of_another_kind_is_not_asked_for_a_lock():
    try_to_lock("mysql://nowhere.invalid/ledger")
