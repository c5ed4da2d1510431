"""Bridge: what Tune's plug-ins share of a run.

The trials that Tune has, which nodes break trials, and the first error of ours.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ray.tune.experiment import Trial

from sweeps.errors import ClusterError
from sweeps.search.breaks import VANISHED, Breaks
from sweeps.search.control import Control
from sweeps.search.places import Place, Places
from sweeps.search.records import TrialKey
from sweeps.spec.cells import Cell
from sweeps.spec.fleet import Slots
from ulm.regimes import Regime

NOTHING_LEFT: Mapping[str, str] = {}


@dataclass(slots=True)
class HandedOut:
    """A trial that Tune has.

    Args:
        key: The same trial in the sweep.
        holds_gpu: Whether it holds one where the spec asks for one: all but `bow`.
        is_waiting: Whether no worker has it.
        lost: Tune's trial from the loss of its worker until another has it.
        is_overdue: Whether its worker was ended because it took too long.
        reason: Why it last broke.
    """

    key: TrialKey
    holds_gpu: bool
    is_waiting: bool = True
    lost: Trial | None = None
    is_overdue: bool = False
    reason: str = VANISHED


class Bridge:
    """What Tune's plug-ins share: the control, trials by Tune's id, the first error.

    Args:
        control: The run.
        slots: Trials that may be handed out at once.
        left: Places of checkpoints that earlier runs left, by `TrialKey.place`.
        check: Raises what must end the run at once; asked at every step.
        place_of: The node on which a trial is; None where there is one alone.
        tell: Hears which nodes are put out, and that trials wait for one.
        clock: Monotonic seconds, for pauses between the attempts of a trial.
    """

    def __init__(
        self,
        control: Control,
        slots: Slots,
        *,
        left: Mapping[str, str] = NOTHING_LEFT,
        check: Callable[[], None] = lambda: None,
        place_of: Callable[[Trial], Place | None] | None = None,
        tell: Callable[[str], None] = print,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.control = control
        self.spec = control.ledger.spec
        self.slots = slots
        self.left = left
        self.check = check
        self.place_of = place_of
        self.tell = tell
        self.error: Exception | None = None
        self.unfit: ClusterError | None = None
        self.handed_out: dict[str, HandedOut] = {}
        self.breaks = Breaks(clock)
        self.places = Places(clock)

    @property
    def is_full(self) -> bool:
        """Whether every slot is taken; a trial that is held back has left its own."""
        return len(self.handed_out) - len(self.breaks.held) >= self.slots.total

    @property
    def lost(self) -> tuple[Trial, ...]:
        """Trials whose worker was lost, in that order, until another has them."""
        return tuple(each.lost for each in self.handed_out.values() if each.lost is not None)

    def room(self) -> Callable[[Cell], bool]:
        """Says of which cells one more trial has a slot, as long as no other is handed out."""
        held = self.breaks.held
        neural = sum(each.holds_gpu for id_, each in self.handed_out.items() if id_ not in held)
        is_full, has_gpu = self.is_full, neural < self.slots.neural
        return lambda cell: not is_full and (has_gpu or cell.regime == Regime.BOW)

    def started(self, trial_id: str) -> None:
        """A worker has a trial."""
        each = self.handed_out[trial_id]
        each.is_waiting, each.lost = False, None

    def came_back(self, trial: Trial) -> None:
        """A trial has lost its worker: of those that are lost it is the last."""
        each = self.handed_out.pop(trial.trial_id)
        each.is_waiting, each.lost = True, trial
        self.handed_out[trial.trial_id] = each

    def forget(self, trial_id: str) -> None:
        """A trial is over for Tune, and leaves its slot."""
        self.breaks.release(trial_id)
        self.places.left(trial_id)
        self.handed_out.pop(trial_id, None)

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
