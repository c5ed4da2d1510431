"""Places: on which node each trial is, and which nodes are put out (pure).

A node with a fault breaks a trial in seconds and is free again at once: it would draw every trial
of the sweep. It is put out in three cases. `broke`: trials of several cells that broke there ended
elsewhere, and none ended there meanwhile; what breaks every trial, as a storage that does not
answer, or always the same, as a mistake in one regime, gives no such evidence. `suspects`: trials
of several cells in a row broke for good, some of them there, where nothing else is at work, while
another node is at work; that is weaker, but waiting for more would cost the sweep its trials.
`unfit`: a trial found that its node must not train, by its versions, its GPU or the storage, and
another is at work.
"""

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from sweeps.search.breaks import CELLS_IN_A_ROW, TOO_LARGE

MOST_UNFIT = 2
"""Nodes that are put out because they are not fit: of more it is likely that all are not."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """A node.

    Args:
        node: Ray's id of it.
        name: For people.
    """

    node: str
    name: str


@dataclass(slots=True)
class _Row:
    """What broke on a node since a trial last ended there: trials, and cells that did elsewhere."""

    trials: set[str] = field(default_factory=set)
    cleared: set[str] = field(default_factory=set)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Stay:
    place: Place
    holds_gpu: bool
    since: float


class Places:
    """The nodes of one run.

    Args:
        clock: Monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._stays: dict[str, _Stay] = {}
        self._rows: dict[str, _Row] = {}
        self._broken_on: dict[str, dict[str, Place]] = {}  # trial → nodes
        self._out: dict[str, Place] = {}
        self._unfit: set[str] = set()

    @property
    def avoided(self) -> str:
        """Ids of the nodes that are out, with commas between."""
        return ",".join(sorted(self._out))

    def began(self, trial_id: str, place: Place | None, *, holds_gpu: bool) -> None:
        """A node has a trial; which one is not always known."""
        if place is None:
            self.left(trial_id)
        else:
            self._stays[trial_id] = _Stay(place=place, holds_gpu=holds_gpu, since=self._clock())

    def left(self, trial_id: str) -> None:
        """A trial is no longer on its node."""
        self._stays.pop(trial_id, None)

    def ended(self, trial_id: str, cell_id: str) -> None:
        """A trial finished, was pruned or diverged, where it was last."""
        stay = self._stays.get(trial_id)
        if stay is None:
            return
        self._rows.pop(stay.place.node, None)
        for row in self._rows.values():
            if trial_id in row.trials:
                row.cleared.add(cell_id)

    def broke(self, trial_id: str, reason: str) -> Place | None:
        """A trial broke where it was. Returns that node where it is to be put out.

        Never where no other has a trial of its kind: the last one would leave none for the rest.
        """
        stay = self._stays.pop(trial_id, None)
        if stay is None or reason in TOO_LARGE or stay.place.node in self._out:
            return None
        self._broken_on.setdefault(trial_id, {})[stay.place.node] = stay.place
        row = self._rows.setdefault(stay.place.node, _Row())
        row.trials.add(trial_id)
        is_at_fault = len(row.cleared) >= CELLS_IN_A_ROW
        is_last = not self._at_work(holds_gpu=stay.holds_gpu) - {stay.place.node}
        return stay.place if is_at_fault and not is_last else None

    def suspects(
        self, trial_ids: Iterable[str], *, holds_gpu: bool, since: float
    ) -> tuple[Place, ...] | None:
        """The nodes on which trials broke for good while another of their kind is at work.

        One that is at work itself does what it should: where all of them are, the trials are at
        fault, and neither a node is put out nor need the run end.

        Args:
            trial_ids: Those that broke.
            holds_gpu: Of which kind.
            since: Monotonic seconds: a node at work has a trial from before then.

        Returns:
            None where no node is at work: then nothing speaks for any of them.
        """
        at_work = self._at_work(holds_gpu=holds_gpu, since=since)
        if not at_work:
            return None
        nodes: dict[str, Place] = {}
        for trial_id in trial_ids:
            nodes |= self._broken_on.get(trial_id, {})
        spared = at_work | self._out.keys()
        return tuple(place for node, place in nodes.items() if node not in spared)

    def unfit(self, trial_id: str) -> Place | None:
        """A trial found that its node must not train. Returns that node where it is or goes out.

        Never where no other has a trial of its kind, and not the third.
        """
        stay = self._stays.pop(trial_id, None)
        if stay is None:
            return None
        node = stay.place.node
        if node in self._out:  # it was handed out before
            return stay.place
        self._unfit.add(node)
        is_last = not self._at_work(holds_gpu=stay.holds_gpu) - {node}
        return None if is_last or len(self._unfit) > MOST_UNFIT else stay.place

    def is_out(self, place: Place) -> bool:
        """Whether a node is put out already."""
        return place.node in self._out

    def put_out(self, place: Place) -> None:
        """No trial that is asked or repeated from now on is put on a node."""
        self._out[place.node] = place
        self._rows.pop(place.node, None)

    def names(self, trial_id: str) -> str:
        """The nodes on which a trial broke, for people; empty where none is known."""
        return ", ".join(place.name for place in self._broken_on.get(trial_id, {}).values())

    def _at_work(self, *, holds_gpu: bool, since: float = math.inf) -> set[str]:
        """The nodes, of those not out, that have a trial of a kind from before a time."""
        return {
            stay.place.node
            for stay in self._stays.values()
            if stay.holds_gpu == holds_gpu and stay.since < since
        } - self._out.keys()
