"""Tracking: whether the server of a spec can be reached, asked before anything is trained.

A tracking URI comes in; nothing or a `TrackingError` with the remedy goes out, within seconds. The
check creates nothing: a SQLite file is only checked for being one, or for a folder it can be made
in.
"""

import os
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from sweeps.disk import SQLITE
from sweeps.errors import OutageError, TrackingError, describe_error
from sweeps.passwords import redact_uri

if TYPE_CHECKING:
    from sqlalchemy import Engine

LEDGER_TABLE = "studies"
_HOLDS_A_LEDGER = "a ledger is in it, and MLflow needs a database of its own"

_REMEDY = (
    "start the server or correct tracking.uri; `tracking: {uri: null}` records to SQLite beside "
    "the sweep"
)


def is_server(uri: str) -> bool:
    """Whether a tracking URI names a server, which has a place for artifacts, or a database."""
    return uri.startswith(("http://", "https://", "databricks"))


def _check_sqlite(path: Path) -> None:
    if path.exists():
        with closing(sqlite3.connect(f"file:{path}?mode=rw", uri=True)) as connection:
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
        if LEDGER_TABLE in tables:
            raise ValueError(_HOLDS_A_LEDGER)
        return
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if not (folder.is_dir() and os.access(folder, os.W_OK)):
        raise PermissionError(f"{folder} is not a folder that can be written")


def _check_database(engine: "Engine") -> None:
    from sqlalchemy import inspect

    with engine.connect() as connection:
        if inspect(connection).has_table(LEDGER_TABLE):
            raise ValueError(_HOLDS_A_LEDGER)


def _probe(uri: str, timeout_seconds: float) -> Callable[[], object]:
    """A call that raises unless the store answers; imports are done before it is timed."""
    scheme = uri.partition(":")[0]
    if scheme == "sqlite":
        return lambda: _check_sqlite(Path(uri.removeprefix(SQLITE)))
    if scheme.partition("+")[0] in ("postgresql", "mysql", "mssql"):
        from sqlalchemy import NullPool, create_engine

        timeout = {"connect_timeout": max(1, int(timeout_seconds))}
        return lambda: _check_database(create_engine(uri, poolclass=NullPool, connect_args=timeout))
    from sweeps.record.mlflow_client import open_client

    client = open_client(uri)
    return lambda: client.search_experiments(max_results=1)


def _unusable(
    shown: str, error: Exception, kind: type[TrackingError] = TrackingError
) -> TrackingError:
    reason = describe_error(error)
    return kind(f"the tracking store at {shown} cannot be used ({reason}): {_REMEDY}")


def _database(url: str) -> tuple[str, str]:
    """Kind and place of a database, whatever its driver and its user."""
    scheme, _, place = url.partition("://")
    return scheme.partition("+")[0], place.rpartition("@")[2]


def check_tracking(
    uri: str, ledger_url: str | None = None, *, timeout_seconds: float = 15.0
) -> None:
    """Ask a tracking store for a sign of life.

    Args:
        uri: Tracking URI: sqlite, postgresql, mysql, http or https.
        ledger_url: URL of the ledger, which must be another database: both have a table of one
            name, and the one that comes second can not be made.
        timeout_seconds: How long to wait for an answer.

    Raises:
        TrackingError: It is of a kind MLflow no longer has, a file that is none, or holds a ledger;
            the text names the store without its password, and the remedy.
        OutageError: It is a server that does not answer, or with an error.
    """
    shown = redact_uri(uri)
    if uri.startswith("file:") or ("://" not in uri and not uri.startswith("databricks")):
        raise TrackingError(
            f"tracking.uri must be a database or a server, found {shown}: MLflow no longer records "
            "to plain folders; use sqlite:////absolute/path/mlflow.db or http://host:port"
        )
    if ledger_url is not None and _database(ledger_url) == _database(uri):
        raise _unusable(shown, ValueError("it is ledger.url too; make a database for each"))
    errors: list[Exception] = []

    def ask() -> None:
        try:
            probe()
        except Exception as error:  # each kind of server has its own
            errors.append(error)

    try:
        probe = _probe(uri, timeout_seconds)
    except Exception as error:  # e.g. an unknown scheme or a missing database driver
        raise _unusable(shown, error) from None
    thread = threading.Thread(target=ask, name="check-tracking", daemon=True)
    thread.start()
    thread.join(timeout_seconds)
    if thread.is_alive():
        raise OutageError(
            f"the tracking server at {shown} did not answer in {timeout_seconds:g} s: {_REMEDY}"
        )
    if errors:
        is_ours = uri.startswith(SQLITE) or str(errors[0]) == _HOLDS_A_LEDGER
        raise _unusable(shown, errors[0], TrackingError if is_ours else OutageError) from None
