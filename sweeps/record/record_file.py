"""Record file: MLflow's SQLite database beside a sweep, which MLflow itself need not open here.

A tracking URI or a file comes in. A database appears whole when it is made, knows where its
artifacts lie when it was moved, and says how much it shows.
"""

import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

from filelock import FileLock

from sweeps.disk import SQLITE

PART = ".part"  # ends the name of a database that is being made
_ARTIFACT_COLUMNS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
)
"""Tables and columns of MLflow's database that hold where artifacts lie."""


def make_whole(uri: str, make: Callable[[str], object]) -> None:
    """Make a SQLite database that is missing, beside its place and then moved there.

    A process that is killed while it makes the tables would leave a file that can never be opened.

    Args:
        uri: Tracking URI; nothing is done where it is no SQLite file, or the file is there.
        make: Makes the database that a URI names.
    """
    if not uri.startswith(SQLITE):
        return
    file = Path(uri.removeprefix(SQLITE))
    if file.exists():
        return
    beside = file.with_name(f"{file.name}{PART}")
    with FileLock(file.with_name(f".{file.name}.lock")):  # two sweeps may begin at once
        if file.exists():
            return
        beside.unlink(missing_ok=True)
        make(f"{SQLITE}{beside}")
        beside.replace(file)


def num_shown(file: Path, experiment: str) -> int:
    """Runs and models that a SQLite record shows of an experiment; none where it was deleted.

    Args:
        file: The database.
        experiment: Name of the experiment.
    """
    try:
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
            return sum(
                connection.execute(
                    f"SELECT count(*) FROM {table} JOIN experiments USING (experiment_id) "
                    "WHERE experiments.name = ? AND experiments.lifecycle_stage = 'active' "
                    f"AND {table}.lifecycle_stage = 'active'",
                    (experiment,),
                ).fetchone()[0]
                for table in ("runs", "logged_models")
            )
    except sqlite3.Error:
        return 0


def settle(file: Path) -> None:
    """Have all of a SQLite record in its one file: the log of its last writes lies beside it."""
    with suppress(sqlite3.Error), closing(sqlite3.connect(file, timeout=5)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def move_artifacts(uri: str, before: str, now: str) -> None:
    """Tell a SQLite record that was moved where its artifacts lie now: it holds whole addresses.

    Args:
        uri: Tracking URI of a SQLite file.
        before: URI of the folder that the record names.
        now: URI of the folder that they lie in.
    """
    file = uri.removeprefix(SQLITE)
    with closing(sqlite3.connect(file, timeout=60)) as connection, connection:
        for table, column in _ARTIFACT_COLUMNS:
            connection.execute(
                f"UPDATE {table} SET {column} = ? || substr({column}, ?) "
                f"WHERE {column} = ? OR substr({column}, 1, ?) = ?",
                (now, len(before) + 1, before, len(before) + 1, f"{before}/"),
            )
