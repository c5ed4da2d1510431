import json
import shutil
import sqlite3
import threading
from contextlib import closing

import pytest

from sweeps.errors import StorageError
from sweeps.paths import SweepPaths
from sweeps.run import backup as backup_module
from sweeps.run import recovery
from sweeps.run.backup import Backup
from sweeps.run.driver import driver_lock
from sweeps.run.recovery import Choice, Held, choose, take_back
from sweeps.search.records import Outcome, StudyKey, TrialKey, TrialRecord, TrialState
from sweeps.search.studies import OptunaStudies
from sweeps.spec.cells import Stage

NEVER = 3600.0
STUDY = StudyKey(cell_id="cell", stage=Stage.CLASSIFIER)


def key(number, attempt=0):
    return TrialKey(study=STUDY, number=number, attempt=attempt)


@pytest.fixture
def paths(tmp_path, monkeypatch):
    """A sweep whose storage is no folder of this machine, as far as the sweep knows."""
    monkeypatch.chdir(tmp_path)
    made = SweepPaths(storage=f"file://{tmp_path}/bucket", name="tiny")
    made.folder.mkdir(parents=True)
    return made


@pytest.fixture
def bucket(tmp_path):
    return tmp_path / "bucket" / "tiny"


@pytest.fixture
def told():
    return []


def record_trials(paths, *keys, state=TrialState.FINISHED):
    """Trials that ended, in the ledger of this machine."""
    paths.folder.mkdir(parents=True, exist_ok=True)
    paths.spec_json.write_text("{}")
    with closing(OptunaStudies(paths.ledger_url, paths.name)) as studies:
        studies.open({"meaning": 1})
        for each in keys:
            studies.begin(TrialRecord(key=each, params={}), {})
            outcome = Outcome(value=0.5) if state is TrialState.FINISHED else None
            ended = TrialRecord(
                key=each, params={}, state=state, outcome=outcome, started_at=1.0, ended_at=2.0
            )
            studies.end(ended)


def recorded(file):
    with closing(OptunaStudies(f"sqlite:///{file}", "tiny")) as studies:
        return {record.key for record in studies.read()}


def copy_once(paths, told):
    with Backup(paths, told.append, interval_seconds=NEVER):
        pass


def lose(paths):
    shutil.rmtree(paths.folder)


def test_a_run_that_ends_leaves_ledger_spec_summary_and_report_in_the_bucket(paths, bucket, told):
    record_trials(paths, key(0), key(1))
    paths.summary_json.write_text("{}")
    paths.report.mkdir()
    for file in (paths.report_html, paths.results_csv, paths.report_stamp):
        file.write_text(file.name)
    copy_once(paths, told)
    assert recorded(bucket / "ledger.db") == {key(0), key(1)}
    names = ("spec.json", "summary.json", "report.json", "report/report.html", "report/results.csv")
    assert all((bucket / name).is_file() for name in names)
    assert told == []


def test_what_changed_is_copied_while_the_run_goes_on(paths, bucket, told, monkeypatch):
    copies, put_file = threading.Semaphore(0), backup_module.put_file

    def noting(local, place):
        put_file(local, place)
        if local.name == "ledger.db":
            copies.release()

    monkeypatch.setattr(backup_module, "put_file", noting)
    record_trials(paths, key(0))
    with Backup(paths, told.append, interval_seconds=0.01):
        assert copies.acquire(timeout=60)
        record_trials(paths, key(1))
        while recorded(bucket / "ledger.db") != {key(0), key(1)}:
            assert copies.acquire(timeout=60)
    assert told == []


def test_a_copy_is_whole_while_the_ledger_is_written(paths, bucket, told):
    record_trials(paths, key(0))
    with closing(sqlite3.connect(paths.ledger_db)) as driver:
        driver.execute("CREATE TABLE half (n)")
        driver.execute("BEGIN IMMEDIATE")
        driver.execute("INSERT INTO half VALUES (1)")
        copy_once(paths, told)
    with closing(sqlite3.connect(bucket / "ledger.db")) as copy:
        assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert copy.execute("SELECT count(*) FROM half").fetchone() == (0,)
    assert told == []


def test_what_did_not_change_is_not_copied_again(paths, told, monkeypatch):
    copied = []
    monkeypatch.setattr(backup_module, "put_file", lambda local, place: copied.append(local.name))
    record_trials(paths, key(0))
    copier = Backup(paths, told.append, interval_seconds=NEVER)
    for _ in range(3):
        copier._attempt(lambda: copier._copy(copier._running_files()))
    assert sorted(copied) == ["ledger.db", "spec.json"]


