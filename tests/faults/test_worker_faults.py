"""What happens to workers: they are killed, they hang, their node goes, their checkpoint rots."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
from faulty import PATIENCE_SECONDS, Row, cut, flip

from sweeps.paths import SweepPaths
from sweeps.search.records import TrialState
from sweeps.spec.searches import NeuralSearch, Range
from sweeps.spec.values import BudgetSpec

pytestmark = [pytest.mark.ray, pytest.mark.faults, pytest.mark.slow]

NODES = Path(__file__).parents[1] / "cluster" / "nodes_of_one_machine.py"
HANG_SECONDS = 30.0
SPARE_BYTES = 3 * 2**30
NUM_BEFORE = 2  # trials that have finished before anything happens


def caught_in_the_middle(sweep, driver, *, where=lambda worker: True):
    """Workers stopped while a trial has reported epochs and has not ended; one of them there."""
    frozen = []

    def caught():
        if sweep.num_finished < NUM_BEFORE or sweep.num_running_epochs == 0:
            return False
        frozen[:] = sweep.workers()
        for worker in frozen:
            with suppress(psutil.Error):
                worker.suspend()
        if any(where(worker) for worker in frozen) and sweep.num_running_epochs > 0:
            return True
        for worker in frozen:
            with suppress(psutil.Error):
                worker.resume()
        return False

    assert sweep.wait_for(caught, driver), "the sweep ended before a trial was caught"
    return frozen


def goes_on(sweep, driver, undisturbed, tell, fault, note):
    """From now on nothing else happens; the table must be that of the undisturbed sweep."""
    before, events = sweep.finished(), sweep.num_events
    seconds = sweep.recovered(driver, events)
    said = sweep.complete(driver)
    found, equal = sweep.kept_lost_repeated(before), sweep.table() == undisturbed
    tell(Row(fault=fault, equal=equal, seconds=seconds, note=note, **found))
    assert (found["lost"], found["repeated"], equal) == (0, 0, True)
    sweep.check_nothing_is_left()
    return said


def test_a_worker_that_is_killed_goes_on_from_its_last_epoch(sweep, undisturbed, tell):
    driver = sweep.start()
    for worker in caught_in_the_middle(sweep, driver):
        worker.kill()
    note = "the trial goes on from its last checkpoint"
    said = goes_on(sweep, driver, undisturbed, tell, "worker SIGKILL", note)
    assert "goes on from its last checkpoint" in said
    assert all(record.key.attempt == 0 for record in sweep.attempts()), "Tune repeats it"


@pytest.mark.parametrize("damage", [cut, flip])
def test_a_checkpoint_that_is_damaged_is_not_gone_on_from(sweep, undisturbed, tell, damage):
    def checkpoints():  # where a disk is slow not every epoch leaves one
        return list(sweep.paths.ray.rglob("training.pt"))

    driver = sweep.start()
    frozen = caught_in_the_middle(sweep, driver, where=lambda worker: checkpoints())
    for file in checkpoints():
        file.write_bytes(damage(file.read_bytes()))
    for worker in frozen:
        worker.kill()
    fault = f"checkpoint {damage.__doc__}, worker SIGKILL"
    goes_on(sweep, driver, undisturbed, tell, fault, "the trial starts anew")


def test_a_worker_that_hangs_is_replaced(make_sweep, undisturbed, tell):
    sweep = make_sweep(budget=BudgetSpec(trial_hours=HANG_SECONDS / 3600))
    driver = sweep.start()
    caught_in_the_middle(sweep, driver)
    note = f"ended after budget.trial_hours, here {HANG_SECONDS:g} s, and replaced"
    said = goes_on(sweep, driver, undisturbed, tell, "worker SIGSTOP", note)
    assert "its worker held it for longer than budget.trial_hours" in said


@contextmanager
def group_without_memory(name):
    """A control group of the kernel in which a process that asks for memory is killed."""
    folders = [Path("/sys/fs/cgroup/memory") / name, Path("/sys/fs/cgroup") / name]
    limits = ["memory.limit_in_bytes", "memory.max"]  # of the first and the second version
    folder, limit = next(
        each for each in zip(folders, limits, strict=True) if each[0].parent.is_dir()
    )
    try:
        folder.mkdir()
        (folder / limit).write_text(str(2 * 2**20))
    except OSError as error:
        pytest.skip(f"a control group can not be made here: {error}")
    try:
        yield folder / "cgroup.procs"
    finally:
        folder.rmdir()


def test_a_trial_that_the_kernel_kills_for_memory_goes_on(sweep, undisturbed, tell):
    driver = sweep.start()
    frozen = caught_in_the_middle(sweep, driver)
    with group_without_memory(f"sweep-{os.getpid()}") as members:
        for worker in frozen:
            members.write_text(str(worker.pid))
            worker.resume()
        psutil.wait_procs(frozen, timeout=PATIENCE_SECONDS)
    note = "the trial goes on from its last checkpoint; "
    note += "what torch itself refuses is tried in half a batch"
    goes_on(sweep, driver, undisturbed, tell, "trial killed by the kernel, out of memory", note)


def test_a_trial_that_ray_ends_for_memory_goes_on_by_halves(sweep, undisturbed, tell):
    """The test takes the memory of the node until Ray has ended a worker."""
    node = psutil.virtual_memory()
    if node.available < 3 * SPARE_BYTES:
        pytest.skip(f"{node.available / 2**30:.0f} GiB are free, 9 are wanted")
    sweep.environment |= {
        "RAY_memory_usage_threshold": str((node.total - node.available + SPARE_BYTES) / node.total),
        "RAY_memory_monitor_refresh_ms": "100",
    }
    driver = sweep.start()
    workers = caught_in_the_middle(sweep, driver)
    events, before, taken = sweep.num_events, sweep.finished(), []
    while all(worker.is_running() for worker in workers) and len(taken) < 3 * 8:
        taken.append(np.ones(SPARE_BYTES // 8 // 8))
        time.sleep(0.05)
    del taken
    for worker in filter(psutil.Process.is_running, workers):
        worker.resume()
    seconds = sweep.recovered(driver, events)
    said = sweep.complete(driver)
    found = sweep.kept_lost_repeated(before)
    note = "the trial goes on from its last checkpoint, half a batch at a time"
    equal = sweep.table() == undisturbed
    tell(Row(fault="Ray's memory monitor", equal=equal, seconds=seconds, note=note, **found))
    assert "its node ran out of memory" in said, said
    assert (found["lost"], found["repeated"]) == (0, 0)
    halved = [r for r in sweep.attempts() if r.outcome and "accumulation" in r.outcome.metrics]
    assert halved
    sweep.check_nothing_is_left()


def without_names(rows, regime):
    """Rows of a regime; other settings give its cells other names."""
    return [replace(row, cell="") for row in rows if row.regime == regime]


def test_cells_that_can_not_be_trained_are_named_and_cost_no_other(
    make_sweep, reference, undisturbed, tell
):
    impossible = NeuralSearch(trials=1, learning_rate=Range(low=1e15, high=1e15))
    sweep = make_sweep(search=replace(reference.spec.search, language_model=impossible))
    sweep.complete()
    rows = sweep.table()[0]
    failed = [row for row in rows if row.regime != "bow"]
    assert failed
    assert all(row.is_failed and "diverged" in row.status for row in failed)
    equal = without_names(rows, "bow") == without_names(undisturbed[0], "bow")
    kept = [record.state for record in sweep.attempts()].count(TrialState.FINISHED)
    note = "named with the reason; the other cells are equal"
    tell(Row(fault="cells that can not be trained", kept=kept, equal=equal, note=note))
    assert equal
    assert "nothing trained" in sweep.complete(), "what failed is not tried again"
    sweep.check_nothing_is_left()


class Nodes:
    """A head and two workers of Ray on this machine."""

    def __init__(self, sweep):
        self._process = subprocess.Popen(
            [sys.executable, str(NODES), json.dumps([{}, {}])],
            env=sweep.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        sweep.environment["RAY_ADDRESS"] = self._process.stdout.readline().strip()

    def node_of(self, worker):
        """The process of Ray that a worker belongs to; None where it is the head's."""
        with suppress(psutil.Error):
            node = next(each for each in worker.parents() if "raylet" in each.name())
            return None if "--head" in node.cmdline() else node
        return None

    def kill(self):
        os.killpg(self._process.pid, signal.SIGKILL)
        self.end()

    def end(self):
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait(PATIENCE_SECONDS)
        self._process.stdout.close()


