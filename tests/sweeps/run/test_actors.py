"""What Ray says of lost workers, and what Tune makes of it."""

from types import SimpleNamespace

import pytest
from ray.exceptions import ActorDiedError, ObjectLostError, OutOfMemoryError, RayActorError
from ray.tune.execution import tune_controller

from sweeps.run.actors import ActorManager, lost_workers_end_nothing

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


def test_tune_has_its_own_manager_again_after_the_block():
    theirs = tune_controller.RayActorManager
    with lost_workers_end_nothing():
        assert tune_controller.RayActorManager is ActorManager
    assert tune_controller.RayActorManager is theirs
