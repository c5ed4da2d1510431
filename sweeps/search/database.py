"""Database: the ledger's storage below Optuna: how it is opened, and whether it can be.

A URL comes in; arguments for the engine, an answer or a `StorageError` with the remedy go out.
Asking makes no database: Optuna makes what is missing when it opens one, and a reader must not.
"""

import os
import shutil
import socket
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import NullPool, create_engine, inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from sweeps.errors import StorageError, SweepError
from sweeps.paths import DRIVER_FILE
from sweeps.storage import read_object
from sweeps.writable import write_below

# The last table, and row of it, that Optuna writes when it makes its tables.
LAST_TABLE = "alembic_version"
STUDIES_TABLE = "studies"
RECORD_TABLE = "experiments"  # of MLflow, which has an `alembic_version` of its own
LOG_HEADER_BYTES = 32  # of SQLite's write-ahead log; it is another after each checkpoint
COPIES = 5
SERVER_ARGUMENTS = {
    "connect_timeout": 15,  # seconds; without a limit a host that drops packets holds a run up
    "keepalives_idle": 30,  # seconds: routers forget a connection that is silent for an epoch
    "keepalives_interval": 10,
    "keepalives_count": 3,
}


def write_ahead(connection: sqlite3.Connection) -> None:
    """Have SQLite write to a log beside the file, which no reader is in the way of.

    A commit costs no seek then, and a writer may be killed at any moment.
    """
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")


class _Connection(sqlite3.Connection):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        try:
            write_ahead(self)
        except sqlite3.Error:
            self.close()
            raise


def connect_arguments(url: str) -> dict[str, Any]:
    """Arguments of the driver's `connect`."""
    if url.startswith("sqlite"):
        return {"timeout": 60.0, "factory": _Connection}
    return dict(SERVER_ARGUMENTS) if url.startswith("postgresql") else {}


def check_takes_database(folder: Path) -> None:
    """Try SQLite where a ledger will be: some network drives have no memory that programs share.

    Raises:
        StorageError: It can not be used there.
    """
    nearest = next(place for place in (folder, *folder.parents) if place.exists())
    try:
        with tempfile.TemporaryDirectory(prefix=".sweep-check-", dir=nearest) as place:
            file = Path(place) / "tried.db"
            with closing(sqlite3.connect(file, factory=_Connection)) as connection, connection:
                connection.execute("CREATE TABLE tried (id INTEGER)")
    except OSError:
        return  # a folder that can not be written at all: `check_storage` says so
    except sqlite3.Error as error:
        raise StorageError(
            f"storage must be on a disk that SQLite can write to, found {folder} ({error}): put it "
            "on a local disk, with a bucket for what machines share, or set ledger.url and "
            "tracking.uri"
        ) from None


def is_made(url: str) -> bool:
    """Whether a driver has made the tables of a ledger.

    Raises:
        StorageError: The database can not be opened, or could not be made.
    """
    try:
        file = make_url(url).database if url.startswith("sqlite") else None
        if file is not None and not Path(file).is_file():  # connecting would make it
            write_below(Path(file).absolute().parent)
            return False
        return _has_tables(url)
    except (SQLAlchemyError, ImportError, OSError) as error:
        raise unusable(url, error) from None


@contextmanager
def readable(url: str) -> Iterator[str]:
    """The URL to read a ledger by: of a copy, where SQLite must not write beside its file.

    With a write-ahead log also readers write there, which they may not in a folder of somebody else
    or on a read-only disk, and must not while a driver on another machine writes: reader and writer
    agree by shared memory, which a network drive does not give them.
    """
    file = Path(make_url(url).database or "") if url.startswith("sqlite") else None
    if file is None or not file.is_file() or _may_be_opened(file):
        yield url
        return
    with tempfile.TemporaryDirectory() as folder:
        _copy_database(file, Path(folder))
        yield f"sqlite:///{folder}/{file.name}"


def _copy_database(file: Path, folder: Path) -> None:
    """Copy a database with its log, anew where the log began anew meanwhile."""
    log = file.with_name(f"{file.name}-wal")

    def stamp() -> tuple[int, int, bytes]:
        status = file.stat()
        head = b""
        if log.is_file():
            with log.open("rb") as opened:
                head = opened.read(LOG_HEADER_BYTES)
        return status.st_size, status.st_mtime_ns, head

    for _ in range(COPIES):
        before = stamp()
        for part in (file, log):
            (folder / part.name).unlink(missing_ok=True)  # the log may have gone meanwhile
            if part.is_file():
                shutil.copyfile(part, folder / part.name)
        if stamp() == before:
            return


def _may_be_opened(ledger: Path) -> bool:
    here = socket.gethostname()
    writer = read_object(ledger.with_name(DRIVER_FILE)).get("host", here)
    return os.access(ledger.parent, os.W_OK) and writer == here


def _has_tables(url: str) -> bool:
    arguments = {} if url.startswith("sqlite") else connect_arguments(url)
    engine = create_engine(url, poolclass=NullPool, connect_args=arguments)
    try:
        with engine.connect() as connection:
            tables = inspect(connection)
            if tables.has_table(RECORD_TABLE) and not tables.has_table(STUDIES_TABLE):
                raise SQLAlchemyError(
                    "an MLflow record is in it, and the ledger needs a database of its own"
                )
            if not tables.has_table(LAST_TABLE):
                return False
            return connection.execute(text(f"SELECT * FROM {LAST_TABLE}")).first() is not None
    finally:
        engine.dispose()


def unusable(url: str, error: Exception) -> StorageError:
    """The error of a ledger that can not be opened, on one line and without a password."""
    return StorageError(
        f"the ledger must be a database that can be opened, found {_shown(url)} "
        f"({reason_of(error)}): "
        f"check `ledger.url`{_to_look_at(url)}"
    )


@contextmanager
def told_when_gone(url: str) -> Iterator[None]:
    """Any error of the ledger's database in a block becomes one message.

    Raises:
        StorageError: The database no longer answers, or refuses.
    """
    try:
        yield
    except SweepError:
        raise
    except Exception as error:  # Optuna's own wrap the database's
        cause = database_error(error)
        if cause is None:
            raise
        raise StorageError(
            f"the ledger's database must answer as long as a sweep runs, found {_shown(url)} "
            f"({reason_of(cause)}): see that it is up and run again; what is recorded stays, and "
            "the sweep goes on from there"
        ) from error


def database_error(error: BaseException | None) -> SQLAlchemyError | None:
    """The error of a database behind an error; None where there is none."""
    while error is not None and not isinstance(error, SQLAlchemyError):
        error = error.__cause__ or error.__context__
    return error


def reason_of(error: Exception) -> str:
    """What a database's driver says, on one line."""
    return str(getattr(error, "orig", None) or error).strip().partition("\n")[0]


def _to_look_at(url: str) -> str:
    if url.startswith("sqlite"):
        return " and the folder's permissions"
    if url.startswith("postgresql"):
        return (
            ", the server, whether the database is there (createdb), the driver "
            '(pip install "psycopg[binary]") and the password, '
            "which no record keeps: in the URL of the spec, in PGPASSWORD or in ~/.pgpass"
        )
    return "; a sqlite:/// or postgresql:// URL"


def _shown(url: str) -> str:
    try:
        return make_url(url).render_as_string(hide_password=True)
    except SQLAlchemyError:
        return url.rpartition("@")[2]
