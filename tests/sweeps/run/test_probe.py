import json
import os
import socket
import subprocess
import sys
from types import SimpleNamespace

import pytest

from sweeps.errors import StorageError
from sweeps.run import probe as probing
from sweeps.run import trial
from sweeps.run.health import Expected, NodeProbe, judge
from sweeps.run.trial import find_misfit
from sweeps.storage import put_bytes, read_bytes


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
    both = {**request, "tokens": ["imdb-1", "wiki-1"]}
    assert not probing.probe_fully(both)["holds_tokens"]
    probe = NodeProbe(node="here", was_seen=True, **facts)
    expected = Expected(versions=probing.find_versions(), storage=str(tmp_path), needs_token=False)
    assert "failed" not in {f.result for f in judge(probe, expected) if f.what != "disk"}


def test_free_space_is_of_the_disk_where_a_folder_will_be_made(tmp_path, monkeypatch):
    asked, usage = [], SimpleNamespace(total=9 * probing.GIB, free=3 * probing.GIB)
    monkeypatch.setattr(probing.shutil, "disk_usage", lambda at: asked.append(at) or usage)
    facts = probing.probe_fully({"ray_folder": str(tmp_path / "not" / "there")})
    assert facts["free_gib"]["Ray's"] == 3
    assert asked[-1] == tmp_path


def test_a_node_with_gpus_tells_whether_trials_that_share_one_take_turns(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_MPS_PIPE_DIRECTORY", str(tmp_path))
    request = {"ray_folder": str(tmp_path), "gpus": 1.0}
    assert probing.probe_fully(request)["runs_mps"] is False
    os.mkfifo(tmp_path / "control")
    assert probing.probe_fully(request)["runs_mps"] is True
    assert "runs_mps" not in probing.probe_fully({**request, "gpus": 0.0})


@pytest.mark.parametrize("has_compiler", [False, True])
@pytest.mark.parametrize("has_headers", [False, True])
def test_kernels_need_a_compiler_and_the_headers_of_python(
    tmp_path, monkeypatch, has_compiler, has_headers
):
    if has_headers:
        (tmp_path / "Python.h").touch()
    monkeypatch.setattr(probing.sysconfig, "get_path", lambda name: str(tmp_path))
    monkeypatch.setattr(probing.shutil, "which", lambda name: name if has_compiler else None)
    monkeypatch.setattr(probing, "_output", lambda *command: "")
    facts = probing.probe_fully({"ray_folder": str(tmp_path), "gpus": 1.0})
    assert facts["builds_kernels"] is (has_compiler and has_headers)


def test_torch_is_asked_by_the_python_of_the_node_and_not_by_the_drivers(tmp_path, monkeypatch):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho 3\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    assert probing.probe_fully({"ray_folder": str(tmp_path), "gpus": 1.0})["torch_gpus"] == 3


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


def test_a_trial_finds_out_that_its_node_differs_from_the_driver(tmp_path):
    here = probing.find_versions()
    assert find_misfit(here, str(tmp_path)) is None
    message = find_misfit({**here, "torch": "1.0"}, str(tmp_path))
    assert message.startswith(socket.gethostname())
    assert "and 1.0 on the driver: rerun cluster/setup_node.sh" in message


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_a_trial_finds_out_that_its_node_can_not_write_the_storage(tmp_path, monkeypatch, scheme):
    monkeypatch.setattr(trial, "PAUSES_SECONDS", (0.0,))
    (tmp_path / "file").write_text("", encoding="utf-8")
    message = find_misfit(probing.find_versions(), f"{scheme}{tmp_path}/file/encoders")
    assert message.startswith(socket.gethostname())
    assert f"{tmp_path}/file/encoders" in message


def test_storage_that_is_busy_for_a_while_is_asked_again(tmp_path, monkeypatch):
    answers = iter([StorageError("503 SlowDown"), StorageError("503 SlowDown"), None])

    def check(place):
        error = next(answers)
        if error is not None:
            raise error

    monkeypatch.setattr(trial, "PAUSES_SECONDS", (0.0,))
    monkeypatch.setattr(trial, "check_place", check)
    versions = probing.find_versions()
    assert "503 SlowDown" in find_misfit(versions, str(tmp_path / "a"))
    assert find_misfit(versions, str(tmp_path / "a")) is None, "a failure is not remembered"
    assert find_misfit(versions, str(tmp_path / "a")) is None, "a success is"
