from dataclasses import replace

from sweeps.answer.results import make_rows
from sweeps.record.late_recorder import LateRecorder
from sweeps.record.recorder import ListRecorder
from sweeps.search.records import TrialState
from sweeps.search.spending import Spent
from sweeps.spec.cells import make_cells
from tests.sweeps.example_sweep import example_records, example_spec, replayed
from ulm.regimes import Regime

SPEC = example_spec(regimes=(Regime.BOW,), seeds=(0,))
CELLS = make_cells(SPEC)
RECORDS = example_records(SPEC)


class Maker:
    def __init__(self):
        self.made = []

    def __call__(self):
        self.made.append(ListRecorder(spec=SPEC, cells=CELLS))
        return self.made[-1]


def test_a_run_with_nothing_new_never_makes_the_recorder():
    make = Maker()
    late = LateRecorder(make)
    late.reconcile(RECORDS)
    late.spent(Spent(accelerator_seconds=5.0))
    assert late.close()
    assert make.made == []


def test_the_first_event_makes_it_and_tells_it_what_was_told_before():
    make = Maker()
    late = LateRecorder(make)
    late.reconcile(RECORDS[:1], RECORDS[-1:])
    late.spent(Spent(accelerator_seconds=5.0))
    running = replace(RECORDS[1], state=TrialState.RUNNING, outcome=None, ended_at=None)
    late.started(running)
    assert make.made[0].runs[str(RECORDS[-1].key)].tags["ulm.state"] == "superseded"
    late.progressed(running)
    late.ended(RECORDS[1])
    late.spent(Spent(accelerator_seconds=9.0))
    late.reconcile(RECORDS)
    late.publish(make_rows(replayed(SPEC, RECORDS)), ())
    assert late.close()

    (made,) = make.made
    direct = ListRecorder(spec=SPEC, cells=CELLS)
    direct.reconcile(RECORDS)
    direct.publish(make_rows(replayed(SPEC, RECORDS)), ())
    assert set(made.runs) == set(direct.runs)
    (sweep,) = [run for run in made.runs.values() if run.kind == "sweep"]
    assert sweep.totals[0].value == 9.0
