import os

import pytest

from ulm import processors as module
from ulm.processors import processors


@pytest.fixture
def group(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "CGROUP", tmp_path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)), raising=False)
    return tmp_path


@pytest.mark.parametrize(
    ("limit", "number"),
    [("max 100000", 8), ("250000 100000", 2), ("50000 100000", 1), ("9900000 100000", 8), ("", 8)],
)
def test_a_quota_counts_as_whole_processors_and_one_at_least(group, limit, number):
    (group / "cpu.max").write_text(f"{limit}\n")
    assert processors() == number


@pytest.mark.parametrize(("quota", "number"), [("-1", 8), ("300000", 3), ("10000", 1)])
def test_a_quota_of_older_control_groups_counts_too(group, quota, number):
    (group / "cpu").mkdir()
    (group / "cpu" / "cpu.cfs_quota_us").write_text(f"{quota}\n")
    (group / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert processors() == number


def test_processors_that_others_were_given_are_not_counted(group, monkeypatch):
    assert processors() == 8
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {3, 5})
    assert processors() == 2
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    assert processors() == 4
