import operator
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import torch
from tiny import context_of, fresh_store, tiny_spec

from sweeps.answer.results import make_rows
from sweeps.paths import SweepPaths
from sweeps.record.recorder import ListRecorder
from sweeps.run.launch import run_sweep
from sweeps.run.session import RunSession
from sweeps.run.stages import run_trial
from sweeps.search.control import Control, NoRequest
from sweeps.search.listener import RunListener
from sweeps.search.records import TrialState
from sweeps.search.studies import OptunaStudies, read_ledger, read_records
from sweeps.spec.cells import make_cells
from sweeps.spec.load import spec_to_json
from sweeps.spec.values import BudgetSpec, LanguageModelSpec
from tests.sweeps.results_table import comparable, read_csv
from ulm.regimes import Regime

DRIVE = Path(__file__).parent / "drive.py"
PATIENCE_SECONDS = 240


@pytest.fixture
def small(tmp_path):
    return tiny_spec(
        tmp_path / "runs",
        sizes=(60,),
        regimes=(Regime.BOW, Regime.DOMAIN, Regime.ULM_DOMAIN),
        language_model=LanguageModelSpec(epochs=4, minimum_steps=0, batch=4, bptt=20),
    )


@pytest.fixture
def drive(tmp_path):
    """Starts drivers; what they leave of Ray ends with the test."""
    ray_folder = Path(tempfile.mkdtemp(prefix="r", dir="/tmp"))  # socket paths must stay short
    environment = {
        **os.environ,
        "HOME": str(tmp_path),
        "RAY_TMPDIR": str(ray_folder),
        "OMP_NUM_THREADS": "1",
        "RAY_ADDRESS": "",
    }
    drivers = []

    def start(spec, *arguments):
        file = tmp_path / "spec.json"
        file.write_text(spec_to_json(spec), encoding="utf-8")
        drivers.append(
            subprocess.Popen(
                [sys.executable, str(DRIVE), str(file), *arguments],
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
        return drivers[-1]

    yield start
    for driver in drivers:
        driver.kill()
        driver.wait()
        driver.stdout.close()
        driver.stderr.close()
    shutil.rmtree(ray_folder, ignore_errors=True)


def counted(spec):
    return [r for r in read_records(SweepPaths.of(spec), spec) if r.state.counts]


def wait_for(condition, driver):
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert driver.poll() is None, driver.stderr.read()
        assert time.monotonic() < give_up_at, "the driver made no progress"
        time.sleep(0.1)


def finish(driver):
    out, err = driver.communicate(timeout=PATIENCE_SECONDS)
    assert driver.returncode == 0, err
    return out, err


def unbroken(spec, tmp_path):
    """The rows of the same sweep run in this process, one trial after another."""
    context = context_of(spec, tmp_path / "runs" / "tokens")
    cells = make_cells(spec)
    studies = OptunaStudies(f"sqlite:///{tmp_path / 'unbroken.db'}", spec.name)
    recorder = ListRecorder(spec=spec, cells=cells)
    control = Control(spec, cells, studies, lambda: recorder, RunListener())
    threads, store = torch.get_num_threads(), fresh_store(spec)
    torch.set_num_threads(spec.resources.cpus)
    while (request := control.next_request()) is not NoRequest.DONE:
        outcome = run_trial(
            request, context, store, lambda p, save, key=request.key: control.report(key, p)
        )
        control.finish(request.key, outcome)
    torch.set_num_threads(threads)
    rows = make_rows(control.ledger)
    control.close()
    return rows


def workers_of(driver):
    children = psutil.Process(driver.pid).children(recursive=True)
    return [child for child in children if "".join(child.cmdline()[:1]).startswith("ray::Impl")]


@pytest.mark.ray
def test_a_driver_killed_in_the_middle_goes_on_and_ends_with_the_table_of_an_unbroken_run(
    small, drive, tmp_path, monkeypatch
):
    terminated = drive(small)
    wait_for(lambda: len(counted(small)) >= 2, terminated)
    terminated.send_signal(signal.SIGTERM)
    assert terminated.wait(PATIENCE_SECONDS) == 130
    records = read_records(SweepPaths.of(small), small)
    assert TrialState.RUNNING not in {record.state for record in records}

    killed = drive(small)
    wait_for(lambda: len(counted(small)) >= len(records) + 2, killed)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    before = counted(small)

    out, err = finish(drive(small))
    after = {record.key: record for record in counted(small)}
    assert {record.key: record for record in before}.items() <= after.items()
    assert out == f"trained {len(after) - len(before)} of {len(after)}\n"
    said = [line for line in err.splitlines() if "not all is recorded yet" not in line]
    assert said == [], "but for a machine that is busy, as others' tests make it"
    rows = read_csv(SweepPaths.of(small).results_csv)
    assert {row.status for row in rows} == {"finished"}
    assert comparable(rows) == comparable(unbroken(small, tmp_path))

    log = SweepPaths.of(small).run_log.read_text()
    assert log.count("run begins") == 3
    assert re.findall(r" (run ends.*)", log) == ["run ends: interrupted", "run ends"]
    begin, drawn = time.time(), SweepPaths.of(small).report_html.stat().st_mtime_ns
    assert finish(drive(small))[0] == f"trained 0 of {len(after)}\n"
    assert all(record.ended_at < begin for record in counted(small))
    released = []
    run_sweep(small, RunListener(), SimpleNamespace(release=lambda: released.append("it")))
    assert released, "a Ray that was started ahead is not needed"
    assert SweepPaths.of(small).report_html.stat().st_mtime_ns == drawn, "nothing new to show"

    kept = []
    monkeypatch.setattr(RunSession, "keep_facts", lambda self, *facts: kept.append(facts))
    monkeypatch.setattr(Control, "is_over_budget", property(lambda self: bool(kept)))
    assert not run_sweep(small, RunListener()).is_over_budget, "what follows training is not it"
    assert kept


@pytest.mark.ray
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_trials_of_a_run_that_was_stopped_go_on_from_their_last_epoch(
    small, drive, tmp_path, number
):
    shape = LanguageModelSpec(epochs=40, minimum_steps=0, batch=4, bptt=20)
    small = replace(small, regimes=(Regime.DOMAIN,), language_model=shape)
    paths = SweepPaths.of(small)

    def has_begun():
        records = read_records(paths, small)
        return bool(records) and len(records[0].progress) >= 5

    stopped = drive(small)
    wait_for(has_begun, stopped)
    stopped.send_signal(number)
    stopped.wait(PATIENCE_SECONDS)
    before = read_ledger(paths, small).attempts[0]
    assert before.outcome is None, "too short to be stopped in its middle"
    assert "trained 0 of " in finish(drive(replace(small, budget=BudgetSpec(hours=1e-9))))[0]

    finish(drive(small))
    lost, again, *_ = read_ledger(paths, small).attempts
    assert (lost.key.attempt, again.key.attempt) == (0, 1)
    assert again.key.study == lost.key.study
    assert 0.0 < again.inherited_seconds <= lost.held_seconds(0.0) + 1.0
    assert [progress.epoch for progress in again.progress] == list(range(1, 41))
    told_again = sum(map(operator.eq, again.progress, before.progress))
    assert told_again >= 1, "an epoch of a state keeps its seconds; one trained again has others"
    rows = read_csv(paths.results_csv)
    assert comparable(rows) == comparable(unbroken(small, tmp_path))
    assert not paths.ray.exists()


@pytest.mark.ray
def test_a_trial_whose_worker_is_killed_goes_on_from_its_last_epoch(small, drive, tmp_path):
    driver = drive(small)
    wait_for(lambda: len(counted(small)) >= 3 and workers_of(driver), driver)
    for worker in workers_of(driver):
        worker.kill()
    finish(driver)
    rows = read_csv(SweepPaths.of(small).results_csv)
    assert comparable(rows) == comparable(unbroken(small, tmp_path))
    assert all(record.key.attempt == 0 for record in counted(small)), "Ray repeats, not the ledger"
    assert not SweepPaths.of(small).ray.exists()


@pytest.mark.ray
def test_a_worker_that_is_killed_between_two_trials_costs_neither(small, drive, tmp_path):
    out, _ = finish(drive(small, "4"))
    records = counted(small)
    assert f"trained {len(records)} of {len(records)}\n" in out
    assert all(record.failure is None for record in records)
    assert comparable(read_csv(SweepPaths.of(small).results_csv)) == comparable(
        unbroken(small, tmp_path)
    )
