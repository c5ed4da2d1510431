import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
import wave
from pathlib import Path

import psutil
import pytest

from sweeps.errors import ClusterError
from sweeps.run import own_ray
from sweeps.run.own_ray import OwnRay

PATIENCE_SECONDS = 120.0
HELD = """
import os, psutil, signal, sys
from sweeps.run.own_ray import OwnRay
def has_workers(process):
    parts = psutil.Process(process.pid).children(recursive=True)
    return any(word.endswith("default_worker.py") for part in parts for word in part.cmdline())
with OwnRay() as own:
    if sys.argv[1] == "stuck":
        os.kill(own._process.pid, signal.SIGSTOP)
    while sys.argv[1] == "with workers" and not has_workers(own._process):
        pass
    print(own.address() if sys.argv[1] == "up" else "starting", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def environment(tmp_path):
    with tempfile.TemporaryDirectory(prefix="r", dir="/tmp", ignore_cleanup_errors=True) as folder:
        clean = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
        yield {**clean, "HOME": str(tmp_path), "RAY_TMPDIR": folder, "RAY_ADDRESS": ""}


@pytest.fixture
def driver(environment):
    """Starts a process that holds a Ray, and ends what is left of it."""
    started = []

    def start(state):
        command = [sys.executable, "-c", HELD, state]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        started.append(subprocess.Popen(command, env=environment, **pipes))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        with process:  # closes its pipes
            pass


def processes_of(environment):
    """All that has the environment, which only what was started with it has."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("RAY_TMPDIR") == environment["RAY_TMPDIR"]:
                found.append(process)
        except psutil.Error:
            continue
    return found


def seconds_until_gone(environment):
    begin = time.monotonic()
    while processes_of(environment):
        assert time.monotonic() < begin + PATIENCE_SECONDS, processes_of(environment)
        time.sleep(0.1)
    return time.monotonic() - begin


@pytest.mark.ray
def test_it_is_on_loopback_and_ends_in_order(driver, environment):
    process = driver("up")
    assert process.stdout.readline().startswith("127.0.0.1:")
    assert len(processes_of(environment)) > 3
    process.stdin.close()
    assert process.wait(PATIENCE_SECONDS) == 0
    assert not processes_of(environment)


@pytest.mark.ray
def test_a_part_of_it_that_ends_is_told(environment):
    program = """
import psutil, time
from sweeps.errors import ClusterError
from sweeps.run.own_ray import OwnRay
with OwnRay() as own:
    own.address()
    own.check()
    (raylet,) = [part for part in psutil.Process(own._process.pid).children(recursive=True)
                 if part.name() == "raylet"]
    raylet.kill()
    try:
        while True:
            own.check()
            time.sleep(0.1)
    except ClusterError as error:
        print(error)
"""
    assert "Ray ended on this machine, by no order of this run (its raylet" in printed_by(
        program, environment
    )


@pytest.mark.ray
def test_what_serves_clusters_is_left_out(driver, environment):
    driver("up").stdout.readline()
    commands = [" ".join(process.cmdline()) for process in processes_of(environment)]
    assert any("gcs_server" in command for command in commands)
    assert not [c for c in commands if re.search(r"dashboard\.py|monitor\.py", c)]


@pytest.mark.ray
@pytest.mark.parametrize("state", ["up", "starting", "with workers"])
def test_a_killed_driver_leaves_no_process_behind(driver, environment, state):
    process = driver(state)
    process.stdout.readline()
    process.kill()
    process.wait()
    assert seconds_until_gone(environment) < own_ray.END_SECONDS


@pytest.mark.ray
@pytest.mark.parametrize("state", ["starting", "stuck", "with workers"])
def test_one_that_is_not_needed_ends_while_it_starts(driver, environment, state):
    process = driver(state)
    process.stdout.readline()
    process.stdin.close()
    begin = time.monotonic()
    assert process.wait(PATIENCE_SECONDS) == 0
    assert time.monotonic() - begin < own_ray.END_SECONDS
    assert not processes_of(environment)


def printed_by(program, environment):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.ray
def test_a_program_that_has_loaded_ray_itself_may_run_a_sweep(environment):
    program = "import ray; from sweeps.run.cluster import open_ray\nwith open_ray() as r: print(1)"
    assert printed_by(program, environment) == "1\n"


@pytest.mark.ray
def test_what_comes_after_ray_hears_signals_as_before_it(environment):
    program = """if True:
        import signal
        from sweeps.run.cluster import open_ray
        signal.signal(signal.SIGTERM, lambda number, frame: print("heard"))
        with open_ray():
            pass
        signal.raise_signal(signal.SIGTERM)
    """
    assert printed_by(program, environment) == "heard\n"


@pytest.mark.ray
def test_ctrl_c_is_for_the_driver_alone(environment):
    command = [sys.executable, "-c", HELD, "up"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, env=environment, process_group=0, **pipes) as process:
        process.stdout.readline()
        os.killpg(process.pid, signal.SIGINT)  # what a terminal sends
        process.wait(PATIENCE_SECONDS)
    assert not processes_of(environment)


def said_by(monkeypatch, tmp_path, program):
    """What a Ray says whose process runs a program instead; the environment stays as it was."""
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\nexec {sys.executable} -c {shlex.quote(program)}\n", "utf-8")
    python.chmod(0o755)
    with monkeypatch.context() as within:
        within.setattr(own_ray, "PYTHON", (str(python),))
        within.setattr(os, "environ", dict(os.environ))
        with OwnRay() as own:
            return own.address()


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (f"print({json.dumps({'failure': 'X: timed out during startup'})!r})", r"\(X: timed out"),
        ("raise SystemExit(1)", r"\(its process ended\)"),
    ],
)
def test_one_that_does_not_come_up_is_one_message(monkeypatch, tmp_path, program, message):
    with pytest.raises(ClusterError, match=rf"did not {message}.*run again"):
        said_by(monkeypatch, tmp_path, program)


