import pickle
from types import SimpleNamespace

import pytest
from simulation import (
    Clock,
    SilentListener,
    open_control,
    outcome_of,
    tiny_search,
    tiny_spec,
    value_of,
)

from sweeps.search.messages import (
    AVOIDED,
    BROKEN,
    CPUS,
    FAILURE,
    GPUS,
    LOST_ENCODER,
    MISFIT,
    NODE,
    OUTCOME,
    PARTS,
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
from sweeps.spec.cells import Stage, make_cells
from sweeps.spec.fleet import Slots
from sweeps.spec.values import BudgetSpec, ResourceSpec
from ulm.regimes import Regime

pytestmark = pytest.mark.ray


class FakeTrial:
    def __init__(self, trial_id, error_file=None):
        self.trial_id = trial_id
        self.status = "PENDING"
        self.temporary_state = SimpleNamespace(ray_actor=f"actor {trial_id}")
        self.error_file = error_file
        self.config = {}
        self.num_failures = 0


class FakeTune:
    """The part of Tune's controller that stops trials, and tells the searcher as Tune does."""

    def __init__(self, searcher, trials):
        self._searcher = searcher
        self._trials = trials
        self.stopped = []

    def get_trials(self):
        return self._trials

    def _set_trial_status(self, trial, status):
        trial.status = status

    def stop_trial(self, trial):
        self.stopped.append(trial.trial_id)
        self._searcher.on_trial_complete(trial.trial_id)


RAISED = """\
Failure # {} (occurred at 2026-11-25_19-33-13)
\x1b[36mray::ImplicitFunc.train()\x1b[39m (pid=9829, ip=192.0.2.2, repr=train)
  File "trial.py", line 57, in train
ValueError: {}
"""
DIED = """\
Failure # {} (occurred at 2026-11-25_19-33-13)
The actor died unexpectedly before finishing this task.
\tpid: 9829
The process died; the largest there were: ray::ImplicitFunc.train
"""
STARVED = """\
Failure # {} (occurred at 2026-11-26_12-00-09)
1 worker(s) were killed due to the node running low on memory. Memory on the node (IP: 192.0.2.2)
Selected to kill: (Actor(08e6): task name=ImplicitFunc.__init__, pid=19392, memory used=1.64GB)
"""


@pytest.fixture
def failing(tmp_path):
    """A trial of which Tune wrote down these errors."""

    def build(trial_id, errors):
        file = tmp_path / "error.txt"
        file.write_text(errors, encoding="utf-8")
        return FakeTrial(trial_id, str(file))

    return build


@pytest.fixture
def make():
    from sweeps.search.bridge import Bridge
    from sweeps.search.searcher import SweepScheduler, SweepSearcher

    def build(spec, *, total=4, neural=4, clock=None):
        control = open_control(spec, InMemoryStudies(), clock=clock)
        clocks = {} if clock is None else {"clock": clock}
        bridge = Bridge(control, Slots(total=total, neural=neural), **clocks)
        return control, SweepSearcher(bridge), SweepScheduler(bridge), bridge

    return build


@pytest.fixture
def listen():
    from sweeps.search.searcher import SweepCallback

    return SweepCallback


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
    _, searcher, _, _ = make(tiny_spec(**SMALL), total=1)
    assert searcher.suggest("a") is not None
    assert searcher.suggest("b") is None
    searcher.on_trial_complete("a", result={FAILURE: "diverged"})
    assert searcher.suggest("c") is not None, "its slot is free again"


def test_a_trial_without_gpu_is_handed_out_when_every_gpu_is_taken(make):
    regimes = (Regime.ULM, Regime.SCRATCH, Regime.BOW)
    spec = tiny_spec(resources=ResourceSpec(gpus=1), **{**SMALL, "regimes": regimes})
    _, searcher, _, _ = make(spec, total=8, neural=1)
    configs = [searcher.suggest(name) for name in "abc"]
    assert [c and c[GPUS] for c in configs] == [1, 0.0, None]
    searcher.on_trial_complete("a", result={FAILURE: "diverged"})
    assert searcher.suggest("d")[GPUS] == 1


def test_everything_ready_is_handed_out_at_once_and_costs_nothing_before_a_worker_has_it(
    make, listen
):
    clock = Clock()
    spec = tiny_spec(regimes=(Regime.SCRATCH,), sizes=(10,), seeds=(0, 1, 2))
    control, searcher, _, bridge = make(spec, total=8, neural=8, clock=clock)
    configs = [searcher.suggest(name) for name in "abcd"]
    assert [config is None for config in configs] == [False, False, False, True]
    callback = listen(bridge)
    clock.now += 600.0
    callback.on_trial_start(1, [], FakeTrial("a"))
    clock.now += 60.0
    callback.on_trial_recover(2, [], FakeTrial("a"))
    clock.now += 600.0
    assert 60.0 <= control.ledger.spent(clock.now).accelerator_seconds < 70.0
    callback.on_trial_start(3, [], FakeTrial("unknown"))
    assert bridge.error is None


def test_trials_that_wait_when_the_budget_is_spent_are_withdrawn_and_asked_by_the_next_run(
    make, listen
):
    clock = Clock()
    spec = tiny_spec(
        regimes=(Regime.SCRATCH,), sizes=(10,), seeds=(0, 1), budget=BudgetSpec(hours=1.0)
    )
    control, searcher, scheduler, bridge = make(spec, clock=clock)
    trials = [FakeTrial(name) for name in "ab"]
    for trial in trials:
        searcher.suggest(trial.trial_id)
    waiting = bridge.handed_out["b"].key
    listen(bridge).on_trial_start(1, trials, trials[0])
    tune = FakeTune(searcher, trials)
    assert scheduler.choose_trial_to_run(tune) is None
    assert tune.stopped == []
    clock.now += 3600.0
    assert scheduler.choose_trial_to_run(tune) is None
    assert tune.stopped == ["b"]
    assert control.ledger.latest(waiting).state is TrialState.LOST
    assert searcher.suggest("c") is None, "the one that runs is waited for"


def test_after_an_error_of_ours_no_trial_that_waits_is_started(make, listen, monkeypatch):
    spec = tiny_spec(regimes=(Regime.SCRATCH,), sizes=(10,), seeds=(0, 1))
    control, searcher, scheduler, bridge = make(spec)
    trials = [FakeTrial(name) for name in "ab"]
    for trial in trials:
        searcher.suggest(trial.trial_id)
    callback, waiting = listen(bridge), bridge.handed_out["b"].key
    monkeypatch.setattr(control, "begins", lambda key: 1 / 0)
    callback.on_trial_start(1, trials, trials[0])
    assert isinstance(bridge.error, ZeroDivisionError)
    tune = FakeTune(searcher, trials)
    for _ in range(2):
        assert scheduler.choose_trial_to_run(tune) is None
    assert tune.stopped == ["b"]
    control.close()
    assert control.ledger.latest(waiting).state is TrialState.LOST


def test_what_one_machine_could_not_do_the_next_run_asks_again(make):
    control, searcher, _, bridge = make(tiny_spec(**SMALL))
    searcher.suggest("a")
    key = bridge.handed_out["a"].key
    searcher.on_trial_complete("a", result={BROKEN: "out of memory: no room"})
    record = control.ledger.latest(key)
    assert (record.state, record.failure) == (TrialState.FAILED, "out of memory: no room")
    assert record.retryable
    assert not control.has_ended(key), "its checkpoint stays"


def test_a_trial_whose_end_could_not_be_kept_has_not_ended(make, monkeypatch):
    control, searcher, _, bridge = make(tiny_spec(**SMALL))
    full, ends = OSError(28, "No space left on device"), []

    def end(record):
        ends.append(record)
        raise full

    monkeypatch.setattr(control._studies, "end", end)
    searcher.suggest("a")
    key = bridge.handed_out["a"].key
    searcher.on_trial_complete("a", result={OUTCOME: dump(Outcome(value=0.8))})
    assert (bridge.error, [record.key for record in ends]) == (full, [key])
    assert not control.has_ended(key), "its checkpoint stays"


def test_a_trial_whose_worker_vanished_is_started_before_new_ones(make, listen):
    _, searcher, scheduler, bridge = make(tiny_spec(**SMALL))
    callback, trials = listen(bridge), [FakeTrial(name) for name in "ab"]
    tune = FakeTune(searcher, trials)
    for trial in trials:
        searcher.suggest(trial.trial_id)
        callback.on_trial_start(1, trials, trial)
    assert scheduler.choose_trial_to_run(tune) is None
    callback.on_trial_recover(2, trials, trials[1])
    assert scheduler.choose_trial_to_run(tune) is trials[1]
    trials[1].status = "RUNNING"
    assert scheduler.choose_trial_to_run(tune) is None
    trials[1].status = "PENDING"
    callback.on_trial_recover(3, trials, trials[0])
    assert scheduler.choose_trial_to_run(tune) is trials[1], "it was lost first"
    callback.on_trial_start(4, trials, trials[1])
    assert scheduler.choose_trial_to_run(tune) is trials[0]
    callback.on_trial_start(5, trials, trials[0])
    assert scheduler.choose_trial_to_run(tune) is None


def test_a_trial_that_raised_is_held_back_longer_each_time_and_others_take_its_slot(
    make, listen, failing
):
    clock = Clock()
    _, searcher, scheduler, bridge = make(tiny_spec(**SMALL), total=1, neural=1, clock=clock)
    callback, trial = listen(bridge), failing("a", RAISED.format(1, "no answer"))
    tune = FakeTune(searcher, [trial])

    def breaks():
        trial.status, trial.num_failures = "PENDING", trial.num_failures + 1
        scheduler.on_trial_error(tune, trial)
        scheduler.on_trial_add(tune, trial)
        callback.on_trial_recover(2, [trial], trial)

    searcher.suggest("a")
    callback.on_trial_start(1, [trial], trial)
    assert searcher.suggest("b") is None, "the slot is taken"
    for seconds in (10.0, 20.0, 40.0):
        breaks()
        clock.now += seconds - 5.0
        assert scheduler.choose_trial_to_run(tune) is None
        assert trial.status == "PAUSED", "no cached worker may take it"
        assert bridge.is_full == (searcher.suggest("b") is None)
        clock.now += 5.0
        assert scheduler.choose_trial_to_run(tune) is trial
        callback.on_trial_start(3, [trial], trial)
    assert "b" in bridge.handed_out, "its slot was free meanwhile"


def test_trials_of_three_cells_that_broke_for_good_in_a_row_end_the_run_with_the_reason(
    make, failing
):
    spec = tiny_spec(regimes=(Regime.SCRATCH,), sizes=(10,), seeds=(0, 1, 2))
    _, searcher, scheduler, bridge = make(spec)
    for name in "abc":
        searcher.suggest(name)
    for name in "abc":
        assert bridge.unfit is None
        scheduler.on_trial_error(None, failing(name, RAISED.format(1, "no answer")))
        searcher.on_trial_complete(name, error=True)
    assert "broke at every attempt, the last one with: ValueError: no answer" in str(bridge.unfit)
    assert searcher.suggest("d") == "FINISHED"


def test_a_node_with_a_fault_is_told_and_what_broke_there_goes_on_elsewhere(make, listen, failing):
    from sweeps.search.places import Place

    bad, good = (Place(node=name, name=name) for name in ("bad", "good"))
    clock, told, where = Clock(), [], dict.fromkeys("abc", bad) | {"d": good}
    spec = tiny_spec(regimes=(Regime.SCRATCH,), sizes=(10,), seeds=(0, 1, 2, 3))
    _, searcher, scheduler, bridge = make(spec, clock=clock)
    bridge.place_of, bridge.tell = lambda trial: where[trial.trial_id], told.append
    trials = {name: failing(name, RAISED.format(1, "ECC error")) for name in "abcd"}
    tune, callback = FakeTune(searcher, list(trials.values())), listen(bridge)
    for name in "dabc":
        searcher.suggest(name)
        callback.on_trial_start(1, [], trials[name])
    for name in "ab":
        scheduler.on_trial_error(tune, trials[name])
        searcher.on_trial_complete(name, error=True)
    clock.now += 60.0
    scheduler.on_trial_error(tune, trials["c"])
    searcher.on_trial_complete("c", error=True)
    assert bridge.unfit is None, "another node is at work"
    assert told == [
        "bad gets no trial that this run asks or repeats from now on, others go on elsewhere: "
        "trials of several cells broke there and none ended there; the last one with: ValueError: "
        "ECC error"
    ]
    assert searcher.suggest("e")[AVOIDED] == "bad"
    asked = []
    trials["d"].num_failures = 1
    trials["d"].get_trainable_cls = lambda: SimpleNamespace(default_resource_request=dict)
    trials["d"].update_resources = asked.append
    scheduler.on_trial_error(tune, trials["d"])
    scheduler.on_trial_add(tune, trials["d"])
    callback.on_trial_recover(2, [], trials["d"])
    clock.now += 60.0
    assert scheduler.choose_trial_to_run(tune) is trials["d"]
    assert [config[AVOIDED] for config in asked] == ["bad"]


def test_cells_that_break_on_nodes_at_work_put_none_out_and_end_no_run(make, listen, failing):
    from sweeps.search.places import Place

    node, clock, told = Place(node="good", name="good"), Clock(), []
    spec = tiny_spec(regimes=(Regime.SCRATCH,), sizes=(10,), seeds=(0, 1, 2, 3, 4))
    _, searcher, scheduler, bridge = make(spec, clock=clock)
    bridge.place_of, bridge.tell = lambda trial: node, told.append
    for name in "dabc":
        searcher.suggest(name)
        listen(bridge).on_trial_start(1, [], FakeTrial(name))
        clock.now += 60.0
    for name in "abc":
        scheduler.on_trial_error(None, failing(name, RAISED.format(1, "a mistake in one regime")))
        searcher.on_trial_complete(name, error=True)
    assert (bridge.unfit, told) == (None, [])
    assert REQUEST in searcher.suggest("e")


@pytest.mark.parametrize(
    ("errors", "reason"),
    [
        (RAISED.format(1, "no word"), "ValueError: no word"),
        (RAISED.format(1, "no word") + DIED.format(2), "its worker vanished"),
        (DIED.format(1) + RAISED.format(2, "no label"), "ValueError: no label"),
    ],
)
def test_an_error_in_a_trial_is_told_once_with_the_trial_and_its_cause(
    listen, failing, errors, reason
):
    from sweeps.search.bridge import Bridge
    from sweeps.search.searcher import SweepScheduler, SweepSearcher

    listener, spec = SilentListener(), tiny_spec(**SMALL)
    control = open_control(spec, InMemoryStudies(), listener=listener)
    bridge = Bridge(control, Slots(total=4, neural=4))
    trial = failing("a", errors)
    SweepSearcher(bridge).suggest("a")
    listen(bridge).on_trial_start(1, [], trial)
    for _ in range(2):
        SweepScheduler(bridge).on_trial_error(None, trial)
        listen(bridge).on_trial_recover(2, [], trial)
    key = bridge.handed_out["a"].key
    label = {cell.id: cell.label for cell in make_cells(spec)}[key.study.cell_id]
    assert listener.messages == [
        f"{label}, classifier 0: goes on from its last checkpoint; {reason}"
    ]


def test_bow_asks_for_no_gpu(make):
    spec = tiny_spec(resources=ResourceSpec(cpus=2, gpus=0.5), **SMALL)
    _, searcher, _, _ = make(spec)
    configs = [searcher.suggest(name) for name in "ab"]
    held = {load_request(c[REQUEST]).cell.regime: (c[CPUS], c[GPUS]) for c in configs}
    assert held == {"bow": (2, 0.0), "scratch": (2, 0.5)}


def test_a_crash_that_tune_gave_up_on_keeps_its_cause_and_may_be_asked_again(make, failing):
    control, searcher, scheduler, bridge = make(tiny_spec(**SMALL))
    searcher.suggest("a")
    key = bridge.handed_out["a"].key
    scheduler.on_trial_error(None, failing("a", RAISED.format(1, "no word")))
    searcher.on_trial_complete("a", error=True)
    record = control.ledger.latest(key)
    assert (record.state, record.retryable) == (TrialState.FAILED, True)
    assert record.failure == "ValueError: no word"


def test_a_worker_that_ray_ended_for_memory_makes_the_trial_halve_its_batches(make, failing):
    spec = tiny_spec(**{**SMALL, "regimes": (Regime.SCRATCH,)})
    control, searcher, scheduler, bridge = make(spec)
    searcher.suggest("a")
    key = bridge.handed_out["a"].key
    trial = failing("a", DIED.format(1))
    scheduler.on_trial_error(None, trial)
    assert PARTS not in trial.config, "why that one died is not known"
    trial = failing("a", DIED.format(1) + STARVED.format(2))
    scheduler.on_trial_error(None, trial)
    assert trial.config[PARTS] == 2
    searcher.on_trial_complete("a", error=True)
    record = control.ledger.latest(key)
    assert record.retryable
    assert "its node ran out of memory" in record.failure
    assert "lower `batch`" in record.failure
    assert control.num_broken == 1


def test_bow_is_not_said_to_have_a_batch(make, failing):
    control, searcher, scheduler, bridge = make(tiny_spec(**{**SMALL, "regimes": (Regime.BOW,)}))
    searcher.suggest("a")
    key = bridge.handed_out["a"].key
    trial = failing("a", STARVED.format(1))
    scheduler.on_trial_error(None, trial)
    assert PARTS not in trial.config
    searcher.on_trial_complete("a", error=True)
    failure = control.ledger.latest(key).failure
    assert failure.startswith("its node ran out of memory, perhaps through other programs")
    assert "batch" not in failure


def test_a_failure_told_as_a_value_is_for_good(make):
    control, searcher, _, bridge = make(tiny_spec(**SMALL))
    searcher.suggest("a")
    key = bridge.handed_out["a"].key
    searcher.on_trial_complete("a", result={FAILURE: "diverged: loss nan"})
    record = control.ledger.latest(key)
    assert (record.state, record.retryable) == (TrialState.FAILED, False)


def test_a_trial_that_a_stop_ended_is_left_to_be_asked_again(make):
    control, searcher, _, bridge = make(tiny_spec(**SMALL))
    searcher.suggest("a")
    key = bridge.handed_out["a"].key
    searcher.on_trial_complete("a", result={PROGRESS: "{}"})
    assert control.ledger.latest(key).state is TrialState.RUNNING
    control.close()
    assert control.ledger.latest(key).state is TrialState.LOST


def test_a_node_that_is_not_fit_costs_its_trial_nothing_and_ends_the_run_once_others_ended(
    make, listen
):
    spec = tiny_spec(regimes=(Regime.SCRATCH,), sizes=(10,), seeds=(0, 1, 2))
    control, searcher, scheduler, bridge = make(spec)
    trials = [FakeTrial(name) for name in "abc"]
    for trial in trials:
        searcher.suggest(trial.trial_id)
    for trial in trials[:2]:
        listen(bridge).on_trial_start(1, trials, trial)
    keys = {name: each.key for name, each in bridge.handed_out.items()}
    misfit = {MISFIT: "worker (10.0.0.2): torch is 2.11.0", NODE: "this"}
    searcher.on_trial_complete("a", result=misfit)
    tune = FakeTune(searcher, trials)
    scheduler.choose_trial_to_run(tune)
    assert tune.stopped == ["c"], "what waits would land on that node"
    for name in "ac":
        record = control.ledger.latest(keys[name])
        assert (record.state, record.state.counts) == (TrialState.LOST, False)
        assert record.failure.startswith("worker (10.0.0.2): torch is 2.11.0")
    assert searcher.suggest("d") == "FINISHED"
    assert bridge.error is None, "an error would stop the trial that runs"
    searcher.on_trial_complete("b", result={OUTCOME: dump(Outcome(value=0.5))})
    assert control.ledger.latest(keys["b"]).state is TrialState.FINISHED
    assert str(bridge.unfit) == (
        "worker (10.0.0.2): torch is 2.11.0; no trial was started since, run again to go on"
    )


def test_a_node_that_is_not_fit_is_put_out_where_another_is_at_work(make, listen):
    from sweeps.search.places import Place

    bad, good, worse = (Place(node=name, name=name) for name in ("bad", "good", "worse"))
    where, told = {"a": bad, "b": good, "c": bad, "d": worse}, []
    spec = tiny_spec(regimes=(Regime.SCRATCH,), sizes=(10,), seeds=(0, 1, 2, 3, 4, 5))
    control, searcher, _, bridge = make(spec, total=6, neural=6)
    bridge.place_of, bridge.tell = lambda trial: where[trial.trial_id], told.append
    for name in "abcd":
        searcher.suggest(name)
        listen(bridge).on_trial_start(1, [], FakeTrial(name))
    keys, misfit = (
        {name: each.key for name, each in bridge.handed_out.items()},
        {MISFIT: "bad (10.0.0.2): torch is 2.11.0", NODE: "this"},
    )
    for name in "ac":
        searcher.on_trial_complete(name, result=misfit)
        assert control.ledger.latest(keys[name]).state is TrialState.LOST
    assert (bridge.unfit, bridge.places.avoided) == (None, "bad")
    assert told == [
        "bad gets no trial that this run asks or repeats from now on, others go on elsewhere: it "
        "is not fit, bad (10.0.0.2): torch is 2.11.0"
    ]
    again = searcher.suggest("e")
    assert again[AVOIDED] == "bad"
    assert bridge.handed_out["e"].key.study == keys["a"].study, "what was lost is asked again"
    searcher.on_trial_complete("d", result={MISFIT: "worse: no GPU", NODE: "this"})
    assert (bridge.unfit, bridge.places.avoided) == (None, "bad,worse")
    searcher.on_trial_complete("b", result={MISFIT: "good: no GPU", NODE: "this"})
    assert "good: no GPU; no trial was started since" in str(bridge.unfit), "none is left"


def test_what_is_in_the_way_of_all_puts_no_node_out(make, listen):
    from sweeps.search.places import Place

    spec = tiny_spec(regimes=(Regime.SCRATCH,), sizes=(10,), seeds=(0, 1))
    _, searcher, _, bridge = make(spec)
    bridge.place_of = lambda trial: Place(node=trial.trial_id, name=trial.trial_id)
    for name in "ab":
        searcher.suggest(name)
        listen(bridge).on_trial_start(1, [], FakeTrial(name))
    searcher.on_trial_complete("a", result={MISFIT: "the shared folder is full"})
    assert bridge.places.avoided == ""
    assert str(bridge.unfit) == "the shared folder is full", "it says what to do by itself"


def test_an_error_of_ours_stops_everything_and_is_kept_for_the_launcher(make):
    control, searcher, scheduler, bridge = make(tiny_spec(search=tiny_search(), **SMALL))
    searcher.suggest("a")

    def broken(key, progress, *, is_saved):
        raise OSError("disk is full")

    control.report = broken
    result = {PROGRESS: dump(Progress(epoch=1, num_epochs=3, value=0.5))}
    assert scheduler.on_trial_result(None, FakeTrial("a"), result) == "STOP"
    assert searcher.suggest("b") == "FINISHED"
    assert str(bridge.error) == "disk is full"


def test_a_run_that_lost_its_place_to_another_driver_stops_at_the_next_step(make, listen):
    _, searcher, scheduler, bridge = make(tiny_spec(**SMALL))
    searcher.suggest("a")
    listen(bridge).on_trial_start(1, [], FakeTrial("a"))
    bridge.check = lambda: int("another driver")
    assert scheduler.choose_trial_to_run(FakeTune(searcher, [])) is None
    assert "another driver" in str(bridge.error)
    assert searcher.suggest("b") == "FINISHED"
    result = {PROGRESS: dump(Progress(epoch=1, num_epochs=3, value=0.5))}
    assert scheduler.on_trial_result(None, FakeTrial("a"), result) == "STOP"


def test_tune_can_pickle_its_plug_ins_without_what_they_hold(make, listen):
    _, searcher, scheduler, bridge = make(tiny_spec(**SMALL))
    for each in (searcher, scheduler, listen(bridge)):
        assert vars(pickle.loads(pickle.dumps(each))) == {}


def test_a_lost_encoder_that_the_sweep_trains_ends_no_run(make):
    spec = tiny_spec(regimes=(Regime.DOMAIN,), sizes=(10,), seeds=(0,))
    control, searcher, _, bridge = make(spec)
    for name in "ab":
        request = load_request(searcher.suggest(name)[REQUEST])
        searcher.on_trial_complete(name, result={OUTCOME: dump(outcome_of(request))})
    request = load_request(searcher.suggest("c")[REQUEST])
    told = {MISFIT: "encoder k is damaged", LOST_ENCODER: request.encoder}
    searcher.on_trial_complete("c", result=told)
    assert (bridge.error, bridge.unfit) == (None, None)
    assert control.ledger.latest(request.key).state is TrialState.LOST
    again = load_request(searcher.suggest("d")[REQUEST])
    assert (again.key.study.stage, again.key.attempt) == (Stage.LANGUAGE_MODEL, 1)


def test_a_lost_encoder_from_outside_ends_the_run_with_the_remedy(make):
    control, searcher, _, bridge = make(tiny_spec(**SMALL))
    request = load_request(searcher.suggest("a")[REQUEST])
    told = {MISFIT: "encoder k is damaged", LOST_ENCODER: "k"}
    searcher.on_trial_complete("a", result=told)
    assert str(bridge.unfit) == "encoder k is damaged: run again, it is then put there anew"
    assert control.ledger.latest(request.key).state is TrialState.LOST


def test_a_worker_that_takes_too_long_is_killed_once_and_its_trial_goes_on(make, failing):
    from sweeps.search.hangs import HangCallback

    _, searcher, scheduler, bridge = make(tiny_spec(**SMALL))
    now, killed = [0.0], []
    hangs = HangCallback(bridge, 1.0, clock=lambda: now[0], kill=killed.append)
    trials = [failing(name, RAISED.format(1, "no word")) for name in "ab"]
    for trial in trials:
        searcher.suggest(trial.trial_id)
    hangs.on_trial_start(1, trials, trials[0])
    now[0] = 3000.0
    hangs.on_trial_start(1, trials, trials[1])
    for trial in trials:
        trial.status = "RUNNING"
    for seconds in (3600.0, 3601.0, 3602.0):
        now[0] = seconds
        hangs.on_step_begin(2, trials)
    assert killed == ["actor a"]
    for trial in trials:
        scheduler.on_trial_error(None, trial)
    assert {name: each.reason for name, each in bridge.handed_out.items()} == {
        "a": "its worker held it for longer than budget.trial_hours",
        "b": "ValueError: no word",
    }
    hangs.on_trial_start(3, trials, trials[0])
    now[0] = 6601.0
    hangs.on_step_begin(4, trials)
    assert killed == ["actor a", "actor b"], "every worker has the whole time"


def test_half_an_hour_in_which_no_machine_takes_a_trial_is_told():
    from sweeps.search.waits import WaitCallback

    now, heard = [0.0], []
    bridge = SimpleNamespace(handed_out={}, tell=heard.append)
    waits = WaitCallback(bridge, clock=lambda: now[0])

    def at(minutes):
        now[0] = 60.0 * minutes
        waits.on_step_begin(0, [])
        return len(heard)

    assert at(40) == 0, "nothing was handed out"
    bridge.handed_out |= {name: SimpleNamespace(is_waiting=True) for name in "ab"}
    assert [at(m) for m in (69, 70, 99, 100)] == [0, 1, 1, 2]
    assert heard[1].startswith("no machine has taken a trial for 60 minutes: `ray status`")
    bridge.handed_out["a"].is_waiting = False
    assert at(140) == 2, "one has a worker"
    bridge.handed_out["a"].is_waiting = True
    assert [at(m) for m in (169, 170)] == [2, 3]
