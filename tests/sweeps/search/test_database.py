import json
import shutil
import socket
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from simulation import open_control, run_all, tiny_spec

from sweeps.errors import MeaningError, StorageError, TrackingError
from sweeps.paths import SweepPaths
from sweeps.record.tracking import check_tracking
from sweeps.search.database import is_made, readable, told_when_gone
from sweeps.search.studies import OptunaStudies, check_ledger, read_meaning
from sweeps.spec.load import load_spec
from sweeps.spec.meaning import meaning
from tests.sweeps.postgres import QUOTED


def test_a_ledger_that_no_driver_has_made_is_not_made_by_asking(tmp_path):
    assert not is_made(f"sqlite:///{tmp_path / 'new' / 'ledger.db'}")
    assert list(tmp_path.iterdir()) == []


def test_a_ledger_is_made_when_all_its_tables_are(tmp_path):
    file = tmp_path / "ledger.db"
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE studies (id INTEGER)")
    connection.close()
    assert not is_made(f"sqlite:///{file}")
    file.unlink()
    OptunaStudies(f"sqlite:///{file}", "tiny").close()
    assert is_made(f"sqlite:///{file}")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("me:secret@host", r"found host \("),
        ("nothing://me:secret@host/db", r"found nothing://me:\*\*\*@host/db \("),
        ("sqlite:///{folder}/file/ledger.db", r"file/ledger.db \("),
    ],
)
def test_a_ledger_that_can_not_be_opened_is_named_without_its_password(tmp_path, url, shown):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(StorageError, match=shown) as refusal:
        is_made(url.format(folder=tmp_path))
    assert "secret" not in str(refusal.value)


def test_ledger_and_record_refuse_each_others_database(tmp_path, postgres):
    with sqlite3.connect(tmp_path / "mlflow.db") as connection:
        connection.execute("CREATE TABLE experiments (id INTEGER)")
    connection.close()
    with pytest.raises(StorageError, match="the ledger needs a database of its own"):
        is_made(f"sqlite:///{tmp_path / 'mlflow.db'}")
    OptunaStudies(f"sqlite:///{tmp_path / 'ledger.db'}", "tiny").close()
    with sqlite3.connect(tmp_path / "ledger.db") as connection:
        connection.execute("CREATE TABLE experiments (id INTEGER)")
    connection.close()
    assert is_made(f"sqlite:///{tmp_path / 'ledger.db'}"), "whatever else has come into it"
    url = postgres.database("with_a_ledger")
    OptunaStudies(url, "tiny").close()
    with pytest.raises(TrackingError, match="MLflow needs a database of its own") as refusal:
        check_tracking(url)
    assert QUOTED not in str(refusal.value)
    assert refusal.type is TrackingError, "no outage: it would never be made"


def test_tables_of_another_version_of_optuna_are_one_message(tmp_path):
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    OptunaStudies(url, "tiny").close()
    with sqlite3.connect(tmp_path / "ledger.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'v9.9.9.a'")
    connection.close()
    with pytest.raises(StorageError, match="no longer compatible with the table schema"):
        OptunaStudies(url, "tiny")


def test_a_sweep_is_told_from_another_of_its_name_by_its_ledger(tmp_path):
    def sweep_id(file):
        studies = OptunaStudies(f"sqlite:///{tmp_path / file}", "tiny")
        studies.open({})
        studies.close()
        return studies.sweep_id

    assert sweep_id("one.db") == sweep_id("one.db") != sweep_id("two.db")


def test_a_ledger_of_another_meaning_is_refused_and_one_of_another_sweep_is_not(tmp_path):
    settings = {"storage": str(tmp_path), "ledger.url": f"sqlite:///{tmp_path / 'shared.db'}"}
    spec = load_spec("demo", settings)
    studies = OptunaStudies(spec.ledger.url, spec.name)
    studies.open(meaning(spec))
    studies.close()
    check_ledger(SweepPaths.of(spec), spec)
    check_ledger(SweepPaths.of(spec), load_spec("demo", {**settings, "seeds": "5"}))
    changed = {**settings, "model.hidden": "7"}
    with pytest.raises(MeaningError, match=r"model\.hidden: recorded 96, now 7"):
        check_ledger(SweepPaths.of(spec), load_spec("demo", changed))
    other = load_spec("demo", {**changed, "name": "other"})
    check_ledger(SweepPaths.of(spec), other)
    assert read_meaning(SweepPaths.of(spec), spec) == meaning(spec)
    assert read_meaning(SweepPaths.of(spec), other) == {}


def test_a_ledger_says_whether_trials_seem_to_be_missing(tmp_path):
    spec = replace(tiny_spec(sizes=(10,), seeds=(0,)), storage=str(tmp_path))
    paths = SweepPaths.of(spec)
    assert check_ledger(paths, spec)  # nothing was run
    paths.folder.mkdir(parents=True)
    studies = OptunaStudies(paths.ledger_url, spec.name)
    control = open_control(spec, studies)
    run_all(control, at_most=2)
    assert check_ledger(paths, spec)
    run_all(control)
    assert not check_ledger(paths, spec)
    assert check_ledger(paths, replace(spec, seeds=(0, 1)))
    studies.close()


