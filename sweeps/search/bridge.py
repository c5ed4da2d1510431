"""Bridge: what Tune's plug-ins share of a run.

Trials by Tune's id, which slots they hold, which wait for a node, which nodes break them, and the
first error of ours.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

from ray.tune.experiment import Trial

from sweeps.errors import ClusterError
from sweeps.search.breaks import Breaks
from sweeps.search.control import Control
from sweeps.search.places import Place, Places
from sweeps.search.records import TrialKey
from sweeps.spec.cells import Cell
from sweeps.spec.values import SweepSpec
from ulm.regimes import Regime

NOTHING_LEFT: Mapping[str, str] = {}


class Bridge:
    """What Tune's plug-ins share: the control, trials by Tune's id, the first error.

    Args:
        control: The run.
        spec: The sweep, for the resources of a trial.
        max_total: Trials that may be handed out at once.
        max_neural: How many of them may hold a GPU where the spec asks for one: all but `bow`.
        left: Places of checkpoints that earlier runs left, by `TrialKey.place`.
        check: Raises what must end the run at once; asked at every step.
        place_of: The node on which a trial is; None where there is one alone.
        tell: Hears which nodes are put out.
        clock: Monotonic seconds, for pauses between the attempts of a trial.
    """

    def __init__(
        self,
        control: Control,
        spec: SweepSpec,
        *,
        max_total: int,
        max_neural: int,
        left: Mapping[str, str] = NOTHING_LEFT,
        check: Callable[[], None] = lambda: None,
        place_of: Callable[[Trial], Place | None] | None = None,
        tell: Callable[[str], None] = print,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.control = control
        self.spec = spec
        self.max_total = max_total
        self.max_neural = max_neural
        self.left = left
        self.check = check
        self.place_of = place_of
        self.tell = tell
        self.error: Exception | None = None
        self.unfit: ClusterError | None = None
        self.keys: dict[str, TrialKey] = {}
        self.neural: set[str] = set()
        self.waiting: set[str] = set()
        self.returning: dict[str, Trial] = {}
        self.reasons: dict[str, str] = {}
        self.overdue: set[str] = set()
        self.breaks = Breaks(clock)
        self.places = Places(clock)

    @property
    def is_full(self) -> bool:
        """Whether every slot is taken; a trial that is held back has left its own."""
        return len(self.keys) - len(self.breaks.held) >= self.max_total

    def fits(self, cell: Cell) -> bool:
        """Whether one more trial of a cell has a slot."""
        if self.is_full:
            return False
        return cell.regime == Regime.BOW or len(self.neural - self.breaks.held) < self.max_neural

    def forget(self, trial_id: str) -> TrialKey | None:
        """A trial is over for Tune and leaves its slot. Returns its key, where it had one."""
        self.neural.discard(trial_id)
        self.waiting.discard(trial_id)
        self.returning.pop(trial_id, None)
        self.overdue.discard(trial_id)
        self.breaks.release(trial_id)
        self.places.left(trial_id)
        return self.keys.pop(trial_id, None)

    def put_out(self, place: Place, why: str) -> None:
        """No trial that is asked or repeated from now on is put on a node; why is told.

        Those that are there go on; Ray has been asked already for the workers of those that wait
        for a first one, and may still start them there.
        """
        self.places.put_out(place)
        self.tell(
            f"{place.name} gets no trial that this run asks or repeats from now on, others go on "
            f"elsewhere: {why}"
        )

    def guarded(self, act: Callable[[], Any], otherwise: Any) -> Any:
        """What `act` returns; after an error of ours `otherwise`, from then on."""
        if self.error is not None:
            return otherwise
        try:
            return act()
        except Exception as error:
            self.error = error
            return otherwise
