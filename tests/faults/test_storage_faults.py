"""What happens to files: disks are full, and bytes change or vanish between two runs."""

import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest
from faulty import FaultySweep, Row, cut, flip

from sweeps.spec.values import LedgerSpec

pytestmark = [pytest.mark.ray, pytest.mark.faults, pytest.mark.slow]

MEBIBYTE = 2**20
NUM_FINISHED = 4


@contextmanager
def small_disk(folder: Path, mebibytes: int):
    """A disk of its own for a folder, of memory."""
    folder.mkdir(parents=True)
    size = f"size={mebibytes}m"
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", size, "sweep-test", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        pytest.skip(f"a small disk can not be made here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path, leave_bytes: int = 0) -> Path:
    """Take all room of a disk but some; the file that took it."""
    ballast = folder / "ballast"
    free = shutil.disk_usage(folder).free - leave_bytes
    with ballast.open("wb", buffering=0) as file:
        try:
            while free > 0:
                free -= file.write(b"\0" * min(MEBIBYTE, free))
        except OSError:
            pass
    return ballast


def resumes(sweep, undisturbed, tell, fault, before, note):
    """Run again once there is room; the table must be that of the undisturbed sweep."""
    events = sweep.num_events
    driver = sweep.start()
    seconds = sweep.recovered(driver, events)
    sweep.complete(driver)
    found, equal = sweep.kept_lost_repeated(before), sweep.table() == undisturbed
    tell(Row(fault=fault, equal=equal, seconds=seconds, note=note, **found))
    assert (found["lost"], found["repeated"], equal) == (0, 0, True)
    sweep.check_nothing_is_left()


NOTE_FULL = "one message with the room that is left, exit code 2; goes on when there is room"


def test_a_disk_that_is_full_when_tokens_are_written(make_sweep, undisturbed, tell):
    sweep = make_sweep(has_tokens=False)
    storage = Path(sweep.spec.storage)
    with small_disk(storage, 64):
        ballast = fill(storage, leave_bytes=32 * 1024)
        assert "must have room for what it writes" in sweep.refuse()
        assert [path.name for path in storage.rglob("*") if path.suffix in (".tmp", ".part")] == []
        assert not sweep.paths.folder.exists(), "nothing came of it"
        ballast.unlink()
        resumes(sweep, undisturbed, tell, "disk full while tokens are written", {}, NOTE_FULL)


def test_a_disk_that_is_full_when_checkpoints_are_written(
    make_sweep, reference, undisturbed, tell, tmp_path
):
    ledger = LedgerSpec(url=f"sqlite:///{tmp_path / 'ledger.db'}")
    sweep = make_sweep(has_tokens=False, ledger=ledger)
    storage = Path(sweep.spec.storage)
    with small_disk(storage, 64):
        sweep.take_tokens(reference)
        ended_by_full_disk(sweep, storage)
        fault = "disk full while checkpoints are written"
        resumes(sweep, undisturbed, tell, fault, sweep.finished(), NOTE_FULL)


def test_a_disk_that_is_full_when_the_ledger_is_written(make_sweep, undisturbed, tell, tmp_path):
    disk = tmp_path / "ledger"
    sweep = make_sweep(ledger=LedgerSpec(url=f"sqlite:///{disk / 'ledger.db'}"))
    with small_disk(disk, 8):
        ended_by_full_disk(sweep, disk)
        fault = "disk full while the ledger is written"
        resumes(sweep, undisturbed, tell, fault, sweep.finished(), NOTE_FULL)


def ended_by_full_disk(sweep, disk):
    """A run whose disk fills up after some trials, and then has room again."""
    driver = sweep.start()
    sweep.wait_for(lambda: sweep.num_finished >= NUM_FINISHED, driver)
    ballast = fill(disk)
    said = sweep.refuse(driver)
    assert said.count("must have room for what it writes") == 1, said
    assert f"0.00 GiB in {disk}" in said
    assert sweep.orphans() == []
    ballast.unlink()


@pytest.fixture(scope="module")
def half_done(tmp_path_factory, reference):
    """A sweep whose driver was killed after some trials, and its folder as it was then."""
    made = FaultySweep(tmp_path_factory.mktemp("half"))
    made.take_tokens(reference)
    try:
        driver = made.start()
        made.wait_for(lambda: made.num_finished >= NUM_FINISHED and made.encoders(), driver)
        made.kill(driver)
        assert made.orphans() == []
        shutil.copytree(made.spec.storage, made.folder / "as it was", symlinks=True)
        yield made
    finally:
        made.close()


@pytest.fixture
def killed(half_done):
    shutil.rmtree(half_done.spec.storage)
    shutil.copytree(half_done.folder / "as it was", half_done.spec.storage, symlinks=True)
    return half_done


def goes_on(sweep, undisturbed, tell, fault, note, repeats):
    before, events = sweep.finished(), sweep.num_events
    driver = sweep.start()
    seconds = sweep.recovered(driver, events)
    said = sweep.complete(driver)
    found, equal = sweep.kept_lost_repeated(before), sweep.table() == undisturbed
    tell(Row(fault=fault, equal=equal, seconds=seconds, note=note, **found))
    assert (found["lost"], equal) == (0, True)
    assert found["repeated"] <= repeats, "only what was destroyed is trained again"
    sweep.check_nothing_is_left()
    return said


@pytest.mark.parametrize("damage", [cut, flip])
def test_a_damaged_token_array_is_made_anew(killed, undisturbed, tell, damage):
    for file in killed.paths.tokens.glob("*/ids.npy"):
        file.write_bytes(damage(file.read_bytes()))
    fault = f"token array {damage.__doc__}"
    said = goes_on(killed, undisturbed, tell, fault, "noticed, and made anew", 0)
    assert "is not as it was written, and is made anew" in said


@pytest.mark.parametrize("damage", [cut, flip])
def test_a_damaged_encoder_is_trained_again(killed, undisturbed, tell, damage):
    encoders = killed.encoders()
    for file in encoders:
        file.write_bytes(damage(file.read_bytes()))
    note = "noticed; the trial that trained it is repeated, where it is still needed"
    fault = f"encoder {damage.__doc__}"
    said = goes_on(killed, undisturbed, tell, fault, note, len(encoders))
    assert "is damaged" in said
    assert "it is trained again" in said
