"""Steps of the cluster tests, and the table of them at the end: what, seconds, result.

A test names its steps with the fixture `step`; a test without steps is one row. Rows travel as
user properties of pytest's reports.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

STEP, MARKED = "step", "cluster"
Step = Callable[[str], AbstractContextManager[None]]


@pytest.fixture
def step(record_property) -> Step:
    """A context manager that notes what a block did, how long it took and whether it passed."""

    @contextmanager
    def timed(what: str) -> Iterator[None]:
        begin, result = time.perf_counter(), "failed"
        try:
            yield
            result = "passed"
        finally:
            record_property(STEP, (what, time.perf_counter() - begin, result))

    return timed


def pytest_itemcollected(item) -> None:
    """Mark what the table shows; `keywords` would not do, the folder has the marker's name."""
    if item.get_closest_marker("cluster") is not None:
        item.user_properties.append((MARKED, True))


def pytest_terminal_summary(terminalreporter) -> None:
    """Show every step of the tests that are marked `cluster`."""
    reports = [
        report
        for outcome in ("passed", "failed", "error", "skipped")
        for report in terminalreporter.stats.get(outcome, ())
        if (MARKED, True) in getattr(report, "user_properties", ())
    ]
    rows = [row for report in reports for row in rows_of(report)]
    if not rows:
        return
    width = max(len(what) for what, _, _ in rows)
    terminalreporter.section("cluster")
    terminalreporter.write_line(f"{'what':<{width}}  {'seconds':>7}  result")
    for what, seconds, result in rows:
        terminalreporter.write_line(f"{what:<{width}}  {seconds:>7.1f}  {result}")


def rows_of(report) -> list[tuple[str, float, str]]:
    """The rows of one report: its steps, or itself."""
    steps = [value for name, value in report.user_properties if name == STEP]
    if steps:
        return steps
    name = report.nodeid.rpartition("::")[2].removeprefix("test_").replace("_", " ")
    reason = f": {report.longrepr[2].removeprefix('Skipped: ')}" if report.skipped else ""
    return [(name, report.duration, report.outcome + reason)]
