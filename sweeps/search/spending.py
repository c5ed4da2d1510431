"""Spending: what trials held of the machines, and how much of it came to nothing (pure).

A trial record and its accelerators come in; seconds × accelerators go out. A trial costs from the
moment a worker takes it until it ends or its worker vanishes: waiting for a node costs nothing.
Wasted is what no result rests on: failed attempts, lost ones but for what a later attempt goes on
from, attempts on a choice that was replaced, and epochs that vanished with their worker and were
trained again. A pruned trial is no waste: the search learnt from it. What a killed driver's trials
held after their last epoch is not known and not counted.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from sweeps.search.records import TrialRecord, TrialState


@dataclass(frozen=True, kw_only=True, slots=True)
class Spent:
    """What some trials held.

    Args:
        accelerator_seconds: Seconds × accelerators of all attempts.
        wasted_seconds: Of these, what no result rests on. Of one attempt less than 0, where it goes
            on from what earlier ones held: theirs is counted as wasted.
    """

    accelerator_seconds: float = 0.0
    wasted_seconds: float = 0.0

    def money(self, price_per_accelerator_hour: float | None) -> float | None:
        """What it cost; None where the price is not known."""
        if price_per_accelerator_hour is None:
            return None
        return self.accelerator_seconds / 3600 * price_per_accelerator_hour


def spent_on(
    record: TrialRecord, accelerators: float, *, now: float, is_current: bool = True
) -> Spent:
    """What one attempt held.

    Args:
        record: The attempt.
        accelerators: Accelerators it holds while a worker has it.
        now: Unix seconds up to which a running attempt counts.
        is_current: Whether it still counts: no later attempt and no replaced choice.
    """
    seconds = record.held_seconds(now)
    is_lost = record.state in (TrialState.LOST, TrialState.FAILED) or not is_current
    repeated = min(seconds, record.repeated_seconds)
    wasted = seconds if is_lost else repeated - record.inherited_seconds
    return Spent(accelerator_seconds=seconds * accelerators, wasted_seconds=wasted * accelerators)


def sum_of(parts: Iterable[Spent]) -> Spent:
    """All parts together."""
    accelerator_seconds, wasted_seconds = 0.0, 0.0
    for part in parts:
        accelerator_seconds += part.accelerator_seconds
        wasted_seconds += part.wasted_seconds
    return Spent(accelerator_seconds=accelerator_seconds, wasted_seconds=wasted_seconds)
