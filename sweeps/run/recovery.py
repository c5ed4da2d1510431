"""Recovery: a machine takes back what another one copied to the bucket of a sweep.

The paths of a sweep come in; where its ledger is missing here, or the copy on the storage holds
more, the copy becomes the ledger and a run is the ordinary resume. The one that holds more finished
trials wins, of equal ones the one with more attempts and epochs; where each has some that the other
lacks, two machines ran the sweep at once and nothing is touched. A bucket holds whole files only,
so that two of them can not mix.
"""

import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Self

from sweeps.errors import StorageError
from sweeps.paths import SweepPaths
from sweeps.run.driver import driver_lock
from sweeps.search.database import is_made
from sweeps.search.records import TrialKey, TrialRecord
from sweeps.search.studies import OptunaStudies
from sweeps.storage import get_file, info_of, list_files, read_object, told_when_unreadable


class Choice(Enum):
    """Which of two ledgers of one sweep a machine goes on from."""

    LOCAL = "local"
    COPY = "copy"
    NEITHER = "neither"  # each would lose what only the other holds


@dataclass(frozen=True, kw_only=True, slots=True)
class Held:
    """What a ledger holds.

    Args:
        ended: Trials that have ended and count.
        attempts: All that were begun.
        epochs: Of all of them.
    """

    ended: frozenset[TrialKey] = frozenset()
    attempts: frozenset[TrialKey] = frozenset()
    epochs: int = 0

    @classmethod
    def of(cls, records: Sequence[TrialRecord]) -> Self:
        """What these records hold."""
        return cls(
            ended=frozenset(record.key for record in records if record.state.counts),
            attempts=frozenset(record.key for record in records),
            epochs=sum(len(record.progress) for record in records),
        )

    def is_earlier_than(self, other: Self) -> bool:
        """Whether the other has all of its attempts, and more of them or more epochs."""
        if self.attempts == other.attempts:
            return self.epochs < other.epochs
        return self.attempts < other.attempts


def choose(local: Held, copy: Held) -> Choice:
    """The ledger that holds every trial that has ended in the other, in whichever attempt.

    Where both hold the same, the copy is taken if this one is earlier: there a trial goes on.

    Args:
        local: In the ledger of this machine.
        copy: In the copy on the storage.
    """
    if local.ended == copy.ended and local.is_earlier_than(copy):
        return Choice.COPY
    keys, places = (local.ended, copy.ended), (_places(local.ended), _places(copy.ended))
    for one, other in (keys, places):
        if other <= one:
            return Choice.LOCAL
        if one <= other:
            return Choice.COPY
    return Choice.NEITHER


def take_back(paths: SweepPaths, tell: Callable[[str], None]) -> None:
    """Go on from the copy of a bucket where it holds more than this machine.

    Args:
        paths: Of the sweep; nothing happens where its storage is a folder.
        tell: Hears, in a line, what was taken.

    Raises:
        StorageError: The copy can not be read, another driver is at work here, two machines have
            each ended trials that the other lacks, or another sweep of that name is in the way.
    """
    if not paths.is_remote:
        return
    place = paths.shared(paths.folder)
    with told_when_unreadable(place):
        if info_of(paths.shared(paths.ledger_db)) is not None:
            _compare(paths, place, tell)
        elif not paths.spec_json.is_file() and info_of(paths.shared(paths.spec_json)) is not None:
            with driver_lock(paths):
                _take_small_files(paths)


