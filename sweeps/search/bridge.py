"""Bridge: what Tune's plug-ins share of a run.

A slot for every trial that Tune has, which nodes break trials, and the first error of ours.
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
from sweeps.spec.values import SweepSpec
from ulm.regimes import Regime

NOTHING_LEFT: Mapping[str, str] = {}


@dataclass(slots=True)
class Slot:
    """A trial that Tune has.

    Args:
        key: The same trial in the sweep.
        holds_gpu: Whether it holds one where the spec asks for one: all but `bow`.
        is_waiting: Whether no worker has it.
        returning: Tune's trial from the loss of its worker until another has it.
        is_overdue: Whether its worker was ended because it took too long.
        reason: Why it last broke.
    """

    key: TrialKey
    holds_gpu: bool
    is_waiting: bool = True
    returning: Trial | None = None
    is_overdue: bool = False
    reason: str = VANISHED


class Bridge:
    """What Tune's plug-ins share: the control, slots by Tune's id of a trial, the first error.

    Args:
        control: The run.
        spec: The sweep, for the resources of a trial.
        max_total: Trials that may be handed out at once.
        max_neural: How many of them may be of another regime than `bow`, which holds no GPU.
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
        self.slots: dict[str, Slot] = {}
        self.breaks = Breaks(clock)
        self.places = Places(clock)

    @property
    def is_full(self) -> bool:
        """Whether every slot is taken; a trial that is held back has left its own."""
        return len(self.slots) - len(self.breaks.held) >= self.max_total

    @property
    def returning(self) -> tuple[Trial, ...]:
        """Trials whose worker was lost, until another has them."""
        return tuple(slot.returning for slot in self.slots.values() if slot.returning is not None)

    def fits(self, cell: Cell) -> bool:
        """Whether one more trial of a cell has a slot."""
        if self.is_full:
            return False
        held = self.breaks.held
        neural = sum(slot.holds_gpu for id_, slot in self.slots.items() if id_ not in held)
        return cell.regime == Regime.BOW or neural < self.max_neural

    def forget(self, trial_id: str) -> Slot | None:
        """A trial is over for Tune. Returns the slot that it leaves, where it had one."""
        self.breaks.release(trial_id)
        self.places.left(trial_id)
        return self.slots.pop(trial_id, None)

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
