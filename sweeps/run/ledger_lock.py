"""Ledger lock: one driver per sweep, on whichever machines, where the ledger is a server.

The server holds the lock for as long as a connection lives, so that it is free again soon after a
driver was killed or its machine has vanished. A second driver is refused with the process and
machine of the first, which is the name of that connection.
"""

from collections.abc import Iterator
from contextlib import contextmanager

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
def ledger_lock(url: str, sweep: str) -> Iterator[None]:
    """Hold the lock of a sweep on the server of its ledger; nothing happens where that is a file.

    Args:
        url: Of the ledger.
        sweep: Name of the sweep.

    Raises:
        StorageError: Another driver holds it, or the server does not answer.
    """
    if make_url(url).get_backend_name() != "postgresql":
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
