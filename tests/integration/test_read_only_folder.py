"""A run folder that belongs to somebody else: it can be looked at, and nothing is written there."""

import os
import shutil
import subprocess
import sys

import pytest

from sweeps.search.studies import OptunaStudies
from tests.sweeps.example_sweep import example_spec

READ_ONLY = 'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" && shift && exec "$@"'


def _may_mount():
    tried = [shutil.which("unshare") or "false", "-m", "sh", "-c", READ_ONLY, "sh", "/tmp", "true"]
    return subprocess.run(tried, capture_output=True, check=False).returncode == 0


pytestmark = pytest.mark.skipif(
    os.geteuid() == 0 and not _may_mount(), reason="root may write anywhere, and not mount here"
)


def sweep(verb, folder, *before):
    command = [*before, sys.executable, "-m", "sweeps.cli", verb, str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def sweep_on_read_only(verb, folder):
    """A verb of the command line; root gets a folder that is read-only for the command alone."""
    if os.geteuid() == 0:
        return sweep(verb, folder, "unshare", "-m", "sh", "-c", READ_ONLY, "sh", str(folder))
    folder.chmod(0o555)
    try:
        return sweep(verb, folder)
    finally:
        folder.chmod(0o755)


def listing(folder):
    return sorted(str(path) for path in folder.rglob("*"))


@pytest.mark.parametrize("is_being_run", [False, True])
@pytest.mark.parametrize("verb", ["status", "advise"])
def test_a_folder_that_can_not_be_written_can_be_looked_at(verb, is_being_run, paths):
    spec = example_spec(storage=str(paths.root), sizes=(100,))
    as_ever = sweep(verb, paths.folder)
    driver = OptunaStudies(paths.ledger_url, spec.name) if is_being_run else None
    try:
        if driver is not None:
            driver.read()
            assert paths.ledger_db.with_name("ledger.db-wal").exists()
        before = listing(paths.folder)
        result = sweep_on_read_only(verb, paths.folder)
        assert result.returncode == 0, result.stderr
        assert result.stdout == as_ever.stdout
        assert listing(paths.folder) == before
    finally:
        if driver is not None:
            driver.close()


def test_a_report_that_can_not_be_written_is_one_message(paths):
    result = sweep_on_read_only("report", paths.folder)
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert f"{paths.folder} can not be written (" in result.stderr
    assert "copy the folder" in result.stderr
