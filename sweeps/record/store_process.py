"""A run store in a process of its own, so that recording takes no time from the driver.

A tracking library takes tens of milliseconds of CPU for a run and seconds to load, and holds
Python's lock meanwhile: in the driver, the thread that schedules trials would wait for it. Calls of
a `RunStore` come in and go through a pipe to a process that has the real one; answers come back.
The process ends with the driver, however that ends. Where it is gone, the next call starts another:
every call may be repeated, as a `RunStore`'s may.
"""

import os
import pickle
import sqlite3
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from sqlalchemy import Engine, event

from sweeps.errors import describe_error
from sweeps.garbage import collect_rarely
from sweeps.programs import PYTHON, with_this_code
from sweeps.record.models import FittedModel
from sweeps.record.record_file import PART
from sweeps.record.record_place import RecordPlace
from sweeps.record.runs import Run
from sweeps.search.database import write_ahead

NICENESS = 19  # behind the driver, Ray's start and trials, which have Ray's 15
COMMAND = (*PYTHON, "-W", "ignore", "-m", "sweeps.record.store_process")


class StoreError(Exception):
    """A call failed; the text is what the real store's error says, without passwords."""


class StoreProcess:
    """A `RunStore` on an MLflow server.

    Args:
        place: Where the runs are.
    """

    def __init__(self, place: RecordPlace) -> None:
        self._place = place
        self._process: subprocess.Popen[bytes] | None = None

    def apply(self, run: Run, parent: Run | None) -> None:
        """See `RunStore`."""
        self._call("apply", run, parent)

    def close_strays(self, keys: frozenset[str]) -> None:
        """See `RunStore`."""
        self._call("close_strays", keys)

    def attach(self, run: Run, file: Path) -> None:
        """See `RunStore`."""
        self._call("attach", run, file)

    def keep_model(self, run: Run, model: FittedModel) -> None:
        """See `RunStore`."""
        self._call("keep_model", run, model)

    def close(self) -> None:
        """See `RunStore`; a call that still waits for the server is broken off."""
        process, self._process = self._process, None
        if process is not None:
            with suppress(BrokenPipeError), process:
                process.kill()

    def _call(self, method: str, *arguments: Any) -> None:
        """Have a method called.

        Raises:
            StoreError: It has raised, or the process is gone.
        """
        process = self._process or self._started()
        try:
            _send(process.stdin, (method, arguments))
            assert process.stdout is not None, "it has a pipe"
            error: str | None = pickle.load(process.stdout)
        except (OSError, EOFError) as gone:
            self.close()
            raise StoreError("the process that records has ended") from gone
        if error is not None:
            raise StoreError(error)

    def _started(self) -> subprocess.Popen[bytes]:
        # A group of its own: Ctrl-C is for the driver, which then still has to record. No session:
        # Linux shares processors by session, and its niceness would count for nothing.
        self._process = subprocess.Popen(
            COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=with_this_code(os.environ),
            process_group=0,
        )
        _send(self._process.stdin, self._place)
        return self._process


def _send(pipe: IO[bytes] | None, message: Any) -> None:
    assert pipe is not None, "it has a pipe"
    pickle.dump(message, pipe)
    pipe.flush()


def serve(calls: IO[bytes], answers: IO[bytes]) -> None:
    """Call the real store until the driver is gone.

    Args:
        calls: A `RecordPlace`, then (method, arguments) each.
        answers: The text of an error each, or None.
    """
    from sweeps.record.mlflow_store import MlflowStore

    store = MlflowStore(pickle.load(calls))
    while True:
        try:
            method, arguments = pickle.load(calls)
        except EOFError:
            return
        error: str | None = None
        try:
            getattr(store, method)(*arguments)
        except Exception as raised:  # whatever the server or its client comes up with
            error = describe_error(raised)
            store.close()  # what the server holds is unknown now
        _send(answers, error)


def on_connect(connection: Any, record: Any) -> None:
    """Have a new connection to SQLite write ahead: a run takes seven commits.

    What a power cut takes is made up from the ledger. A database that is still being made
    (`make_whole`) is moved: its log would stay behind.
    """
    if isinstance(connection, sqlite3.Connection):
        _, _, file = connection.execute("PRAGMA database_list").fetchone()
        if not file.endswith(PART):
            write_ahead(connection)


def main() -> None:
    """Serve the driver that started this process; what libraries print goes to stderr."""
    collect_rarely()
    os.nice(NICENESS)
    event.listen(Engine, "connect", on_connect)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    try:
        serve(sys.stdin.buffer, answers)
    except BrokenPipeError:
        return  # the driver was killed while it waited


if __name__ == "__main__":
    main()
