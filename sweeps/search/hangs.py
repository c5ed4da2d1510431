"""Hangs: ends workers that hold a trial for longer than `budget.trial_hours`.

Tune tells when a worker takes a trial, and calls at every step. A worker that takes too long is
killed: one that hangs does not listen. For Tune it has vanished, and the trial goes on from its
last checkpoint on another.
"""

import time
from collections.abc import Callable
from typing import Any

import ray
from ray.tune import Callback
from ray.tune.experiment import Trial

from sweeps.search.bridge import Bridge


class HangCallback(Callback):
    """Kills workers that take too long.

    Args:
        bridge: Is told of which trials, for the reason that is shown.
        hours: How long a worker may hold a trial.
        clock: Monotonic seconds.
        kill: Ends an actor.
    """

    def __init__(
        self,
        bridge: Bridge,
        hours: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        kill: Callable[[Any], None] = ray.kill,
    ) -> None:
        self._bridge = bridge
        self._hours = hours
        self._clock = clock
        self._kill = kill
        self._begun: dict[str, float] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def on_trial_start(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """A worker has it, for the first time or again."""
        self._begun[trial.trial_id] = self._clock()

    def on_step_begin(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Look at what runs."""
        latest = self._clock() - self._hours * 3600
        late = {trial_id for trial_id, begun in self._begun.items() if begun < latest}
        for trial in (trial for trial in trials if late and trial.trial_id in late):
            del self._begun[trial.trial_id]
            if trial.status == Trial.RUNNING and trial.temporary_state.ray_actor is not None:
                handed = self._bridge.handed_out.get(trial.trial_id)
                if handed is not None:
                    handed.is_overdue = True
                self._kill(trial.temporary_state.ray_actor)