def test_a_storage_that_fails_is_told_once_and_stops_nothing(paths, bucket, told):
    record_trials(paths, key(0))
    bucket.parent.write_text("a file where the bucket was")
    copier = Backup(paths, told.append, interval_seconds=NEVER)
    for _ in range(3):
        copier._attempt(lambda: copier._copy(copier._running_files()))
    assert len(told) == 1
    assert "training goes on" in told[0]
    bucket.parent.unlink()
    copy_once(paths, told)
    assert recorded(bucket / "ledger.db") == {key(0)}


def test_a_storage_that_fails_again_after_a_copy_is_told_again(paths, told):
    copier = Backup(paths, told.append, interval_seconds=NEVER)

    def refuse():
        raise OSError("the bucket is away")

    for attempt in (refuse, refuse, lambda: None, refuse):
        copier._attempt(attempt)
    assert len(told) == 2


def test_copying_takes_a_tenth_of_the_time_at_most(paths, told, monkeypatch):
    clock, pauses = [0.0], []

    def copy(operation):
        clock[0] += 2

    copier = Backup(paths, told.append, interval_seconds=5.0)
    monkeypatch.setattr(copier, "_attempt", copy)
    monkeypatch.setattr(backup_module.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(copier._stop, "wait", lambda s: pauses.append(s) or len(pauses) == 2)
    copier._work()
    assert pauses == [5.0, 20.0]


def test_what_another_machine_copied_meanwhile_is_left_alone(paths, bucket, told):
    record_trials(paths, key(0))
    copy_once(paths, told)
    names = ("ledger.db", "spec.json", "summary.json")
    with Backup(paths, told.append, interval_seconds=NEVER):
        record_trials(paths, key(1))
        paths.summary_json.write_text("{}")
        for name in names:
            (bucket / name).write_bytes(b"of another machine")
    assert {(bucket / name).read_bytes() for name in names} == {b"of another machine"}
    assert len(told) == 1
    assert "another machine has written" in told[0]


def test_a_folder_as_storage_is_neither_copied_nor_taken_back(tmp_path, told):
    paths = SweepPaths(storage=str(tmp_path), name="tiny")
    record_trials(paths, key(0))
    before = sorted(tmp_path.rglob("*"))
    copy_once(paths, told)
    take_back(paths, told.append)
    assert sorted(tmp_path.rglob("*")) == before
    assert told == []


def test_a_new_head_goes_on_from_the_copy(paths, told):
    record_trials(paths, key(0), key(1))
    paths.report.mkdir()
    paths.report_html.write_text("the report")
    copy_once(paths, told)
    lose(paths)
    take_back(paths, told.append)
    assert recorded(paths.ledger_db) == {key(0), key(1)}
    assert paths.report_html.read_text() == "the report"
    assert paths.spec_json.is_file()
    assert told == [f"took back 2 recorded trials from {paths.storage}/tiny"]
    take_back(paths, told.append)
    assert len(told) == 1, "there is nothing more to take"


def test_of_a_copy_the_ledger_is_taken_last(paths, told, monkeypatch):
    record_trials(paths, key(0))
    paths.run_log.write_text("begun")
    copy_once(paths, told)
    lose(paths)
    taken, get_file = [], recovery.get_file
    monkeypatch.setattr(recovery, "get_file", lambda *way: taken.append(way[1]) or get_file(*way))
    take_back(paths, told.append)
    assert {paths.spec_json, paths.run_log} < set(taken)
    assert taken[-1] == paths.ledger_db


def test_a_new_sweep_takes_nothing_and_leaves_no_folder(paths, told):
    lose(paths)
    take_back(paths, told.append)
    assert not paths.folder.exists()
    assert told == []


def test_a_machine_that_is_ahead_of_the_copy_goes_on_from_its_own(paths, told):
    record_trials(paths, key(0))
    copy_once(paths, told)
    record_trials(paths, key(1))
    take_back(paths, told.append)
    assert recorded(paths.ledger_db) == {key(0), key(1)}
    assert told == []


def test_a_head_that_comes_back_after_another_went_on_takes_the_newer_ledger(paths, told, tmp_path):
    record_trials(paths, key(0))
    copy_once(paths, told)
    paths.folder.rename(tmp_path / "first head")
    take_back(paths, told.append)
    record_trials(paths, key(1))
    copy_once(paths, told)
    lose(paths)
    (tmp_path / "first head").rename(paths.folder)
    paths.ledger_db.with_name("ledger.db-wal").write_bytes(b"")
    take_back(paths, told.append)
    assert recorded(paths.ledger_db) == {key(0), key(1)}
    assert sorted(file.name for file in paths.folder.glob("ledger*")) == ["ledger.db"]


def test_a_sweep_of_that_name_of_another_storage_is_not_replaced(paths, told, tmp_path):
    record_trials(paths, key(0), key(1))
    copy_once(paths, told)
    lose(paths)
    record_trials(paths, key(0))
    paths.spec_json.write_text(json.dumps({"storage": str(tmp_path / "runs")}))
    with pytest.raises(StorageError, match=r"sweep of that name whose storage is .*move it away"):
        take_back(paths, told.append)
    assert recorded(paths.ledger_db) == {key(0)}
    paths.spec_json.write_text(json.dumps({"storage": f"{paths.storage}?region=x"}))
    take_back(paths, told.append)
    assert recorded(paths.ledger_db) == {key(0), key(1)}


def test_two_heads_that_ended_different_trials_are_refused_and_nothing_is_touched(
    paths, bucket, told, tmp_path
):
    record_trials(paths, key(0))
    copy_once(paths, told)
    shutil.copytree(paths.folder, tmp_path / "other")
    record_trials(paths, key(1))
    copy_once(paths, told)
    lose(paths)
    (tmp_path / "other").rename(paths.folder)
    record_trials(paths, key(2), key(3))
    with pytest.raises(StorageError, match=r"found 2 only in .*and 1 only in .*two machines"):
        take_back(paths, told.append)
    assert recorded(paths.ledger_db) == {key(0), key(2), key(3)}
    assert recorded(bucket / "ledger.db") == {key(0), key(1)}


def test_an_older_ledger_with_an_attempt_of_its_own_is_kept_beside_the_newer(paths, told, tmp_path):
    record_trials(paths, key(0, attempt=1), key(1))
    copy_once(paths, told)
    lose(paths)
    record_trials(paths, key(0))
    take_back(paths, told.append)
    assert recorded(paths.ledger_db) == {key(0, attempt=1), key(1)}
    (kept,) = paths.folder.glob("ledger-*.db")
    assert recorded(kept) == {key(0)}
    assert f"the older ledger is kept as {kept}" in told[-1]


def test_a_trial_that_goes_on_elsewhere_is_seen_to(paths, told):
    """Epochs and attempts since the last look, no trial having ended."""
    running = TrialRecord(key=key(1), params={}, started_at=3.0)
    record_trials(paths, key(0))
    copy_once(paths, told)
    before = paths.ledger_db.read_bytes()
    with closing(OptunaStudies(paths.ledger_url, paths.name)) as studies:
        studies.open({"meaning": 1})
        studies.begin(running, {})
    copy_once(paths, told)
    paths.ledger_db.write_bytes(before)  # as of a machine that looked earlier
    take_back(paths, told.append)
    assert recorded(paths.ledger_db) == {key(0), key(1)}


def test_the_log_of_another_machine_is_gone_on_from(paths, bucket, told):
    record_trials(paths, key(0))
    paths.run_log.write_text("both\nthere\n")
    copy_once(paths, told)
    lose(paths)
    paths.folder.mkdir()
    paths.run_log.write_text("both\nhere\n")
    take_back(paths, told.append)
    assert paths.run_log.read_text() == "both\nthere\nhere\n"


def test_a_driver_at_work_is_not_disturbed(paths, told):
    record_trials(paths, key(0))
    copy_once(paths, told)
    paths.ledger_db.unlink()
    with driver_lock(paths), pytest.raises(StorageError, match="one driver at a time"):
        take_back(paths, told.append)


def test_a_copy_that_is_no_database_is_named_by_its_place(paths, bucket, told):
    record_trials(paths, key(0))
    bucket.mkdir(parents=True)
    (bucket / "ledger.db").write_bytes(b"no database" * 1000)
    with pytest.raises(StorageError, match=f"found file://{bucket}/ledger.db"):
        take_back(paths, told.append)


def test_where_the_ledger_is_a_server_the_small_files_are_taken_back(paths, told):
    paths.spec_json.write_text("{}")
    paths.summary_json.write_text('{"runs": 3}')
    copy_once(paths, told)
    lose(paths)
    take_back(paths, told.append)
    assert paths.summary_json.read_text() == '{"runs": 3}'


def test_the_ledger_that_holds_more_wins_and_none_is_lost():
    def trials(*keys, running=(), epochs=0):
        return Held(ended=frozenset(keys), attempts=frozenset((*keys, *running)), epochs=epochs)

    assert choose(trials(key(0)), trials(key(0))) is Choice.LOCAL
    one, two, other = (key(1),), (key(1), key(2)), (key(3),)
    assert choose(trials(running=one, epochs=9), trials(running=two, epochs=1)) is Choice.COPY
    assert choose(trials(running=one, epochs=1), trials(running=one, epochs=2)) is Choice.COPY
    assert choose(trials(running=two, epochs=1), trials(running=one, epochs=9)) is Choice.LOCAL
    assert choose(trials(running=other), trials(running=two)) is Choice.LOCAL
    assert choose(trials(key(0)), trials(key(1), running=two)) is Choice.NEITHER
    assert choose(trials(key(0), key(1)), trials(key(0))) is Choice.LOCAL
    assert choose(trials(), trials(key(0))) is Choice.COPY
    assert choose(trials(key(0)), trials(key(1))) is Choice.NEITHER
    assert choose(trials(key(0, attempt=1)), trials(key(0))) is Choice.LOCAL
    assert choose(trials(key(0)), trials(key(0, attempt=1), key(1))) is Choice.COPY


def copy(copier):
    copier._attempt(lambda: copier._copy(copier._running_files()))


def test_what_a_driver_at_work_wrote_is_copied_though_it_is_in_the_log_beside(paths, bucket, told):
    """A database's own file changes when its log is written back, which may take hours."""
    record_trials(paths, key(0))
    copier = Backup(paths, told.append, interval_seconds=NEVER)
    with closing(OptunaStudies(paths.ledger_url, paths.name)) as studies:
        studies.open({"meaning": 1})
        copy(copier)
        before = paths.ledger_db.stat().st_mtime_ns
        studies.begin(TrialRecord(key=key(1), params={}), {})
        assert paths.ledger_db.stat().st_mtime_ns == before
        copy(copier)
        assert recorded(bucket / "ledger.db") == {key(0), key(1)}
    assert told == []


def test_a_copy_whose_answer_was_lost_is_not_taken_for_that_of_another_machine(
    paths, bucket, told, monkeypatch
):
    put_file, failures = backup_module.put_file, [OSError("the connection was lost")]

    def losing(local, place):
        put_file(local, place)
        if local.name == "ledger.db" and failures:
            raise failures.pop()

    monkeypatch.setattr(backup_module, "put_file", losing)
    record_trials(paths, key(0))
    copier = Backup(paths, told.append, interval_seconds=NEVER)
    copier._attempt(copier._look)
    copy(copier)
    assert len(told) == 1
    record_trials(paths, key(1))
    copy(copier)
    assert recorded(bucket / "ledger.db") == {key(0), key(1)}
    assert len(told) == 1


A, B, C = (TrialKey(study=STUDY, number=number) for number in range(3))
AGAIN = TrialKey(study=STUDY, number=0, attempt=1)


def held(ended, attempts=None, epochs=0):
    return Held(ended=frozenset(ended), attempts=frozenset(attempts or ended), epochs=epochs)


@pytest.mark.parametrize(
    ("local", "copy", "choice"),
    [
        (held([A]), held([A, B]), Choice.COPY),
        (held([A, B]), held([A]), Choice.LOCAL),
        (held([A, B]), held([A, C]), Choice.NEITHER),
        (held([A], [A, B], 5), held([A], [A, B], 6), Choice.COPY),
        (held([A], [A, B], 6), held([A], [A, B], 5), Choice.LOCAL),
        (held([A], [A]), held([A], [A, B]), Choice.COPY),
        (held([A], [A, B]), held([A], [A]), Choice.LOCAL),
        # what has ended here and not there stays, though there more was begun since, or trained
        (held([A], [A]), held([], [A, B]), Choice.LOCAL),
        (held([A, B], [A, B]), held([A], [A, B, C]), Choice.LOCAL),
        (held([A], [A], 3), held([], [A], 4), Choice.LOCAL),
        # in whichever attempt
        (held([AGAIN], [A, AGAIN]), held([A], [A]), Choice.LOCAL),
        (held([A], [A]), held([AGAIN, B], [A, AGAIN, B]), Choice.COPY),
    ],
)
def test_the_ledger_that_holds_every_ended_trial_of_the_other_is_gone_on_from(local, copy, choice):
    assert choose(local, copy) is choice
