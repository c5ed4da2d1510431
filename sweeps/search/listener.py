"""Listener: what a control tells of its trials to whoever shows them (pure)."""

from collections.abc import Iterable
from typing import Protocol

from sweeps.search.records import TrialRecord
from sweeps.search.spending import Spent


class TrialListener(Protocol):
    """Hears of trials; `sweeps.live.progress.RunListener` is one."""

    def recorded(self, records: Iterable[TrialRecord]) -> None:
        """What was recorded before this run."""

    def trial_started(self, record: TrialRecord) -> None:
        """A trial was handed out."""

    def trial_progress(self, record: TrialRecord) -> None:
        """A trial finished an epoch."""

    def trial_ended(self, record: TrialRecord) -> None:
        """A trial finished, was pruned, failed or was lost."""

    def spent(self, spent: Spent) -> None:
        """What the sweep's trials have held until now."""

    def message(self, text: str) -> None:
        """Anything else worth a line."""
