"""A recorder that is opened late: not at all by a run that has nothing new to tell.

Opening a tracking server's library costs seconds. What a run tells before it is known whether there
is anything new is kept here; the first event of a trial, or `open`, opens the real recorder and
tells it all of that.
"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from sweeps.answer.results import ResultRow
from sweeps.record.models import FittedModel
from sweeps.record.recorder import Recorder
from sweeps.search.records import TrialRecord
from sweeps.search.spending import Spent


class LateRecorder:
    """A `Recorder` around one that is made when it is needed.

    Args:
        make: Makes it.
    """

    def __init__(self, make: Callable[[], Recorder]) -> None:
        self._make = make
        self._recorder: Recorder | None = None
        self._records: tuple[TrialRecord, ...] = ()
        self._superseded: tuple[TrialRecord, ...] = ()
        self._spent = Spent()

    def open(self) -> Recorder:
        """The real recorder, which knows what was told so far."""
        if self._recorder is None:
            self._recorder = self._make()
            self._recorder.reconcile(self._records, self._superseded)
            self._recorder.spent(self._spent)
        return self._recorder

    def started(self, record: TrialRecord) -> None:
        """See `Recorder`."""
        self.open().started(record)

    def progressed(self, record: TrialRecord) -> None:
        """See `Recorder`."""
        self.open().progressed(record)

    def ended(self, record: TrialRecord) -> None:
        """See `Recorder`."""
        self.open().ended(record)

    def spent(self, spent: Spent) -> None:
        """See `Recorder`."""
        self._spent = spent
        if self._recorder is not None:
            self._recorder.spent(spent)

    def reconcile(
        self, records: Iterable[TrialRecord], superseded: Iterable[TrialRecord] = ()
    ) -> None:
        """See `Recorder`."""
        self._records, self._superseded = tuple(records), tuple(superseded)
        if self._recorder is not None:
            self._recorder.reconcile(self._records, self._superseded)

    def publish(
        self,
        rows: Sequence[ResultRow],
        files: Sequence[Path],
        models: Sequence[FittedModel] = (),
        answer: Sequence[str] = (),
    ) -> None:
        """See `Recorder`."""
        self.open().publish(rows, files, models, answer)

    def close(self) -> bool:
        """See `Recorder`; one that was never opened has nothing left to record."""
        return True if self._recorder is None else self._recorder.close()
