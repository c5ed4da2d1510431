"""What trials held of the machines, and how much of it came to nothing."""

import pytest
from simulation import Clock, SilentListener, open_control, outcome_of, tiny_search, tiny_spec

from sweeps.search.ledger import Ledger
from sweeps.search.records import Progress, StudyKey, TrialKey, TrialRecord, TrialState
from sweeps.search.spending import Spent, spent_on, sum_of
from sweeps.search.studies import OptunaStudies
from sweeps.search.suggestions import InMemoryStudies
from sweeps.spec.cells import Stage, make_cells
from sweeps.spec.values import ResourceSpec
from ulm.regimes import Regime

STUDY = StudyKey(cell_id="scratch-s0-12345678", stage=Stage.CLASSIFIER)
SMALL = {"sizes": (10,), "seeds": (0,), "regimes": (Regime.SCRATCH,)}


def attempt(state, **changes):
    values = {"started_at": 1000.0, "ended_at": 1100.0, **changes}
    return TrialRecord(key=TrialKey(study=STUDY, number=0), params={}, state=state, **values)


@pytest.mark.parametrize(
    ("state", "wasted"),
    [
        (TrialState.FINISHED, 0.0),
        (TrialState.PRUNED, 0.0),
        (TrialState.FAILED, 50.0),
        (TrialState.LOST, 50.0),
    ],
)
def test_lost_and_failed_attempts_are_wasted_and_pruned_ones_are_not(state, wasted):
    spent = spent_on(attempt(state), 0.5, now=0.0)
    assert spent == Spent(accelerator_seconds=50.0, wasted_seconds=wasted)


def test_epochs_that_were_trained_again_and_replaced_choices_are_wasted():
    finished = attempt(TrialState.FINISHED, repeated_seconds=30.0)
    assert spent_on(finished, 2.0, now=0.0).wasted_seconds == 60.0
    assert spent_on(finished, 2.0, now=0.0, is_current=False).wasted_seconds == 200.0


def test_a_running_trial_counts_up_to_now_without_its_waits():
    running = attempt(TrialState.RUNNING, ended_at=None, waited_seconds=20.0)
    assert spent_on(running, 1.0, now=1050.0).accelerator_seconds == 30.0
    waiting = attempt(TrialState.RUNNING, ended_at=None, waiting_since=1000.0)
    assert spent_on(waiting, 1.0, now=9000.0) == Spent()


def test_money_is_hours_times_their_price():
    spent = sum_of([Spent(accelerator_seconds=1800.0), Spent(accelerator_seconds=5400.0)])
    assert spent.money(0.5) == 1.0
    assert spent.money(None) is None


def test_a_vanished_worker_wastes_what_it_did_since_its_last_epoch():
    spec = tiny_spec(**SMALL)
    clock = Clock()
    control = open_control(spec, InMemoryStudies(), clock=clock)
    request = control.next_request(waits=True)
    clock.now = 2000.0
    control.begins(request.key)
    begun_at = clock.now
    clock.now += 60.0
    control.report(request.key, Progress(epoch=1, num_epochs=3, value=0.5))
    epoch_at = control.ledger.running(request.key).saved_at
    clock.now += 40.0
    control.waits(request.key, "its node is gone")
    vanished_at = clock.now
    clock.now += 500.0
    control.begins(request.key)
    again_at = clock.now
    clock.now += 100.0
    control.finish(request.key, outcome_of(request))
    spent = control.ledger.spent(clock.now)
    held = vanished_at - begun_at + (clock.now - again_at)
    assert spent.accelerator_seconds == pytest.approx(held)
    assert spent.wasted_seconds == pytest.approx(vanished_at - epoch_at)
    assert epoch_at > begun_at + 59


def test_epochs_that_were_not_saved_vanish_too():
    spec = tiny_spec(**SMALL)
    clock = Clock()
    control = open_control(spec, InMemoryStudies(), clock=clock)
    request = control.next_request(waits=True)
    control.begins(request.key)
    clock.now += 30.0
    control.report(request.key, Progress(epoch=1, num_epochs=4, value=0.5))
    saved_at = control.ledger.running(request.key).saved_at
    for epoch in (2, 3):
        clock.now += 30.0
        progress = Progress(epoch=epoch, num_epochs=4, value=0.5)
        assert control.report(request.key, progress, is_saved=False)
    control.waits(request.key, "its node is gone")
    wasted = control.ledger.running(request.key).repeated_seconds
    assert wasted == pytest.approx(clock.now - saved_at)
    assert wasted > 59


