"""Ledger lock: one driver per sweep where the ledger is not in the sweep's folder.

A file has a lock beside it. A server holds the lock for as long as a connection lives, so that it
is free again soon after a driver was killed or its machine has vanished. A second driver is refused
with the process and machine of the first, which is the name of that connection. A connection also
ends without that: a server is restarted, a pooler or an administrator ends what is idle for hours.
So a thread looks at it and takes the lock anew; where another driver came first, this one is told.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from sqlalchemy import Connection, NullPool, create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from sweeps.errors import StorageError
from sweeps.run.driver import OTHER, busy, this_driver
from sweeps.search.database import connect_arguments, unusable

LOOK_SECONDS = 5.0  # between a restart of the server and the next look the lock is free
PATIENCE_SECONDS = 10.0  # for a look that is under way when the run ends
NAME_LENGTH = 63  # what PostgreSQL keeps of a connection's name
KEY = "hashtextextended('ulm-sweeps ' || :sweep, 0)"
LOCK = text(f"SELECT pg_try_advisory_lock({KEY})")
OWNER = text(
    "SELECT application_name FROM pg_stat_activity JOIN pg_locks USING (pid) "
    "WHERE locktype = 'advisory' AND granted AND objsubid = 1 "
    f"AND (classid::bigint << 32 | objid::bigint) = {KEY}"
)
# Only where the server has it (PostgreSQL 14).
NEVER_IDLE = text(
    "SELECT set_config(name, '0', false) FROM pg_settings WHERE name = 'idle_session_timeout'"
)
# How the server asks whether a silent driver is still there: 30 seconds, not its usual two hours.
KEEPALIVE = {"idle": 10, "interval": 5, "count": 4}


@contextmanager
def ledger_lock(
    url: str | None,
    sweep: str,
    ousted: Callable[[StorageError], None],
    *,
    look_seconds: float = LOOK_SECONDS,
) -> Iterator[None]:
    """Hold the lock of a sweep on its ledger; only PostgreSQL and SQLite have one.

    Args:
        url: Of the ledger; None where it is in the sweep's folder, which has a lock of its own.
        sweep: Name of the sweep.
        ousted: Hears, from another thread, that another driver has taken a lock that was lost.
        look_seconds: Pause between two looks at a server's lock.

    Raises:
        StorageError: Another driver holds it, or the server does not answer.
    """
    backend = None if url is None else make_url(url).get_backend_name()
    if url is not None and backend == "sqlite":
        with _file_lock(url, sweep):
            yield
    elif url is not None and backend == "postgresql":
        with _server_lock(url, sweep, ousted, look_seconds):
            yield
    else:
        yield


@contextmanager
def _file_lock(url: str, sweep: str) -> Iterator[None]:
    file = Path(str(make_url(url).database))
    if not file.parent.is_dir():  # which the lock would make
        raise unusable(url, FileNotFoundError(f"{file.parent} is no folder"))
    lock = FileLock(file.with_name(f".{file.name}-{sweep}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise busy(OTHER, str(file)) from None
    except OSError as error:
        raise unusable(url, error) from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _server_lock(
    url: str, sweep: str, ousted: Callable[[StorageError], None], look_seconds: float
) -> Iterator[None]:
    try:
        connection = _connect(url)
    except (SQLAlchemyError, ImportError) as error:
        raise unusable(url, error) from None
    owner = _owner(connection, sweep)
    if owner is not None:
        connection.close()
        raise _busy(owner, url)
    stop = threading.Event()

    def look() -> None:
        nonlocal connection
        try:
            while not stop.wait(look_seconds):
                if _is_alive(connection):
                    continue
                connection.close()
                try:
                    connection = _connect(url)
                    owner = _owner(connection, sweep)
                except SQLAlchemyError:  # the run ends by itself where that goes on
                    connection.close()  # it may be alive, and has no lock
                    continue
                if owner == this_driver()[:NAME_LENGTH]:  # the server has yet to miss it
                    connection.close()
                elif owner is not None:
                    ousted(_busy(owner, url))
                    return
        finally:
            connection.close()

    thread = threading.Thread(target=look, name="ledger lock", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(PATIENCE_SECONDS)


def _connect(url: str) -> Connection:
    """A connection that a server keeps, and which has the name of this driver."""
    engine = create_engine(url, poolclass=NullPool, connect_args=connect_arguments(url))
    connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
    connection.execute(
        text("SELECT set_config('application_name', :name, false)"), {"name": this_driver()}
    )
    connection.execute(NEVER_IDLE)
    for name, value in KEEPALIVE.items():
        connection.execute(text(f"SET tcp_keepalives_{name} = {value}"))
    return connection


def _is_alive(connection: Connection) -> bool:
    try:
        connection.execute(text("SELECT 1"))
    except SQLAlchemyError:
        return False
    return True


def _owner(connection: Connection, sweep: str) -> str | None:
    """Take the lock. Returns None where this connection has it, else who has."""
    if connection.execute(LOCK, {"sweep": sweep}).scalar_one():
        return None
    return connection.execute(OWNER, {"sweep": sweep}).scalar() or OTHER


def _busy(owner: str, url: str) -> StorageError:
    return busy(owner, make_url(url).render_as_string(hide_password=True))
