"""Actors: Tune's handling of workers, for which a lost one costs no more than its last epochs.

Ray says in several ways that a worker is gone. Tune repeats a trial for one of them, a
`RayActorError`, and ends the whole experiment for the others (Ray 2.60): among them is the word of
the memory monitor that it ended a worker because its node ran low on memory.

A worker that goes on to its next trial may be lost on the way. Tune hears of that twice, from the
worker and from the call that hands the trial over. The first time it lets the trial wait for
another worker; the second time it gives a waiting trial up.

Tune keeps one worker for a next trial, if there is any. While the last trials of a sweep train,
none follows for hours, and its machine would be paid for: that worker is given back.

Tune gives its workers environment variables, and for a worker that has its own Ray starts a process
anew, seconds, beside those that it has started ahead and that then stay idle. On a Ray of our own
they have the driver's environment as it is.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ray
from ray.air.execution._internal.actor_manager import RayActorManager
from ray.exceptions import RayActorError, RayError, RayTaskError
from ray.tune import tune
from ray.tune.execution import tune_controller
from ray.tune.execution.class_cache import _ActorClassCache
from ray.tune.execution.tune_controller import TuneController
from ray.tune.experiment import Trial

from sweeps.run.nodes import alive_nodes, label_of
from sweeps.search.places import Place

IDLE_SECONDS = 60.0  # a trial of the same cell follows at once


class ActorManager(RayActorManager):
    """Takes whatever Ray says of a lost worker for the loss of that worker."""

    def _actor_task_failed(self, tracked_actor_task: Any, exception: Exception) -> None:
        is_known = isinstance(exception, RayActorError | RayTaskError)
        if isinstance(exception, RayError) and not is_known:
            exception = RayActorError(error_msg=str(exception))
        super()._actor_task_failed(tracked_actor_task, exception)


class Controller(TuneController):
    """Hears once that a worker was lost on the way to its next trial; keeps none for long."""

    _idle_since: float | None = None

    def _cleanup_cached_actors(self, force_all: bool = False) -> None:
        cache = self._actor_cache
        if cache.num_cached_objects == 0 or cache.total_max_objects > 0:
            self._idle_since = None
        elif self._idle_since is None:
            self._idle_since = time.monotonic()
        elif time.monotonic() - self._idle_since >= IDLE_SECONDS:
            force_all = True
        super()._cleanup_cached_actors(force_all=force_all)

    def _trial_task_failure(self, trial: Trial, exception: Exception) -> None:
        is_told_again = trial in self._resetting_trials and trial.status != Trial.RUNNING
        if is_told_again and isinstance(exception, RayActorError):
            self._resetting_trials.discard(trial)
        else:
            super()._trial_task_failure(trial, exception)


class ActorsAsStarted(_ActorClassCache):
    """Actors for workers that need no environment but the one they were started in."""

    def get(self, trainable_cls: type) -> Any:
        """What Ray makes actors of, the same for every trial."""
        if trainable_cls not in self._cache:
            self._cache[trainable_cls] = ray.remote(trainable_cls)
        return self._cache[trainable_cls]


def place_of(trial: Trial) -> Place | None:
    """The node on which a trial's worker is; None where Ray does not say."""
    try:
        actor_id = trial.temporary_state.ray_actor._actor_id.hex()
        node_id = ray._private.state.actors(actor_id)["Address"]["NodeID"]  # three milliseconds
        node = next(node for node in alive_nodes(ray) if node["NodeID"] == node_id)
    except Exception:  # nothing that a run should end by
        return None
    return Place(node=node_id, name=label_of(node))


@contextmanager
def tune_of_ours(*, is_alone: bool) -> Iterator[None]:
    """For a block lost workers end nothing.

    Args:
        is_alone: Whether Ray is one of our own, whose workers were started in our environment.
    """
    theirs = tune_controller.RayActorManager, tune.TuneController, tune_controller._ActorClassCache
    tune_controller.RayActorManager, tune.TuneController = ActorManager, Controller
    if is_alone:
        tune_controller._ActorClassCache = ActorsAsStarted
    try:
        yield
    finally:
        (
            tune_controller.RayActorManager,
            tune.TuneController,
            tune_controller._ActorClassCache,
        ) = theirs