def test_what_a_later_attempt_goes_on_from_is_no_waste():
    spec = tiny_spec(**SMALL)
    studies, clock, listener = InMemoryStudies(), Clock(), SilentListener()
    control = open_control(spec, studies, clock=clock)
    stopped = control.next_request()
    for epoch in (1, 2):
        clock.now += 60.0
        control.report(stopped.key, Progress(epoch=epoch, num_epochs=3, value=0.5))
    control.lose(stopped.key, "the run was stopped")
    stopped_at = clock.now
    assert control.ledger.spent(clock.now).wasted_seconds > 119

    control = open_control(spec, studies, clock=clock, listener=listener)
    again = control.next_request()
    first = Progress(epoch=1, num_epochs=3, value=0.5)
    control.inherits(again.key, 60.0, first)
    assert control.report(again.key, first)
    label = {cell.id: cell.label for cell in make_cells(spec)}[again.key.study.cell_id]
    goes_on = "goes on after epoch 1 of 3, where the last run was stopped"
    assert listener.messages == [f"{label}, classifier 0: {goes_on}"]
    control.inherits(again.key, 61.0, first)
    assert len(listener.messages) == 1, "its worker was lost: it goes on from there once more"
    clock.now += 120.0
    control.finish(again.key, outcome_of(again))
    spent, record = control.ledger.spent(clock.now), control.ledger.latest(again.key)
    lost_seconds = stopped_at - control.ledger.attempts[0].started_at
    assert spent.wasted_seconds == pytest.approx(lost_seconds - 60.0)
    assert record.worked_seconds(0.0) == pytest.approx(record.held_seconds(0.0) + 60.0)
    assert open_control(spec, studies, clock=clock).ledger.spent(0.0) == spent


def test_no_more_is_inherited_than_earlier_attempts_are_known_to_have_held():
    spec = tiny_spec(**SMALL)
    studies, clock = InMemoryStudies(), Clock()
    control = open_control(spec, studies, clock=clock)
    killed = control.next_request()
    clock.now += 60.0
    control.report(killed.key, Progress(epoch=1, num_epochs=3, value=0.5))
    control.lose(killed.key, "the driver stopped while it ran")
    known = control.ledger.attempts[0].held_seconds(0.0)
    again = control.next_request()
    control.inherits(again.key, 600.0, Progress(epoch=2, num_epochs=3, value=0.5))
    assert control.ledger.running(again.key).inherited_seconds == known
    control.finish(again.key, outcome_of(again))
    assert control.ledger.spent(clock.now).wasted_seconds == pytest.approx(0.0)


def test_attempts_that_were_asked_again_stay_in_the_ledger_across_drivers():
    spec = tiny_spec(**SMALL)
    studies, clock = InMemoryStudies(), Clock()
    control = open_control(spec, studies, clock=clock)
    lost = control.next_request()
    clock.now += 100.0
    control.lose(lost.key, "withdrawn")
    again = control.next_request()
    clock.now += 10.0
    control.finish(again.key, outcome_of(again))
    spent = control.ledger.spent(0.0)
    assert [record.key.attempt for record in control.ledger.attempts] == [0, 1]
    assert spent.wasted_seconds > 100.0

    resumed = open_control(spec, studies, clock=clock)
    assert resumed.ledger.attempts == control.ledger.attempts
    assert resumed.ledger.spent(0.0) == spent
    assert [record.key.attempt for record in resumed.records] == [1]


def test_what_rests_on_a_replaced_choice_becomes_waste():
    spec = tiny_spec(search=tiny_search(classifiers=1), **SMALL)
    studies = InMemoryStudies()
    control = open_control(spec, studies)
    for _ in range(2):
        request = control.next_request()
        control.finish(request.key, outcome_of(request))
    assert control.ledger.spent(0.0).wasted_seconds == 0

    more = open_control(tiny_spec(search=tiny_search(classifiers=2), **SMALL), studies)
    request = more.next_request()
    better = outcome_of(request)
    better = type(better)(value=1.0, metrics=dict(better.metrics), artifacts={})
    more.finish(request.key, better)
    final = next(r for r in control.records if r.key.study.stage is Stage.FINAL)
    assert more.ledger.spent(0.0).wasted_seconds == pytest.approx(final.held_seconds(0.0))


def test_bow_beside_gpus_costs_no_accelerator():
    spec = tiny_spec(resources=ResourceSpec(gpus=1), **{**SMALL, "regimes": (Regime.BOW,)})
    cells = make_cells(spec)
    key = TrialKey(study=StudyKey(cell_id=cells[0].id, stage=Stage.CLASSIFIER), number=0)
    record = TrialRecord(key=key, params={}, state=TrialState.LOST, ended_at=100.0)
    assert Ledger(spec, cells, records=[record]).spent(0.0) == Spent()


