"""Fixtures of the fault matrix, and its table at the end of a run."""

import os
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "sweeps" / "run")]

pytest.register_assert_rewrite("faulty")

from faulty import FaultySweep, Row, table  # noqa: E402

ROWS = pytest.StashKey[list[Row]]()


def pytest_configure(config):
    config.stash[ROWS] = []


@pytest.fixture
def tell(request):
    """Adds a row to the table."""
    return request.config.stash[ROWS].append


@pytest.fixture(scope="session")
def reference(tmp_path_factory):
    """A sweep to which nothing happened."""
    made = FaultySweep(tmp_path_factory.mktemp("undisturbed"))
    try:
        made.complete()
        yield made
    finally:
        made.close()


@pytest.fixture(scope="session")
def undisturbed(reference):
    """Its table, which is that of every other."""
    return reference.table()


@pytest.fixture
def make_sweep(tmp_path, reference):
    """Makes a sweep with other settings than those of the reference."""
    made = []

    def make(*, has_tokens=True, **changes):
        made.append(FaultySweep(tmp_path, **changes))
        if has_tokens:
            made[-1].take_tokens(reference)
        return made[-1]

    yield make
    for sweep in made:
        sweep.close()


@pytest.fixture
def sweep(make_sweep):
    return make_sweep()


def pytest_terminal_summary(terminalreporter, config):
    if config.stash[ROWS]:
        terminalreporter.section("fault matrix")
        terminalreporter.write_line(table(config.stash[ROWS]))
        if file := os.environ.get("FAULTS_TABLE"):
            Path(file).write_text(table(config.stash[ROWS]) + "\n", encoding="utf-8")
