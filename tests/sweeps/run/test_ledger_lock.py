import os
import signal
import subprocess
import sys
import time

import pytest

from sweeps.errors import StorageError
from sweeps.run.ledger_lock import ledger_lock

HOLD = """
import sys, time
from sweeps.run.ledger_lock import ledger_lock
with ledger_lock(*sys.argv[1:]):
    print("held", flush=True)
    time.sleep(600)
"""
FREE_SECONDS = 30


def try_to_lock(url, sweep="demo"):
    with ledger_lock(url, sweep):
        pass


def test_a_second_driver_on_the_server_is_refused_with_process_and_machine_of_the_first(postgres):
    url = postgres.database("lock")
    with ledger_lock(url, "demo"):
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


def test_a_server_that_does_not_answer_is_named(postgres):
    url = postgres.database("lock").replace(f":{postgres.port}/", ":1/")
    with pytest.raises(StorageError, match=r"check `ledger\.url`"):
        try_to_lock(url)


def test_a_file_outside_the_sweeps_folder_has_one_driver_for_each_sweep(tmp_path):
    url = f"sqlite:///{tmp_path}/ledger.db"
    with ledger_lock(url, "demo"):
        with pytest.raises(StorageError, match=r"one driver at a time, .*/ledger\.db: wait"):
            try_to_lock(url)
        try_to_lock(url, "another sweep")
        try_to_lock(None)
    try_to_lock(url)


def test_a_server_of_another_kind_is_not_asked_for_a_lock():
    try_to_lock("mysql://nowhere.invalid/ledger")
