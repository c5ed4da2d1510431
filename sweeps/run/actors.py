"""Actors: Tune's actor manager, for which a lost worker never ends the other trials.

Ray says in several ways that a worker is gone. Tune repeats a trial for one of them, a
`RayActorError`, and ends the whole experiment for the others (Ray 2.60): among them is the word of
the memory monitor that it ended a worker because its node ran low on memory.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ray.air.execution._internal.actor_manager import RayActorManager
from ray.exceptions import RayActorError, RayError, RayTaskError
from ray.tune.execution import tune_controller


class ActorManager(RayActorManager):
    """Takes whatever Ray says of a lost worker for the loss of that worker."""

    def _actor_task_failed(self, tracked_actor_task: Any, exception: Exception) -> None:
        is_known = isinstance(exception, RayActorError | RayTaskError)
        if isinstance(exception, RayError) and not is_known:
            exception = RayActorError(error_msg=str(exception))
        super()._actor_task_failed(tracked_actor_task, exception)


@contextmanager
def lost_workers_end_nothing() -> Iterator[None]:
    """For a block Tune makes this actor manager."""
    theirs = tune_controller.RayActorManager
    tune_controller.RayActorManager = ActorManager
    try:
        yield
    finally:
        tune_controller.RayActorManager = theirs
