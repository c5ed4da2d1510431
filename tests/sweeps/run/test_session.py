from dataclasses import replace

from tiny import run_session, tiny_spec

from sweeps.paths import SPENT_HOURS, SweepPaths
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