def test_the_running_total_reaches_recorder_and_listener_every_few_seconds_and_at_the_end():
    class Listener(SilentListener):
        def __init__(self):
            super().__init__()
            self.totals = []

        def spent(self, spent):
            self.totals.append(spent)

    clock, listener = Clock(), Listener()
    control = open_control(tiny_spec(**SMALL), InMemoryStudies(), listener=listener, clock=clock)
    assert listener.totals == [Spent()]
    first = control.next_request()
    control.report(first.key, Progress(epoch=1, num_epochs=3, value=0.5))
    assert len(listener.totals) == 1, "not with every event"
    clock.now += 20.0
    control.report(first.key, Progress(epoch=2, num_epochs=3, value=0.6))
    assert listener.totals[-1].accelerator_seconds > 20.0
    control.finish(first.key, outcome_of(first))
    control.tell_spent()
    assert listener.totals[-1] == control.ledger.spent(0.0)
    totals = next(iter(control.recorder.runs.values())).totals
    assert totals[0].value == listener.totals[-1].accelerator_seconds


def test_what_every_vanished_worker_of_a_trial_did_since_its_last_epoch_is_added_up():
    clock = Clock()
    control = open_control(tiny_spec(**SMALL), InMemoryStudies(), clock=clock)
    request = control.next_request(waits=True)
    wasted = 0.0
    for seconds in (40.0, 25.0):
        control.begins(request.key)
        begun_at = clock.now
        clock.now += seconds
        control.waits(request.key, "its node is gone")
        wasted += clock.now - begun_at
    control.begins(request.key)
    clock.now += 10.0
    control.report(request.key, Progress(epoch=1, num_epochs=3, value=0.5))
    record = control.ledger.running(request.key)
    assert record.repeated_seconds == pytest.approx(wasted)
    assert record.repeated_seconds > 64


def test_what_a_trial_inherits_is_bounded_by_its_own_earlier_attempts_alone():
    clock = Clock()
    control = open_control(tiny_spec(**SMALL), InMemoryStudies(), clock=clock)
    first = control.next_request()
    clock.now += 1000.0
    control.lose(first.key, "the run was stopped")
    again = control.next_request()
    control.fail(again.key, "diverged")
    second = control.next_request()
    assert second.key.number == 1
    clock.now += 60.0
    control.report(second.key, Progress(epoch=1, num_epochs=3, value=0.5))
    control.lose(second.key, "the run was stopped")
    held = next(r for r in control.ledger.attempts if r.key == second.key).held_seconds(0.0)
    later = control.next_request()
    assert (later.key.number, later.key.attempt) == (1, 1)
    control.inherits(later.key, 600.0, Progress(epoch=1, num_epochs=3, value=0.5))
    assert control.ledger.running(later.key).inherited_seconds == pytest.approx(held)


def test_what_was_inherited_is_not_counted_again_as_held_by_whom_inherited_it():
    clock = Clock()
    control = open_control(tiny_spec(**SMALL), InMemoryStudies(), clock=clock)
    first, held = Progress(epoch=1, num_epochs=3, value=0.5), 0.0
    for seconds in (100.0, 10.0):
        request = control.next_request()
        if held:
            control.inherits(request.key, 60.0, first)
        clock.now += seconds
        control.report(request.key, first)
        control.lose(request.key, "the run was stopped")
        held += control.ledger.latest(request.key).held_seconds(0.0)
    request = control.next_request()
    control.inherits(request.key, 600.0, first)
    assert control.ledger.running(request.key).inherited_seconds == pytest.approx(held)


def test_what_a_trial_goes_on_from_is_kept_at_once(tmp_path):
    """A driver that is killed tells no end: the next run counts what was kept."""
    url, clock = f"sqlite:///{tmp_path / 'ledger.db'}", Clock()
    control = open_control(tiny_spec(**SMALL), OptunaStudies(url, "tiny"), clock=clock)
    stopped = control.next_request()
    clock.now += 100.0
    control.lose(stopped.key, "the run was stopped")
    again = control.next_request()
    control.inherits(again.key, 60.0, Progress(epoch=1, num_epochs=3, value=0.5))
    control.finish(again.key, outcome_of(again))
    spent, kept = control.ledger.spent(0.0), control.ledger.latest(again.key)
    control.close()
    reopened = open_control(tiny_spec(**SMALL), OptunaStudies(url, "tiny"), clock=clock)
    assert reopened.ledger.latest(again.key).inherited_seconds == kept.inherited_seconds == 60.0
    assert reopened.ledger.spent(0.0) == spent
    reopened.close()
