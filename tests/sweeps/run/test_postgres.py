"""A sweep whose ledger and MLflow record are databases and servers with passwords."""

import base64
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest
import yaml

from sweeps.paths import SweepPaths
from sweeps.search.studies import read_records
from sweeps.spec.load import load_spec
from tests.sweeps.postgres import PASSWORD, QUOTED
from tests.sweeps.results_table import comparable, read_csv

PATIENCE_SECONDS = 400
AWAY_SECONDS = 4.0
SERVER = Path(__file__).parent / "guarded_mlflow.py"
TRACKER_PASSWORD = "paper-tiger-77"
SETTINGS = {
    "name": "tiny",
    "corpus": {"kind": "synthetic", "documents": 80},
    "general": {"kind": "synthetic-general", "documents": 60},
    "labels": {"train": 20},
    "test": {"documents": 40},
    "sizes": [60],
    "seeds": 1,
    "regimes": ["bow", "domain"],
    "model": {"embedding": 8, "hidden": 8, "layers": 2, "vocabulary": 300, "minimum_count": 1},
    "language_model": {"epochs": 2, "minimum_steps": 0, "batch": 4, "bptt": 20},
    "classifier": {"epochs": 2, "batch": 8, "bptt": 20},
    "search": {"language_model": {"trials": 1}, "classifier": {"trials": 2}, "bow": {"trials": 3}},
}


@pytest.fixture
def sweep(tmp_path):
    """Starts `sweep` on `mine.yaml` in a home of its own; ends what it started."""
    ray_folder = Path(tempfile.mkdtemp(prefix="r", dir="/tmp"))  # socket paths must stay short
    environment = {
        **os.environ,
        "HOME": str(tmp_path),
        "RAY_TMPDIR": str(ray_folder),
        "RAY_ADDRESS": "",
        "OMP_NUM_THREADS": "1",
    }
    processes = []

    def start(*arguments, **variables):
        process = subprocess.Popen(
            [sys.executable, "-m", "sweeps.cli", *map(str, arguments)],
            cwd=tmp_path,
            env=environment | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        processes.append(process)
        return process

    start.ray_folder = ray_folder
    yield start
    for process in processes:
        process.kill()
        process.communicate()
    shutil.rmtree(ray_folder, ignore_errors=True)


def write_spec(folder, **changes):
    (folder / "mine.yaml").write_text(yaml.safe_dump(SETTINGS | changes), encoding="utf-8")
    return load_spec(folder / "mine.yaml", {"storage": str(folder / "runs")})


def finish(process):
    out, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0, out
    return out


def counted(spec):
    return {r.key: r for r in read_records(SweepPaths.of(spec), spec) if r.state.counts}


def wait_for_trials(driver, spec, number):
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while len(counted(spec)) < number:
        assert driver.poll() is None, driver.stdout.read()
        assert time.monotonic() < give_up_at, "the driver made no progress"
        time.sleep(0.2)


def results(spec):
    return comparable(read_csv(SweepPaths.of(spec).results_csv))


def addresses_of(driver):
    """Where a driver and what it started listen."""
    addresses = set()
    for process in (driver, *driver.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):
            sockets = process.net_connections("inet")
            addresses |= {each.laddr.ip for each in sockets if each.status == psutil.CONN_LISTEN}
    return addresses


@pytest.mark.ray
def test_a_sweep_on_postgresql_outlasts_a_kill_and_a_restart_and_is_extended(
    postgres, sweep, tmp_path
):
    ledger, mlflow = postgres.database("ledger"), postgres.database("mlflow")
    spec = write_spec(tmp_path, ledger={"url": ledger}, tracking={"uri": mlflow})
    killed = sweep("run", "mine.yaml", "--quiet")
    wait_for_trials(killed, spec, 2)
    heard_at = addresses_of(psutil.Process(killed.pid))
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    before = counted(spec)
    assert heard_at, "a test of nothing"
    assert {address.removeprefix("::ffff:") for address in heard_at} == {"127.0.0.1"}

    spec = write_spec(tmp_path, ledger={"url": ledger}, tracking={"uri": mlflow}, seeds=2)
    goes_on = sweep("run", "mine.yaml")
    wait_for_trials(goes_on, spec, len(before) + 1)
    postgres.stop()
    time.sleep(AWAY_SECONDS)
    postgres.start()
    out = finish(goes_on)
    assert out.count("database does not answer") == out.count("database answers again") == 1
    after = counted(spec)
    assert before.items() <= after.items(), "nothing that had ended was trained again"
    assert {row.status for row in results(spec)} == {"finished"}
    assert not SweepPaths.of(spec).ledger_db.exists()
    assert not SweepPaths.of(spec).mlflow_db.exists()
    states = "select distinct status from runs"
    assert set(postgres.query("mlflow", states)) <= {"FINISHED", "KILLED"}

    plain = write_spec(tmp_path, name="plain", seeds=2)
    finish(sweep("run", "mine.yaml", "--quiet"))
    assert results(plain) == results(spec), "where the ledger lies changes no result"


def answers(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def guarded_mlflow(tmp_path):
    """URL of an MLflow server that asks for a password, and its folder."""
    folder = tmp_path / "server"
    folder.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, str(SERVER), str(folder), str(port)]
    environment = {**os.environ, "HOME": str(folder), "GUARD": f"tracker:{TRACKER_PASSWORD}"}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        give_up_at = time.monotonic() + PATIENCE_SECONDS
        while not answers(port):
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < give_up_at, "the MLflow server does not come up"
            time.sleep(0.2)
        yield f"http://tracker:{TRACKER_PASSWORD}@127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def places_of(secrets, *folders):
    """Files below folders that hold a secret."""
    files = [file for folder in folders for file in folder.rglob("*") if file.is_file()]
    assert len(files) > 20, "a test of nothing"
    return [file for file in files if any(secret in file.read_bytes() for secret in secrets)]


@pytest.mark.ray
def test_passwords_of_ledger_and_tracking_server_are_written_nowhere(
    postgres, guarded_mlflow, sweep, tmp_path
):
    ledger = postgres.database("secret")
    spec = write_spec(tmp_path, ledger={"url": ledger}, regimes=["bow"])
    tracking = f"tracking.uri={guarded_mlflow}"
    wrong = tracking.replace(TRACKER_PASSWORD, f"not-{TRACKER_PASSWORD}")
    refused, _ = sweep("run", "mine.yaml", "--set", wrong).communicate(timeout=PATIENCE_SECONDS)
    out = finish(sweep("run", "mine.yaml", "--set", tracking))
    folder = SweepPaths.of(spec).folder
    bare = {"PGPASSWORD": PASSWORD}  # what a record keeps no password of is opened with
    for verb in ("status", "report", "advise"):
        out += finish(sweep(verb, folder, **bare))
    unheard, _ = sweep("status", folder).communicate(timeout=PATIENCE_SECONDS)
    assert "PGPASSWORD" in unheard
    assert {row.status for row in results(spec)} == {"finished"}
    assert b"tiny" in (tmp_path / "server" / "mlflow.db").read_bytes(), "the server has a record"

    both = base64.b64encode(f"tracker:{TRACKER_PASSWORD}".encode()).decode()
    secrets = [text.encode() for text in (PASSWORD, QUOTED, TRACKER_PASSWORD, both)]
    (tmp_path / "mine.yaml").unlink()
    assert places_of(secrets, tmp_path, sweep.ray_folder) == []
    told = (refused + out + unheard).encode() + postgres.dump("secret")
    assert not any(secret in told for secret in secrets)
