"""The doctor from the command line: without a cluster, and on one whose second node is not fit."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sweeps import cli
from sweeps.paths import SweepPaths
from sweeps.search.studies import read_records
from sweeps.spec.load import load_recorded

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 240


@pytest.fixture
def nowhere(monkeypatch, tmp_path):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def closed_port():
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        yield reserved.getsockname()[1]


def test_the_doctor_without_a_cluster_says_where_to_run_it(nowhere):
    result = CliRunner().invoke(cli.app, ["check", "--cluster"])
    assert result.exit_code == 2
    assert "run it on the head" in result.stderr


@pytest.mark.parametrize("verb", [("check", "--cluster"), ("check", "--cluster", "demo")])
def test_a_dead_address_ends_the_doctor_as_one_message(nowhere, monkeypatch, closed_port, verb):
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{closed_port}")
    result = CliRunner().invoke(cli.app, list(verb))
    assert (result.exit_code, result.stdout) == (2, "")
    assert len(result.stderr.splitlines()) == 1


def test_check_without_a_spec_and_a_cluster_asks_for_one():
    result = CliRunner().invoke(cli.app, ["check"])
    assert (result.exit_code, "sweep check demo" in result.stderr) == (2, True)


@pytest.fixture
def environment(tmp_path):
    """A home with a token, and folders of its own for Ray; slow machines get time to start it."""
    folder = Path(tempfile.mkdtemp(prefix="d", dir="/tmp"))  # socket paths must stay short
    token = tmp_path / "home" / ".ray" / "auth_token"
    token.parent.mkdir(parents=True)
    token.write_text("0123456789abcdef" * 4, encoding="utf-8")
    token.chmod(0o600)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    yield {
        **kept,
        "HOME": str(tmp_path / "home"),
        "RAY_TMPDIR": str(folder),
        "RAY_AUTH_MODE": "token",
        "RAY_raylet_start_wait_time_s": "200",
        "RAY_agent_register_timeout_ms": "200000",
        "SWEEP_CACHE": str(tmp_path / "cache"),
        "OMP_NUM_THREADS": "1",
    }
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def two_nodes(environment, tmp_path):
    """Address of a head and a worker that has another Optuna and claims a GPU it has not."""
    other = tmp_path / "other" / "optuna-4.0.0.dist-info"
    other.mkdir(parents=True)
    text = "Metadata-Version: 2.1\nName: optuna\nVersion: 4.0.0\n"
    (other / "METADATA").write_text(text, encoding="utf-8")
    worker = {
        "node_name": "worker",
        "num_gpus": 1,
        "env_vars": {"PYTHONPATH": str(other.parent)},
    }
    script = [sys.executable, str(Path(__file__).with_name("nodes_of_one_machine.py"))]
    process = subprocess.Popen(
        [*script, json.dumps([worker])],
        env=environment,
        start_new_session=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    address = process.stdout.readline().strip()
    try:
        assert address, process.stderr.read()
        yield address
    finally:
        process.communicate(timeout=PATIENCE_SECONDS)


def sweep(environment, *words):
    script = ROOT / "sweeps" / "sweep.py"
    return subprocess.run(
        [sys.executable, str(script), *words],
        env=environment,
        cwd=environment["HOME"],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


SMALL = (
    "--set",
    "corpus={kind: synthetic, documents: 60}",
    "--set",
    "general={kind: synthetic-general, documents: 60}",
    "--set",
    "labels.train=20",
    "--set",
    "sizes=[20]",
)


@pytest.mark.ray
@pytest.mark.cluster
def test_the_doctor_and_a_run_name_the_node_that_is_not_fit(two_nodes, environment, tmp_path, step):
    joined = {**environment, "RAY_ADDRESS": two_nodes}
    storage = tmp_path / "shared" / "runs"
    with step("doctor: a worker with another version and no GPU"):
        done = sweep(joined, "check", "demo", "--cluster", "--storage", str(storage))
        assert done.returncode == 1, done.stderr
        failures = done.stderr.splitlines()
        assert [line.partition(" (")[0] for line in failures] == ["worker", "worker"]
        assert "optuna is 4.0.0 and" in failures[0]
        assert "rerun cluster/setup_node.sh" in failures[0]
        assert "hands out 1 GPUs and torch sees 0" in failures[1]
        assert "head (" in done.stdout
        assert not storage.parent.exists(), "nothing stays behind"
    with step("run: refused before a trial starts"):
        done = sweep(joined, "run", "demo", "--quiet", "--storage", str(storage), *SMALL)
        assert done.returncode == 2, done.stderr
        assert "every node must be fit for the sweep, 1 findings" in done.stderr
        assert "worker (" in done.stderr.splitlines()[-1]
        assert "Traceback" not in done.stderr
        spec = load_recorded(storage / "demo" / "spec.json")
        assert read_records(SweepPaths.of(spec), spec) == ()
    token = Path(environment["HOME"]) / ".ray" / "auth_token"
    with step("doctor: a refused token"):
        token.write_text("f" * 64, encoding="utf-8")
        asks_for_the_token(sweep(joined, "check", "--cluster"))
    with step("run: no token"):
        token.unlink()
        asks_for_the_token(sweep(joined, "run", "demo", "--quiet", *SMALL))


def asks_for_the_token(done):
    assert (done.returncode, done.stdout) == (2, "")
    assert "must hold the token of the cluster" in done.stderr
    assert len(done.stderr.splitlines()) == 1
