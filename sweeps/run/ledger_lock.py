"""Ledger lock: one driver per sweep where the ledger is not in the sweep's folder.

A file has a lock beside it. A server holds the lock for as long as a connection lives, so that it
is free again soon after a driver was killed or its machine has vanished. A second driver is refused
with the process and machine of the first, which is the name of that connection.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from sqlalchemy import Connection, NullPool, create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from sweeps.run.driver import busy, this_driver
from sweeps.search.database import connect_arguments, unusable

KEY = "hashtextextended('ulm-sweeps ' || :sweep, 0)"
LOCK = text(f"SELECT pg_try_advisory_lock({KEY})")
OWNER = text(
    "SELECT application_name FROM pg_stat_activity JOIN pg_locks USING (pid) "
    "WHERE locktype = 'advisory' AND granted AND objsubid = 1 "
    f"AND (classid::bigint << 32 | objid::bigint) = {KEY}"
)
# How the server asks whether a silent driver is still there: 30 seconds, not its usual two hours.
KEEPALIVE = {"idle": 10, "interval": 5, "count": 4}


@contextmanager
def ledger_lock(url: str | None, sweep: str) -> Iterator[None]:
    """Hold the lock of a sweep on its ledger; only PostgreSQL and SQLite have one.

    Args:
        url: Of the ledger; None where it is in the sweep's folder, which has a lock of its own.
        sweep: Name of the sweep.

    Raises:
        StorageError: Another driver holds it, or the server does not answer.
    """
    backend = None if url is None else make_url(url).get_backend_name()
    if url is not None and backend == "sqlite":
        with _file_lock(url, sweep):
            yield
        return
    if url is None or backend != "postgresql":
        yield
        return
    try:
        engine = create_engine(url, poolclass=NullPool, connect_args=connect_arguments(url))
        connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
    except (SQLAlchemyError, ImportError) as error:
        raise unusable(url, error) from None
    with connection:
        _lock(connection, url, sweep)
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
        raise busy("another one", str(file)) from None
    except OSError as error:
        raise unusable(url, error) from None
    try:
        yield
    finally:
        lock.release()


def _lock(connection: Connection, url: str, sweep: str) -> None:
    connection.execute(
        text("SELECT set_config('application_name', :name, false)"), {"name": this_driver()}
    )
    for name, value in KEEPALIVE.items():
        connection.execute(text(f"SET tcp_keepalives_{name} = {value}"))
    if not connection.execute(LOCK, {"sweep": sweep}).scalar_one():
        owner = connection.execute(OWNER, {"sweep": sweep}).scalar()
        place = make_url(url).render_as_string(hide_password=True)
        raise busy(owner or "another one", place)
