"""Waits: says when no machine takes a trial.

Tune calls at every step. Where a quota is full or new machines can not be set up, a cluster's
autoscaler goes on trying, and paying, without a word in the driver.
"""

import time
from collections.abc import Callable
from typing import Any

from ray.tune import Callback
from ray.tune.experiment import Trial

from sweeps.search.bridge import Bridge

MINUTES = 30  # a machine boots and installs in 5 to 10
WHERE_TO_LOOK = (
    "`ray status` on the head says what is asked for, `ray monitor` with the cluster file why it "
    "does not come (quota, capacity, a setup that fails: such machines are paid, and tried again)"
)


class WaitCallback(Callback):
    """Tells when all trials that are handed out have waited for half an hour.

    Args:
        bridge: Knows which trials wait, and tells it once in half an hour.
        clock: Monotonic seconds.
    """

    def __init__(self, bridge: Bridge, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._bridge = bridge
        self._clock = clock
        self._since = clock()
        self._told_at = self._since

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def on_step_begin(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Look whether anything has a worker."""
        handed_out, now = self._bridge.handed_out.values(), self._clock()
        if not handed_out or not all(each.is_waiting for each in handed_out):
            self._since = self._told_at = now
        elif now - self._told_at >= MINUTES * 60:
            self._told_at = now
            minutes = (now - self._since) / 60
            self._bridge.tell(
                f"no machine has taken a trial for {minutes:.0f} minutes: {WHERE_TO_LOOK}"
            )