def _compare(paths: SweepPaths, place: str, tell: Callable[[str], None]) -> None:
    with tempfile.TemporaryDirectory(prefix="ledger-") as folder:
        file = Path(folder) / paths.ledger_db.name
        get_file(paths.shared(paths.ledger_db), file)
        local, copy = _held(paths.ledger_db, paths.name), _held_by_copy(file, paths)
    is_new = not paths.ledger_db.is_file()
    choice = Choice.COPY if is_new else choose(local, copy)
    if choice is Choice.NEITHER:
        here, there = len(local.ended - copy.ended), len(copy.ended - local.ended)
        raise StorageError(
            f"one ledger must hold every trial that has ended, found {here} only in "
            f"{paths.ledger_db} and {there} only in {place}: two machines ran this "
            f"sweep at once. To go on from the storage, move {paths.folder} away; to go on from "
            f"this machine, move {paths.shared(paths.ledger_db)} away"
        )
    if choice is Choice.COPY:
        _refuse_another(paths, place)
        aside = _take(paths, keep=not local.attempts <= copy.attempts)
        told = f"took back {len(copy.ended)} recorded trials from {place}"
        tell(f"{told}; the older ledger is kept as {aside}" if aside else told)


def _refuse_another(paths: SweepPaths, place: str) -> None:
    """Refuse to put a copy in place of a sweep of that name whose storage is another."""
    storage = read_object(paths.spec_json).get("storage", paths.storage)
    here = SweepPaths(storage=storage, name=paths.name).storage
    # Options only say how to get there.
    if here.partition("?")[0] == paths.storage.partition("?")[0]:
        return
    raise StorageError(
        f"the working copy of {place} must be of that storage, found in {paths.folder} a sweep of "
        f"that name whose storage is {storage}: move it away, or call from another folder"
    )


def _take(paths: SweepPaths, *, keep: bool) -> Path | None:
    """Make the copy the ledger; the ledger comes last, so that one who is killed starts again."""
    with driver_lock(paths):
        _take_small_files(paths)
        aside = _put_aside(paths.ledger_db, keep)
        get_file(paths.shared(paths.ledger_db), paths.ledger_db)
        return aside


def _take_small_files(paths: SweepPaths) -> None:
    for file in (paths.summary_json, paths.report_stamp, paths.spec_json):
        if info_of(paths.shared(file)) is not None:
            get_file(paths.shared(file), file)
    if info_of(paths.shared(paths.run_log)) is not None:
        _take_log(paths.run_log, paths.shared(paths.run_log))
    for info in list_files(paths.shared(paths.report)):
        file = paths.report / info.base_name
        get_file(paths.shared(file), file)


def _take_log(file: Path, copy: str) -> None:
    """Go on from the copy of a log, with the lines of this machine that it lacks."""
    own = file.read_bytes().splitlines(keepends=True) if file.is_file() else []
    get_file(copy, file)
    known = set(file.read_bytes().splitlines(keepends=True))
    with file.open("ab") as log:
        log.writelines(line for line in own if line not in known)


def _put_aside(ledger: Path, keep: bool) -> Path | None:
    """Rename or delete a ledger with its write-ahead log, which must never meet another ledger."""
    kept = ledger.with_name(f"{ledger.stem}-{int(time.time())}{ledger.suffix}")
    for suffix in ("", "-wal", "-shm"):
        file = Path(f"{ledger}{suffix}")
        if not file.exists():
            continue
        if keep:
            file.rename(f"{kept}{suffix}")
        else:
            file.unlink()
    return kept if keep and kept.exists() else None


def _held(ledger: Path, name: str) -> Held:
    """What a ledger holds; nothing where no run was."""
    url = f"sqlite:///{ledger}"
    if not (ledger.is_file() and is_made(url)):
        return Held()
    with closing(OptunaStudies(url, name)) as studies:
        return Held.of(studies.read())


def _held_by_copy(file: Path, paths: SweepPaths) -> Held:
    try:
        return _held(file, paths.name)
    except StorageError as error:
        place = paths.shared(paths.ledger_db)
        raise StorageError(
            f"the copy of a ledger must be a database that can be opened, found {place} ({error}); "
            "move it away to go on from this machine alone"
        ) from error


def _places(trials: frozenset[TrialKey]) -> frozenset[object]:
    return frozenset((key.study, key.number) for key in trials)
