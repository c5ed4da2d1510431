"""What Ray says of lost workers, and what Tune makes of it."""

from types import SimpleNamespace

import pytest
from ray.exceptions import ActorDiedError, ObjectLostError, OutOfMemoryError, RayActorError
from ray.tune import PlacementGroupFactory, tune
from ray.tune.execution import tune_controller
from ray.tune.execution.class_cache import _ActorClassCache
from ray.tune.experiment import Trial

from sweeps.run import actors
from sweeps.run.actors import ActorManager, ActorsAsStarted, Controller, place_of, tune_of_ours
from sweeps.run.trial import resources_of
from sweeps.search.messages import AVOIDED, CPUS, GPUS

pytestmark = pytest.mark.ray


@pytest.mark.parametrize(
    "said",
    [
        OutOfMemoryError("1 worker(s) were killed due to the node running low on memory"),
        ObjectLostError("00", "owner", "trace"),
        ActorDiedError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_every_loss_of_a_worker_is_told_as_one(said):
    told = []
    actor = SimpleNamespace(actor_id=1, _on_error=lambda actor, error: told.append(error))
    task = SimpleNamespace(_tracked_actor=actor, _on_error=None)
    manager = ActorManager.__new__(ActorManager)
    manager._failed_actor_ids = set()
    manager._cleanup_actor = lambda tracked_actor: None
    manager._actor_task_failed(task, said)
    (error,) = told
    assert isinstance(error, RayActorError)
    assert str(error) == str(said)


def test_a_fault_of_tune_itself_is_still_raised():
    task = SimpleNamespace(_tracked_actor=None, _on_error=None)
    with pytest.raises(RuntimeError, match="unexpected"):
        ActorManager.__new__(ActorManager)._actor_task_failed(task, ValueError("no word"))


@pytest.mark.parametrize(("is_alone", "made_by"), [(True, ActorsAsStarted), (False, None)])
def test_tune_has_its_own_parts_again_after_the_block(is_alone, made_by):
    def parts():
        of_controller = tune_controller.RayActorManager, tune_controller._ActorClassCache
        return *of_controller, tune.TuneController

    theirs = parts()
    with tune_of_ours(is_alone=is_alone):
        assert parts() == (ActorManager, made_by or theirs[1], Controller)
    assert parts() == theirs


def test_workers_of_a_ray_of_our_own_are_those_it_has_started():
    theirs, ours = _ActorClassCache().get(Trial), ActorsAsStarted()
    assert theirs._default_options["runtime_env"], "for which Ray starts processes anew"
    assert "runtime_env" not in ours.get(Trial)._default_options
    assert ours.get(Trial) is ours.get(Trial)


def test_a_worker_lost_on_the_way_to_a_trial_is_heard_of_once(monkeypatch):
    heard, trial = [], Trial("train", stub=True)
    trial.status = Trial.RUNNING  # as Tune sets it before the first word

    def hear(controller, trial, exception):
        heard.append(exception)
        trial.status = Trial.PENDING

    monkeypatch.setattr(tune_controller.TuneController, "_trial_task_failure", hear)
    controller = Controller.__new__(Controller)
    controller._resetting_trials = {trial}
    for _ in range(2):
        controller._trial_task_failure(trial, RayActorError())
    assert len(heard) == 1
    assert not controller._resetting_trials, "another worker may get it"
    controller._trial_task_failure(trial, RayActorError())
    assert len(heard) == 2, "a later loss is another one"


def test_a_worker_that_nothing_follows_for_a_while_is_given_back(monkeypatch):
    asked, now = [], [0.0]
    monkeypatch.setattr(actors, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(
        tune_controller.TuneController,
        "_cleanup_cached_actors",
        lambda controller, force_all: asked.append(force_all),
    )
    controller = Controller.__new__(Controller)
    cache = controller._actor_cache = SimpleNamespace(num_cached_objects=1, total_max_objects=0)

    def after(seconds):
        now[0] += seconds
        controller._cleanup_cached_actors()
        return asked[-1]

    assert not after(0)
    assert not after(actors.IDLE_SECONDS - 1)
    cache.total_max_objects = 1  # a trial is about to have it
    assert not after(2)
    cache.total_max_objects = 0
    assert not after(actors.IDLE_SECONDS)
    assert after(actors.IDLE_SECONDS)


def test_a_trial_asks_for_its_share_of_a_gpu():
    factory = resources_of({CPUS: 2, GPUS: 0.5})
    assert factory == PlacementGroupFactory([{"CPU": 2.0, "GPU": 0.5}])
    assert resources_of({CPUS: 2, GPUS: 0}) == PlacementGroupFactory([{"CPU": 2.0}])


def test_a_trial_is_placed_on_no_node_that_is_out():
    factory = resources_of({CPUS: 2, AVOIDED: "a,b"})
    assert factory != resources_of({CPUS: 2}), "nor by a worker that Tune keeps for the next trial"
    elsewhere = [{"ray.io/node-id": "!in(a,b)"}]
    assert factory == PlacementGroupFactory([{"CPU": 2.0}], bundle_label_selector=elsewhere)


def test_where_a_worker_is_may_be_unknown_and_ends_no_run():
    trial = Trial("train", stub=True)
    assert place_of(trial) is None
    trial.temporary_state.ray_actor = SimpleNamespace(_actor_id=bytes(16))
    assert place_of(trial) is None
