"""Listener: what a run tells of itself to whoever shows it (pure).

The base shows nothing; `sweeps.live` has those that show something.
"""

from collections.abc import Iterable

from sweeps.search.records import TrialRecord
from sweeps.search.spending import Spent


class RunListener:
    """Hears of a run's trials, and of what is around them."""

    def preparing(self, what: str, done: int, total: int) -> None:
        """Something before the first trial goes on: `done` of `total` documents, files, ..."""

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

    def finished(self) -> None:
        """The run is over; may be called more than once."""