def test_a_disk_on_which_sqlite_can_not_write_is_told_before_a_run(tmp_path, monkeypatch):
    spec = replace(tiny_spec(sizes=(10,), seeds=(0,)), storage=str(tmp_path))
    paths = SweepPaths.of(spec)
    assert check_ledger(paths, spec)
    assert list(tmp_path.iterdir()) == []

    def refuse(connection):
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr("sweeps.search.database.write_ahead", refuse)
    with pytest.raises(StorageError, match=r"SQLite can write to.*disk I/O error.*local disk"):
        check_ledger(paths, spec)
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_ends_its_connections_ends_no_sweep(postgres):
    url = postgres.database("restarted")
    studies = OptunaStudies(url, "tiny")
    control = open_control(tiny_spec(sizes=(10,), seeds=(0,)), studies)
    for _ in range(2):
        run_all(control, at_most=2)
        ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'restarted'"
        assert "t" in postgres.query("postgres", ended)
    run_all(control)
    assert control.num_trained == control.ledger.num_wanted
    studies.close()


def test_a_database_that_goes_away_while_a_sweep_runs_is_one_message_without_its_password(postgres):
    url = postgres.database("short_lived")
    studies = OptunaStudies(url, "tiny")
    control = open_control(tiny_spec(sizes=(10,), seeds=(0,)), studies)
    run_all(control, at_most=2)
    postgres.query("postgres", "drop database short_lived with (force)")
    with (
        pytest.raises(
            StorageError, match=r"must answer as long as a sweep runs.*run again"
        ) as gone,
        told_when_gone(url),
    ):
        run_all(control)
    assert QUOTED not in str(gone.value)
    studies.close()


def test_other_errors_are_not_taken_for_the_databases(tmp_path):
    for error in (ValueError("another"), MeaningError("a key differs")):
        with pytest.raises(type(error), match=str(error)), told_when_gone("sqlite://"):
            raise error


def test_a_copy_that_was_torn_is_made_again(tmp_path, monkeypatch):
    """The log is put into the database while one after the other is copied."""
    paths = SweepPaths(storage=str(tmp_path), name="tiny")
    paths.folder.mkdir()
    log = Path(f"{paths.ledger_db}-wal")
    paths.ledger_db.write_bytes(b"old")
    log.write_bytes(b"first log")
    paths.driver_json.write_text(json.dumps({"process": 1, "host": "another-machine"}))
    copied, true_copy = [], shutil.copyfile

    def copy(source, target):
        copied.append(source)
        true_copy(source, target)
        if len(copied) == 1:
            paths.ledger_db.write_bytes(b"newer")
            log.write_bytes(b"other log")

    monkeypatch.setattr(shutil, "copyfile", copy)
    with readable(paths.ledger_url) as url:
        assert Path(url.removeprefix("sqlite:///")).read_bytes() == b"newer"
    assert len(copied) == 4


def test_a_log_that_goes_while_it_is_copied_is_not_left_beside_the_newer_ledger(
    tmp_path, monkeypatch
):
    """As where the driver ends: SQLite would put old pages over it."""
    paths = SweepPaths(storage=str(tmp_path), name="tiny")
    paths.folder.mkdir()
    log, true_copy = Path(f"{paths.ledger_db}-wal"), shutil.copyfile
    paths.ledger_db.write_bytes(b"old")
    log.write_bytes(b"log")
    paths.driver_json.write_text(json.dumps({"process": 1, "host": "another-machine"}))

    def copy(source, target):
        true_copy(source, target)
        if source == log:
            log.unlink()
            paths.ledger_db.write_bytes(b"newer")

    monkeypatch.setattr(shutil, "copyfile", copy)
    with readable(paths.ledger_url) as url:
        file = Path(url.removeprefix("sqlite:///"))
        assert file.read_bytes() == b"newer"
        assert list(file.parent.iterdir()) == [file]


def test_a_ledger_that_another_machine_writes_is_read_from_a_copy(tmp_path):
    paths = SweepPaths(storage=str(tmp_path), name="tiny")
    paths.folder.mkdir()
    contents = {paths.ledger_db: b"rows", Path(f"{paths.ledger_db}-wal"): b"newer rows"}
    for file, content in contents.items():
        file.write_bytes(content)
    paths.driver_json.write_text(json.dumps({"process": 1, "host": "another-machine"}))
    with readable(paths.ledger_url) as url:
        copy = Path(url.removeprefix("sqlite:///")).parent
        assert {file.name: file.read_bytes() for file in copy.iterdir()} == {
            file.name: content for file, content in contents.items()
        }
        assert copy != paths.folder
    assert not copy.exists()
    paths.driver_json.write_text(json.dumps({"process": 1, "host": socket.gethostname()}))
    with readable(paths.ledger_url) as url:
        assert url == paths.ledger_url
    paths.driver_json.unlink()
    with readable(paths.ledger_url) as url:
        assert url == paths.ledger_url
