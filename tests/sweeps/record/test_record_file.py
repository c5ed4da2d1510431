import shutil
import sqlite3
from contextlib import closing

from sweeps.record.record_file import settle


def test_a_settled_record_is_whole_in_its_one_file(tmp_path):
    file = tmp_path / "mlflow.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE runs (name TEXT)")
        connection.execute("INSERT INTO runs VALUES ('a')")
        connection.commit()
        settle(file)
        shutil.copy(file, tmp_path / "copy.db")
    with closing(sqlite3.connect(tmp_path / "copy.db")) as copy:
        assert copy.execute("SELECT name FROM runs").fetchall() == [("a",)]
