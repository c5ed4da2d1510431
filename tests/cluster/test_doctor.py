"""The doctor: made-up probes for every fault, and a live cluster whose second node is not fit."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sweeps import cli
from sweeps.errors import ClusterError, StorageError
from sweeps.finding import Finding
from sweeps.paths import SweepPaths
from sweeps.run import probe as probing
from sweeps.run.cluster import check_answers, check_joins, cluster_address, refusal
from sweeps.run.doctor import Diagnosis
from sweeps.run.health import Expected, NodeProbe, find_misfits, judge, skew_seconds
from sweeps.run.nodes import StorageTry, ask, label_of, try_storage
from sweeps.run.trial import find_misfit
from sweeps.search.studies import read_records
from sweeps.spec.load import load_recorded
from sweeps.storage import put_bytes, read_bytes
from sweeps.tables import diagnoses_table

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 240
VERSIONS = {"python": "3.11.7", "torch": "2.13.0", "ulm-sweeps": "0.1.0 (sources 0123456789)"}
EXPECTED = Expected(versions=VERSIONS, storage="s3://bucket/runs", tokens_gib=1.0)
FIT = NodeProbe(
    node="worker (10.0.0.2)",
    versions=VERSIONS,
    has_token=True,
    was_seen=True,
    gpus_advertised=1.0,
    gpus=("Tesla T4, 550.54",),
    torch_gpus=1,
    free_gib={"/cache": 80.0, "Ray's": 40.0},
    holds_tokens=True,
    memory_gib=15.5,
    open_files=65536,
    skew_seconds=0.0,
)


def found(what, **changes):
    findings = {f.what: f for f in judge(replace(FIT, **changes), EXPECTED)}
    return findings[what]


def test_nothing_is_wrong_with_a_node_that_is_fit():
    findings = judge(FIT, EXPECTED)
    assert {finding.result for finding in findings} == {"ok"}
    assert len(findings) == 10


@pytest.mark.parametrize(
    ("what", "changes", "message"),
    [
        (
            "versions",
            {"versions": {**VERSIONS, "torch": "2.11.0"}},
            "torch is 2.11.0 and 2.13.0 on the driver: rerun cluster/setup_node.sh",
        ),
        ("versions", {"versions": {**VERSIONS, "ulm-sweeps": None}}, "ulm-sweeps is missing and"),
        ("token", {"has_token": False}, "token authentication is off"),
        ("storage", {"read_error": "OSError: no such bucket"}, "can not read s3://bucket/runs"),
        ("storage", {"write_error": "OSError: ACCESS_DENIED"}, "rights to it"),
        ("storage", {"was_seen": False}, "does not reach the driver: mount the same folder"),
        ("gpu", {"torch_gpus": 0, "gpus": ()}, "hands out 1 GPUs and torch sees 0 (none known"),
        ("gpu", {"torch_gpus": 0}, "torch sees 0 (1 × Tesla T4, 550.54)"),
        ("disk", {"free_gib": {"/cache": 1.5, "Ray's": 40.0}}, "1.5 GiB free in /cache folder"),
        ("clock", {"skew_seconds": -31.0}, "31 s behind the driver's: run a time service"),
        ("answer", {"silence": "no answer in 90 s"}, "no answer in 90 s: look at it with"),
    ],
)
def test_a_fault_of_a_node_fails_with_its_remedy(what, changes, message):
    finding = found(what, **changes)
    assert finding.result == "failed"
    assert message in finding.detail
    assert ": " in finding.detail, "what is wrong: remedy"


@pytest.mark.parametrize(
    ("what", "changes"),
    [
        ("disk", {"free_gib": {"/cache": 9.0}}),
        ("clock", {"skew_seconds": 2.5}),
        ("files", {"open_files": 1024}),
    ],
)
def test_what_is_doubtful_is_a_note(what, changes):
    assert found(what, **changes).result == "note"


def test_a_disk_must_hold_the_tokens_that_are_not_there_yet():
    large = replace(EXPECTED, tokens_gib=20.0)
    cold = replace(FIT, holds_tokens=False, free_gib={"/cache": 15.0})
    results = {f.what: f for f in judge(cold, large)}
    assert results["disk"].result == "failed"
    assert "at least 20.0 GiB are needed" in results["disk"].detail
    assert results["cache"].detail.startswith("cold")
    assert {f.what: f.result for f in judge(replace(cold, holds_tokens=True), large)}[
        "disk"
    ] == "ok"


def test_a_cluster_on_one_machine_may_go_without_a_token():
    off = replace(FIT, has_token=False)
    results = {f.what: f for f in judge(off, replace(EXPECTED, needs_token=False))}
    assert results["token"].result == "note"


def test_a_folder_that_is_not_shared_has_the_remedy_for_folders():
    unshared = replace(FIT, read_error="FileNotFoundError: /runs/x", was_seen=False)
    results = {f.what: f for f in judge(unshared, replace(EXPECTED, storage="/runs"))}
    assert "it can not read /runs (FileNotFoundError: /runs/x): mount" in results["storage"].detail


def test_what_was_not_asked_is_not_judged():
    quick = NodeProbe(node="worker", versions=VERSIONS, has_token=True)
    found = judge(quick, Expected(versions=VERSIONS))
    assert [f.what for f in found] == ["answer", "versions", "token"]


@pytest.mark.parametrize(
    ("there", "skew"),
    [(100.2, 0.0), (100.6, 0.1), (99.9, -0.1), (140.0, 39.5), (60.0, -40.0)],
)
def test_a_clock_is_only_as_wrong_as_the_way_there_and_back_can_not_explain(there, skew):
    assert skew_seconds(100.0, there, 100.5) == pytest.approx(skew)


def test_misfits_name_both_versions():
    assert find_misfits({"ray": "2.59.0"}, {"ray": "2.60.0"}) == (
        "ray is 2.59.0 and 2.60.0 on the driver",
    )
    assert find_misfits(VERSIONS, VERSIONS) == ()


def test_failures_and_notes_name_their_node():
    findings = judge(replace(FIT, has_token=False, open_files=100), EXPECTED)
    diagnosis = Diagnosis(node=FIT.node, findings=findings)
    assert [line.partition(": ")[0] for line in diagnosis.failures] == ["worker (10.0.0.2)"]
    assert diagnosis.notes == (
        "worker (10.0.0.2): 100 open files a process; `ulimit -n 65536` before `ray start`",
    )


def test_the_table_has_a_row_per_node_and_a_column_per_check():
    driver = Diagnosis(
        node="driver", findings=(Finding(what="tracking", result="failed", detail="long"),)
    )
    table = diagnoses_table((driver, Diagnosis(node=FIT.node, findings=judge(FIT, EXPECTED))))
    assert table.row_count == 2
    assert [str(column.header) for column in table.columns][:4] == [
        "node",
        "tracking",
        "answer",
        "versions",
    ]
    assert [str(cell) for cell in table.columns[1].cells] == ["failed", ""]


# what a machine says of itself


def test_a_machine_knows_its_versions_and_the_digest_of_its_sources():
    versions = probing.find_versions()
    assert set(versions) == {"python", *probing.LIBRARIES, "ulm-sweeps"}
    assert "(sources " in versions["ulm-sweeps"]
    assert versions == probing.find_versions()


def test_the_build_of_a_library_may_differ(monkeypatch):
    monkeypatch.setattr(probing, "version", lambda library: "2.13.0+cu128")
    assert probing.find_versions()["torch"] == "2.13.0"


@pytest.mark.ray
def test_a_probe_answers_where_the_package_is_missing(tmp_path):
    from ray import cloudpickle

    cloudpickle.register_pickle_by_value(probing)
    try:
        (tmp_path / "probe.pickle").write_bytes(cloudpickle.dumps(probing.probe_quickly))
    finally:
        cloudpickle.unregister_pickle_by_value(probing)
    code = (
        "import json, pickle, sys; sys.modules['sweeps'] = sys.modules['ulm'] = None; import ray; "
        "probe = pickle.load(open('probe.pickle', 'rb')); "
        "print(json.dumps(probe({'word': 'w', 'driver_file': '/x', 'node_file': '/y'})))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    facts = json.loads(done.stdout)
    assert facts["versions"]["ulm-sweeps"] is None
    assert "ModuleNotFoundError" in facts["read_error"]


def test_other_sources_under_the_same_number_are_another_version(tmp_path, monkeypatch):
    for package in probing.PACKAGES:
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text("", encoding="utf-8")
    before = probing.find_versions()["ulm-sweeps"]
    monkeypatch.setattr(probing, "_folder", lambda package: str(tmp_path / package))
    old = probing.find_versions()["ulm-sweeps"]
    (tmp_path / "ulm" / "new.py").write_text("x = 1\n", encoding="utf-8")
    assert len({before, old, probing.find_versions()["ulm-sweeps"]}) == 3
    monkeypatch.setattr(probing, "_folder", lambda package: None)
    assert probing.find_versions()["ulm-sweeps"] is None


def test_a_full_probe_of_this_machine_can_be_judged(tmp_path, monkeypatch):
    monkeypatch.setenv("SWEEP_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    put_bytes(b"word", str(tmp_path / "driver"))
    request = {
        "driver_file": str(tmp_path / "driver"),
        "node_file": str(tmp_path / "node"),
        "word": "word",
        "ray_folder": str(tmp_path),
        "tokens": ["imdb-1"],
    }
    facts = probing.probe_fully(request)
    assert facts["read_error"] is None
    assert read_bytes(str(tmp_path / "node")) == b"word"
    assert (facts["holds_tokens"], facts["has_token"]) == (False, False)
    assert json.loads(json.dumps(facts)) == facts, "plain values cross to another version"
    (tmp_path / "cache" / "imdb-1-0123").mkdir(parents=True)
    assert probing.probe_fully(request)["holds_tokens"]
    probe = NodeProbe(node="here", was_seen=True, **facts)
    expected = Expected(versions=probing.find_versions(), storage=str(tmp_path), needs_token=False)
    assert "failed" not in {f.result for f in judge(probe, expected) if f.what != "disk"}


def test_storage_that_can_not_be_read_or_written_is_told_in_words(tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    request = {
        "driver_file": str(tmp_path / "nowhere"),
        "node_file": str(tmp_path / "file" / "node"),
        "word": "word",
    }
    facts = probing.probe_quickly(request)
    assert "nowhere" in facts["read_error"]
    assert "file" in facts["write_error"]


def test_trying_a_storage_leaves_nothing_behind(tmp_path):
    storage = tmp_path / "a" / "b"
    node = {"NodeID": "n1"}
    with try_storage(str(storage)) as tried:
        assert read_bytes(tried.driver_file) == tried.word.encode()
        assert not tried.saw(node)
        put_bytes(tried.word.encode(), tried.node_file(node))
        assert tried.saw(node)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_a_sweep_has_filled_meanwhile_stays(tmp_path):
    storage = tmp_path / "runs"
    with try_storage(str(storage)):
        (storage / "demo").mkdir()
    assert [path.name for path in storage.iterdir()] == ["demo"]


def test_a_driver_that_can_not_write_the_storage_says_so(tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    with (
        pytest.raises(StorageError, match="the driver can write"),
        try_storage(str(tmp_path / "file")),
    ):
        pass


def test_options_of_a_bucket_stay_at_the_end_of_what_is_tried():
    tried = StorageTry(folder="s3://b/x?scheme=http", word="w")
    assert tried.node_file({"NodeID": "n"}) == "s3://b/x/n?scheme=http"


def test_a_node_is_called_by_its_name_or_its_host():
    node = {"NodeManagerAddress": "10.0.0.2", "NodeManagerHostname": "ip-2", "NodeName": "10.0.0.2"}
    assert label_of(node) == "ip-2 (10.0.0.2)"
    assert label_of({**node, "NodeName": "worker"}) == "worker (10.0.0.2)"


# joining a cluster


@pytest.fixture
def nowhere(monkeypatch, tmp_path):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    return tmp_path


def test_the_address_is_the_environments_or_what_ray_start_kept(nowhere, monkeypatch):
    assert cluster_address() is None
    (nowhere / "ray").mkdir()
    (nowhere / "ray" / "ray_current_cluster").write_text("10.0.0.1:6379\n", encoding="utf-8")
    assert cluster_address() == "10.0.0.1:6379"
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.9:6379")
    assert cluster_address() == "10.0.0.9:6379"
    monkeypatch.setenv("RAY_ADDRESS", "local")
    assert cluster_address() is None


@pytest.fixture
def closed_port():
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        yield reserved.getsockname()[1]


def test_an_address_that_does_not_answer_names_where_it_is_from(nowhere, monkeypatch, closed_port):
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{closed_port}")
    with pytest.raises(ClusterError, match=r"named by RAY_ADDRESS, found .*refused.*ray up"):
        check_answers(f"127.0.0.1:{closed_port}")
    monkeypatch.delenv("RAY_ADDRESS")
    with pytest.raises(ClusterError, match=r"named by .*ray_current_cluster.*remove it"):
        check_answers(f"127.0.0.1:{closed_port}")


@pytest.mark.parametrize("address", ["ray://head:10001", "head", "http://head:8265", ":6379"])
def test_an_address_of_another_kind_is_refused(nowhere, address):
    with pytest.raises(ClusterError, match="must be host:port"):
        check_answers(address)


@pytest.mark.parametrize(
    ("printed", "message"),
    [
        (
            "W x Unauthenticated: RPC error: InvalidAuthToken: y\nConnectionError: z",
            "hold the token",
        ),
        ("ray.exceptions.AuthenticationError: no token was found", "hold the token"),
        (
            "RuntimeError: Version mismatch:\n Ray: 2.59.0\n Python: 3.12",
            "Ray: 2.59.0 Python: 3.12: re",
        ),
        ("RuntimeError: No node info found matching attributes", "ray submit"),
        ("W x\nConnectionError: Failed to connect\n", "(ConnectionError: Failed to connect): see"),
        ("", "no reason given"),
    ],
)
def test_what_ray_refuses_with_becomes_one_message_with_a_remedy(printed, message):
    assert message in str(refusal("10.0.0.1:6379", printed))


def test_a_port_that_never_says_anything_is_given_up(nowhere, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setenv("RAY_ADDRESS", address)
        check_answers(address)
        with pytest.raises(ClusterError, match=r"can not be joined .no answer in 3 s.*the port"):
            check_joins(address, timeout_seconds=3)


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


# asking nodes


class FakeErrors:
    class RayError(Exception):
        pass


class FakeRay:
    """Answers by reference; what is not among them never comes."""

    exceptions = FakeErrors

    def __init__(self, answers):
        self._answers = answers
        self.cancelled = []

    def wait(self, waiting, num_returns, timeout):
        ready = [each for each in waiting if each in self._answers][:num_returns]
        return ready, [each for each in waiting if each not in ready]

    def get(self, reference):
        answer = self._answers[reference]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def cancel(self, reference, force):
        self.cancelled.append(reference)


def test_a_node_that_hangs_or_breaks_is_an_answer_and_not_the_end():
    broken = FakeErrors.RayError("trace\n  ModuleNotFoundError: no module named x\n")
    ray = FakeRay({"a": {"versions": {}}, "b": broken})
    asked = {name: {"NodeID": name.upper()} for name in "abc"}
    assert ask(ray, asked, 0.2) == {
        "A": {"versions": {}},
        "B": "the probe failed there (ModuleNotFoundError: no module named x)",
        "C": "no answer in 0 s",
    }
    assert ray.cancelled == ["c"]


def test_a_trial_finds_out_that_its_node_differs_from_the_driver():
    here = probing.find_versions()
    assert find_misfit(here) is None
    message = find_misfit({**here, "torch": "1.0"})
    assert message.startswith(socket.gethostname())
    assert "and 1.0 on the driver: rerun cluster/setup_node.sh" in message


# a live cluster


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
    with step("doctor: a refused token"):
        token = Path(environment["HOME"]) / ".ray" / "auth_token"
        token.write_text("f" * 64, encoding="utf-8")
        done = sweep(joined, "check", "--cluster")
        assert (done.returncode, done.stdout) == (2, "")
        assert "must hold the token of the cluster" in done.stderr
        assert len(done.stderr.splitlines()) == 1
