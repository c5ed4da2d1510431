"""Freshness: whether a report still shows what is recorded, so that it need not be drawn again.

A ledger, its spec and a sweep's summary become one digest, kept beside the report; a report is
fresh where all its files are there and the digest is the one it was made from. The sources of
report and record count too: what an earlier version made is made again. Beside the digest stand
the answer, and which tracking record was brought up to it, so that a run with nothing new need not
open it; a run that is killed before its record is complete leaves no such mark.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from sweeps.paths import SweepPaths
from sweeps.search.ledger import Ledger
from sweeps.spec.load import spec_to_json
from sweeps.storage import read_object, write_whole


def digest_of(paths: SweepPaths, ledger: Ledger) -> str:
    """SHA-256, in hexadecimal, of all that a report and the tracking record are made from."""
    content = hashlib.sha256(spec_to_json(ledger.spec).encode())
    for record in ledger.attempts:
        content.update(json.dumps(asdict(record), sort_keys=True, default=str).encode())
    rooms = (Path(__file__).parents[1] / name for name in ("answer", "record", "report"))
    sources = sorted(path for room in rooms for path in room.iterdir() if path.is_file())
    for path in (paths.summary_json, *sources):
        content.update(path.read_bytes() if path.is_file() else b"")
    return content.hexdigest()


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """A report that was written.

    Args:
        files: Its files.
        answer: The sentences it says first.
        record: The tracking record that was brought up to it; empty where none is known to be.
    """

    files: tuple[Path, ...]
    answer: tuple[str, ...]
    record: str = ""


def remember(paths: SweepPaths, digest: str, report: Report) -> None:
    """Keep what a report was made from and what it says; called when all files are written."""
    files = [file.name for file in report.files]
    told = {"digest": digest, "files": files, "answer": list(report.answer)}
    write_whole(paths.report_stamp, json.dumps(told).encode())


def confirm_record(paths: SweepPaths, record: str) -> None:
    """Keep that the tracking record shows all that the report shows; `record` says which one."""
    told = read_object(paths.report_stamp)
    if told:
        write_whole(paths.report_stamp, json.dumps({**told, "record": record}).encode())


def forget(paths: SweepPaths) -> None:
    """Call the report stale; called before it is written."""
    paths.report_stamp.unlink(missing_ok=True)


def fresh_report(paths: SweepPaths, digest: str) -> Report | None:
    """The report where it was made from what the digest stands for, else none."""
    told = read_object(paths.report_stamp)
    if told.get("digest") != digest:
        return None
    files = tuple(paths.report / name for name in told["files"])
    if not all(file.is_file() for file in files):
        return None
    return Report(files=files, answer=tuple(told["answer"]), record=told.get("record", ""))
