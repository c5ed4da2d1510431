import pickle

import pytest
from simulation import open_control, outcome_of, tiny_search, tiny_spec, value_of

from sweeps.search.messages import (
    CPUS,
    FAILURE,
    GPUS,
    OUTCOME,
    PROGRESS,
    REQUEST,
    dump,
    dump_request,
    load_outcome,
    load_progress,
    load_request,
)
from sweeps.search.records import Outcome, Progress, TrialState
from sweeps.search.suggestions import InMemoryStudies
from sweeps.spec.values import ResourceSpec
from ulm.regimes import Regime

pytestmark = pytest.mark.ray


class FakeTrial:
    def __init__(self, trial_id, error=None):
        self.trial_id = trial_id
        self._error = error

    def get_error(self):
        return self._error


@pytest.fixture
def make():
    from sweeps.search.searcher import Bridge, SweepScheduler, SweepSearcher

    def build(spec, *, max_concurrent=4):
        control = open_control(spec, InMemoryStudies())
        bridge = Bridge(control, spec, max_concurrent=max_concurrent)
        return control, SweepSearcher(bridge), SweepScheduler(bridge), bridge

    return build


SMALL = {"sizes": (10,), "seeds": (0,), "regimes": (Regime.BOW, Regime.SCRATCH)}


def test_messages_come_back_as_they_went():
    control = open_control(tiny_spec(), InMemoryStudies())
    request = control.next_request()
    assert load_request(dump_request(request)) == request
    progress = Progress(epoch=1, num_epochs=2, value=0.5, metrics={"train_loss": 0.25})
    outcome = Outcome(value=0.5, metrics={"steps": 3.0}, artifacts={"encoder": "k"})
    assert load_progress(dump(progress)) == progress
    assert load_outcome(dump(outcome)) == outcome


def test_a_loop_like_tunes_runs_the_sweep_to_finished(make):
    control, searcher, scheduler, _ = make(tiny_spec(**SMALL))
    number = 0
    while (config := searcher.suggest(f"t{number}")) != "FINISHED":
        request = load_request(config[REQUEST])
        for epoch in (1, 2, 3):
            value = value_of(request, epoch)
            progress = Progress(epoch=epoch, num_epochs=3, value=value)
            result = {PROGRESS: dump(progress), "trial_id": f"t{number}"}
            if scheduler.on_trial_result(None, FakeTrial(f"t{number}"), result) == "STOP":
                searcher.on_trial_complete(f"t{number}", result=result)
                break
        else:
            searcher.on_trial_complete(f"t{number}", result={OUTCOME: dump(outcome_of(request))})
        number += 1
    assert number == control.ledger.num_wanted == control.num_trained


def test_no_more_trials_are_handed_out_than_may_run_at_once(make):
    _, searcher, _, _ = make(tiny_spec(**SMALL), max_concurrent=4)
    assert searcher.set_max_concurrency(1)
    assert searcher.suggest("a") is not None
    assert searcher.suggest("b") is None


def test_bow_asks_for_no_gpu(make):
    spec = tiny_spec(resources=ResourceSpec(cpus=2, gpus=0.5), **SMALL)
    _, searcher, _, _ = make(spec)
    configs = [searcher.suggest(name) for name in "ab"]
    held = {load_request(c[REQUEST]).cell.regime: (c[CPUS], c[GPUS]) for c in configs}
    assert held == {"bow": (2, 0.0), "scratch": (2, 0.5)}


def test_a_crash_that_tune_gave_up_on_keeps_its_last_line_and_may_be_asked_again(make):
    control, searcher, scheduler, bridge = make(tiny_spec(**SMALL))
    searcher.suggest("a")
    key = bridge.keys["a"]
    scheduler.on_trial_error(None, FakeTrial("a", RuntimeError("trace\n  OSError: disk is full\n")))
    searcher.on_trial_complete("a", error=True)
    record = control.ledger.latest(key)
    assert (record.state, record.retryable) == (TrialState.FAILED, True)
    assert record.failure == "OSError: disk is full"


def test_a_failure_told_as_a_value_is_for_good(make):
    control, searcher, _, bridge = make(tiny_spec(**SMALL))
    searcher.suggest("a")
    key = bridge.keys["a"]
    searcher.on_trial_complete("a", result={FAILURE: "diverged: loss nan"})
    record = control.ledger.latest(key)
    assert (record.state, record.retryable) == (TrialState.FAILED, False)


def test_a_trial_that_a_stop_ended_is_left_to_be_asked_again(make):
    control, searcher, _, bridge = make(tiny_spec(**SMALL))
    searcher.suggest("a")
    key = bridge.keys["a"]
    searcher.on_trial_complete("a", result={PROGRESS: "{}"})
    assert control.ledger.latest(key).state is TrialState.RUNNING
    control.close()
    assert control.ledger.latest(key).state is TrialState.LOST


def test_an_error_of_ours_stops_everything_and_is_kept_for_the_launcher(make):
    control, searcher, scheduler, bridge = make(tiny_spec(search=tiny_search(), **SMALL))
    searcher.suggest("a")

    def broken(key, progress):
        raise OSError("disk is full")

    control.report = broken
    result = {PROGRESS: dump(Progress(epoch=1, num_epochs=3, value=0.5))}
    assert scheduler.on_trial_result(None, FakeTrial("a"), result) == "STOP"
    assert searcher.suggest("b") == "FINISHED"
    assert str(bridge.error) == "disk is full"


def test_tune_can_pickle_searcher_and_scheduler_without_what_they_hold(make):
    _, searcher, scheduler, _ = make(tiny_spec(**SMALL))
    for each in (searcher, scheduler):
        assert vars(pickle.loads(pickle.dumps(each))) == {}