def test_a_folder_too_long_for_sockets_is_told_with_its_remedy(monkeypatch, tmp_path):
    failure = {"failure": "OSError: AF_UNIX path length cannot exceed 107 bytes"}
    with pytest.raises(ClusterError, match=r"must have a short folder .*set RAY_TMPDIR=/tmp"):
        said_by(monkeypatch, tmp_path, f"print({json.dumps(failure)!r})")


def refuse(path):
    raise PermissionError(13, "Permission denied")


TELL_TOKEN = "import json, os; print(json.dumps({'address': os.environ.get('RAY_AUTH_TOKEN')}))"


def test_a_token_that_home_can_not_keep_is_given_by_the_environment(monkeypatch, tmp_path):
    """As in a container with a user of its own, whose home is read-only."""
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert said_by(monkeypatch, tmp_path, TELL_TOKEN) == "None"
    monkeypatch.setenv("HOME", str(tmp_path / "not" / "yet"))
    assert said_by(monkeypatch, tmp_path, TELL_TOKEN) == "None", "Ray can make it"
    monkeypatch.setenv("HOME", str(tmp_path))
    with monkeypatch.context() as closed:
        closed.setattr(Path, "exists", refuse)
        assert len(said_by(monkeypatch, tmp_path, TELL_TOKEN)) == 64
    monkeypatch.setattr(os, "access", lambda place, mode: mode != os.W_OK)
    assert len(said_by(monkeypatch, tmp_path, TELL_TOKEN)) == 64
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").write_text("kept", encoding="utf-8")
    assert said_by(monkeypatch, tmp_path, TELL_TOKEN) == "None"


COUNT = """
from sweeps.run.own_ray import OwnRay
with OwnRay() as own:
    import ray
    ray.init(address=own.address(), log_to_driver=False, logging_level="ERROR")
    print(ray.cluster_resources()["CPU"])
    ray.shutdown()
"""


@pytest.mark.ray
@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system chooses processors")
def test_it_has_the_processors_that_this_process_may_use(environment):
    one = {min(os.sched_getaffinity(0))}
    done = subprocess.run(
        [sys.executable, "-c", COUNT],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        preexec_fn=lambda: os.sched_setaffinity(0, one),
    )
    assert done.stdout == "1.0\n"


def test_it_runs_the_code_of_its_driver_also_from_a_clone(monkeypatch, tmp_path):
    """Which `sweeps/sweep.py` puts on its own path alone."""
    tell = "import json, os; print(json.dumps({'address': os.environ['PYTHONPATH']}))"
    clone = str(Path(own_ray.__file__).parents[2])
    monkeypatch.delenv("PYTHONPATH", raising=False)
    assert said_by(monkeypatch, tmp_path, tell) == clone
    monkeypatch.setenv("PYTHONPATH", "other")
    assert said_by(monkeypatch, tmp_path, tell) == f"{clone}{os.pathsep}other"


@pytest.mark.ray
def test_what_lies_in_the_users_folder_is_not_taken_for_a_library(environment, tmp_path):
    (tmp_path / "random.py").write_text("print('mine')", encoding="utf-8")
    command = [sys.executable, "-P", "-c", HELD, "up"]
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "text": True}
    done = subprocess.run(command, env=environment, cwd=tmp_path, check=True, **pipes)
    assert re.fullmatch(r"[\d.]+:\d+\n", done.stdout)


IN_A_WORKER = """
from sweeps.run.cluster import open_ray, ray_ahead
with ray_ahead() as own, open_ray(own) as ray:
    def place():
        import wave
        return wave.__file__
    print(ray.get(ray.remote(place).remote()))
"""


@pytest.mark.ray
def test_nor_is_it_by_a_worker(environment, tmp_path):
    (tmp_path / "wave.py").write_text("", encoding="utf-8")
    command = [sys.executable, "-P", "-c", IN_A_WORKER]
    done = subprocess.run(
        command, env=environment, cwd=tmp_path, check=True, stdout=subprocess.PIPE, text=True
    )
    assert done.stdout.strip() == wave.__file__


TRIALS = """
import os, psutil, time
from sweeps.run.actors import tune_of_ours
from sweeps.run.cluster import open_ray, ray_ahead
with ray_ahead() as own, open_ray(own):
    from ray import tune
    time.sleep(3.0)  # idle for longer than Ray by itself keeps them
    of_ray = psutil.Process(own._process.pid).children(recursive=True)
    ahead = {part.pid for part in of_ray if "ray::IDLE" in " ".join(part.cmdline())}
    def train(_):
        time.sleep(1.0)  # as long as it takes to have all processors
        tune.report({"by": os.getpid()})
    settings = tune.TuneConfig(num_samples=2), tune.RunConfig(verbose=0)
    with tune_of_ours(is_alone=True):
        results = tune.Tuner(train, tune_config=settings[0], run_config=settings[1]).fit()
    print(ahead, {result.metrics["by"] for result in results} <= ahead)
"""


@pytest.mark.ray
def test_trials_get_the_workers_that_it_has_started(environment):
    told = printed_by(TRIALS, {**environment, "RAY_OVERRIDE_RESOURCES": '{"CPU": 2}'})
    assert told.endswith("True\n"), told