@pytest.fixture
def shared(make_sweep, reference, tmp_path, monkeypatch):
    """A sweep whose storage is a place all nodes reach, and whose ledger is copied there."""
    monkeypatch.chdir(tmp_path)  # the working copy of a URI lies there
    made = make_sweep(has_tokens=False)
    made.use_storage(f"file://{tmp_path}/bucket")
    made.take_tokens(reference)
    return made


def test_a_node_that_is_removed_costs_an_epoch(shared, undisturbed, tell):
    nodes = Nodes(shared)
    driver = shared.start()
    frozen = caught_in_the_middle(shared, driver, where=nodes.node_of)
    node = next(filter(None, map(nodes.node_of, frozen)))
    for worker in frozen:
        worker.kill() if nodes.node_of(worker) == node else worker.resume()
    node.kill()
    before, events = shared.finished(), shared.num_events
    seconds = shared.recovered(driver, events)
    shared.complete(driver)
    nodes.end()
    found, equal = shared.kept_lost_repeated(before), shared.table() == undisturbed
    note = "its trials go on from their last checkpoint on another"
    tell(Row(fault="node removed", equal=equal, seconds=seconds, note=note, **found))
    assert (found["lost"], found["repeated"], equal) == (0, 0, True)
    shared.check_nothing_is_left()


def test_head_and_driver_lost_at_once_go_on_elsewhere_from_the_copy(shared, undisturbed, tell):
    nodes = Nodes(shared)
    driver = shared.start()
    copy = Path(shared.paths.shared(shared.paths.ledger_db).removeprefix("file://"))
    caught_in_the_middle(shared, driver)
    shared.wait_for(lambda: shared.num_finished_in(copy) >= NUM_BEFORE, driver)
    shared.kill(driver)
    nodes.kill()
    for process in shared.processes():
        process.kill()
    before = shared.finished(copy)
    shared.lose_folder()
    shared.environment["RAY_ADDRESS"] = ""
    again = shared.start()
    seconds = shared.recovered(again, shared.num_events_in(copy))
    said = shared.complete(again)
    assert f"took back {len(before)} recorded trials" in said
    found, equal = shared.kept_lost_repeated(before), shared.table() == undisturbed
    note = "the copy is at most seconds old"
    fault = "head, driver and run folder lost"
    tell(Row(fault=fault, equal=equal, seconds=seconds, note=note, **found))
    assert (found["lost"], found["repeated"], equal) == (0, 0, True)
    assert SweepPaths.of(shared.spec).is_remote
    shared.check_nothing_is_left()
