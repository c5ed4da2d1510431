from dataclasses import replace

import pytest
from tiny import run_session, tiny_spec

from sweeps.paths import SPENT_HOURS, SweepPaths
from sweeps.run.memory import MemoryPeak
from sweeps.run.session import RunSession
from sweeps.search.control import Control
from sweeps.search.listener import RunListener
from sweeps.spec.values import BudgetSpec
from sweeps.storage import read_object
from ulm.regimes import Regime


def test_a_gap_because_the_hours_of_a_run_were_spent_is_said_to_be_one(tmp_path):
    whole = tiny_spec(tmp_path, regimes=(Regime.BOW,))
    paths, cause = SweepPaths.of(whole), "because its 1e-09 h (`budget.hours`) were spent"
    run_session(replace(whole, budget=BudgetSpec(hours=1e-9)))
    assert cause in paths.report_md.read_text(encoding="utf-8")
    run_session(whole)
    assert cause not in paths.report_md.read_text(encoding="utf-8")
    assert SPENT_HOURS not in read_object(paths.summary_json)


def test_time_and_memory_are_those_of_all_runs_that_trained(tmp_path, monkeypatch):
    spec = tiny_spec(tmp_path, regimes=(Regime.BOW,))
    paths = SweepPaths.of(spec)
    paths.folder.mkdir()
    session = RunSession(spec, paths, RunListener(), tokens=())
    monkeypatch.setattr(Control, "num_trained", 1)
    session.keep_facts(2.0, MemoryPeak(driver_gib=1.0, total_gib=3.0))
    session.keep_facts(3.5, MemoryPeak(driver_gib=2.0, total_gib=1.0))
    monkeypatch.setattr(Control, "num_trained", 0)
    session.keep_facts(7.0, MemoryPeak(worker_gib=9.0))
    session.close()
    facts = read_object(paths.summary_json)
    assert (facts["runs"], facts["wall_seconds"]) == (2, 5.5)
    assert facts["peak"] == {"driver_gib": 2.0, "worker_gib": 0.0, "total_gib": 3.0}


def interrupt(*told):
    raise KeyboardInterrupt


def test_a_run_that_does_not_end_in_order_leaves_what_its_report_says(tmp_path, monkeypatch):
    whole = tiny_spec(tmp_path, regimes=(Regime.BOW,))
    paths = SweepPaths.of(whole)
    run_session(replace(whole, budget=BudgetSpec(hours=1e-9)))
    ended = read_object(paths.summary_json)
    paths.summary_json.unlink()
    monkeypatch.setattr("tiny.run_trial", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run_session(whole)
    monkeypatch.undo()
    left = read_object(paths.summary_json)
    assert {name: left[name] for name in left} == {name: ended[name] for name in left}
    assert "fingerprint synthetic" in left
    assert not {"runs", "wall_seconds", SPENT_HOURS} & left.keys()
    run_session(whole)
    assert read_object(paths.summary_json)["runs"] == 1
