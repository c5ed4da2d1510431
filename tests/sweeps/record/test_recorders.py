"""One suite for both recorders, then what only a server can get wrong."""

import shutil
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from sweeps.answer.results import make_rows
from sweeps.errors import TrackingError
from sweeps.paths import SweepPaths
from sweeps.record import queued_recorder
from sweeps.record.book import RunBook, sweep_key
from sweeps.record.datasets import Dataset
from sweeps.record.mlflow_client import open_client
from sweeps.record.mlflow_store import MlflowStore
from sweeps.record.queued_recorder import QueuedRecorder
from sweeps.record.record_file import make_whole
from sweeps.record.record_place import RecordPlace
from sweeps.record.recorder import ListRecorder
from sweeps.record.tracking import check_tracking
from sweeps.record.views import VIEWS, experiment_tags
from sweeps.search.records import TrialState
from sweeps.search.spending import Spent
from sweeps.search.studies import OptunaStudies
from sweeps.spec.cells import Stage, make_cells
from sweeps.spec.values import TrackingSpec
from tests.sweeps.example_sweep import example_records, example_spec, longer, replayed
from ulm.regimes import Regime

SPEC = example_spec(regimes=(Regime.BOW, Regime.DOMAIN), sizes=(100, 400), seeds=(0,))
CELLS = make_cells(SPEC)
RECORDS = example_records(SPEC)
ROWS = make_rows(replayed(SPEC, RECORDS))

CORPUS = Dataset(
    name="reviews", digest="1a2b3c", source="{}", profile='{"documents": 9}', context="domain"
)


def started(record):
    return replace(record, state=TrialState.RUNNING, progress=(), outcome=None, ended_at=None)


def after_epochs(record, epochs):
    return replace(started(record), progress=record.progress[:epochs])


def on_mlflow(spec, paths, *, sweep="", environment=None, datasets=(), close_seconds=60):
    """The recorder of a run, its store in this process."""
    commit = (environment or {}).get("git_commit")
    return QueuedRecorder(
        name="mlflow",
        book=RunBook(spec=spec, cells=CELLS, environment=environment, datasets=datasets),
        store=MlflowStore(RecordPlace.of(spec, paths, sweep=sweep, commit=commit)),
        close_seconds=close_seconds,
    )


class InMemory:
    """A `ListRecorder` that a later driver finds again."""

    def __init__(self):
        self._runs = {}

    def open(self):
        recorder = ListRecorder(spec=SPEC, cells=CELLS)
        self._runs.update(recorder.runs)
        recorder.runs = self._runs
        return recorder

    def kill(self, recorder):
        """The driver dies without closing."""

    def runs(self):
        return {
            key: SimpleNamespace(
                status=run.status.value,
                kind=run.kind,
                params=dict(run.params),
                points={(p.name, p.step): p.value for p in run.points},
                parent=None if run.kind == "sweep" else sweep_key(SPEC),
                state=run.tags.get("ulm.state"),
            )
            for key, run in self._runs.items()
        }


class OnMlflow:
    """Recorders on one SQLite file, and what a second client reads from it."""

    def __init__(self, folder, database):
        self.paths = SweepPaths(storage=str(folder), name=SPEC.name)
        self.uri = self.paths.mlflow_uri
        self.paths.folder.mkdir(parents=True)
        shutil.copy(database, self.paths.mlflow_db)

    def open(self):
        return on_mlflow(SPEC, self.paths, datasets=[CORPUS])

    def kill(self, recorder):
        assert recorder.flush(60)
        recorder._background.close(0)

    def listed(self):
        client = open_client(self.uri)
        experiment = client.get_experiment_by_name(SPEC.name)
        return client, client.search_runs([experiment.experiment_id], max_results=1000)

    def runs(self):
        client, listed = self.listed()
        keys = {run.info.run_id: run.data.tags["ulm.key"] for run in listed}
        assert len(set(keys.values())) == len(keys), "a key was recorded twice"
        return {
            run.data.tags["ulm.key"]: SimpleNamespace(
                status=run.info.status,
                kind=run.data.tags["kind"],
                params=run.data.params,
                points=self._points(client, run),
                parent=keys.get(run.data.tags.get("mlflow.parentRunId")),
                state=run.data.tags.get("ulm.state"),
            )
            for run in listed
        }

    def _points(self, client, run):
        history = [
            point
            for name in run.data.metrics
            for point in client.get_metric_history(run.info.run_id, name)
        ]
        points = {(point.key, point.step): point.value for point in history}
        assert len(points) == len(history), "a point was recorded twice"
        return points


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    """An empty record; making its schema takes seconds, so it is made once and copied."""
    paths = SweepPaths(storage=str(tmp_path_factory.mktemp("schema")), name=SPEC.name)
    open_client(paths.mlflow_uri)
    return paths.mlflow_db


@pytest.fixture
def mlflow_place(tmp_path, database):
    return OnMlflow(tmp_path / "runs", database)


@pytest.fixture(params=["in_memory", "mlflow_place"])
def place(request):
    return InMemory() if request.param == "in_memory" else request.getfixturevalue(request.param)


def play(recorder, records):
    for record in records:
        recorder.changed(started(record))
        for epochs in range(1, len(record.progress) + 1):
            recorder.changed(after_epochs(record, epochs))
        recorder.changed(record)


def test_a_whole_sweep_leaves_a_run_for_everything_and_none_running(place):
    recorder = place.open()
    recorder.reconcile(())
    play(recorder, RECORDS)
    recorder.reconcile(RECORDS)
    recorder.publish(ROWS, ())
    recorder.close()

    runs = place.runs()
    kinds = [run.kind for run in runs.values()]
    assert kinds.count("sweep") == 1
    assert kinds.count("trial") == len(RECORDS)
    assert kinds.count("cell") == len(ROWS) == 3
    assert kinds.count("curve") == 2
    assert {run.status for run in runs.values()} == {"FINISHED"}
    assert {run.parent for run in runs.values() if run.kind != "sweep"} == {sweep_key(SPEC)}
    for row in ROWS:
        assert runs[row.cell].points["test_accuracy", 0] == row.test_accuracy
    for record in RECORDS:
        points = runs[str(record.key)].points
        assert {step for name, step in points if step > 0} == {p.epoch for p in record.progress}
        assert points["total_steps", 0] == record.outcome.metrics["steps"]


def test_the_same_events_twice_leave_the_same_runs(place):
    recorder = place.open()
    play(recorder, RECORDS[:4])
    play(recorder, RECORDS[:4])
    recorder.reconcile(RECORDS[:4])
    recorder.close()
    once = place.runs()
    assert len(once) == 1 + 4

    again = place.open()
    again.reconcile(RECORDS[:4])
    again.close()
    assert place.runs() == once


def test_an_attempt_that_no_longer_counts_stays_and_says_so(place):
    old, *rest = RECORDS
    recorder = place.open()
    play(recorder, RECORDS)
    recorder.reconcile(rest, [old])
    recorder.close()
    runs = place.runs()
    assert runs[str(old.key)].state == "superseded"
    assert runs[str(old.key)].status == "FINISHED"
    assert {runs[str(record.key)].state for record in rest} == {"finished"}


def test_a_sweep_that_is_stopped_while_it_is_extended_keeps_its_scores_and_says_so(place):
    more = longer(SPEC, classifier=5)
    known = {record.key for record in RECORDS}
    (new, *_) = (r for r in example_records(more) if r.key not in known)
    rows = make_rows(replayed(more, [*RECORDS, new]))
    whole = place.open()
    whole.reconcile(RECORDS)
    whole.publish(ROWS, ())
    whole.close()
    before = place.runs()
    stopped = place.open()
    stopped.reconcile([*RECORDS, new])
    stopped.publish(rows, ())
    stopped.close()
    after = place.runs()
    assert len(after) == len(before) + 1
    assert after[sweep_key(SPEC)].status == "KILLED"
    for row in rows:
        assert after[row.cell].state == row.status
        assert after[row.cell].points["test_accuracy", 0] == row.test_accuracy
        assert after[row.cell].points["trials", 0] == row.trials
    assert [row.status.partition(":")[0] for row in rows] == ["finished", "extended", "extended"]
    for key in (key for key in before if key.startswith("curve/")):
        assert after[key].points == before[key].points


def test_the_views_of_trials_leave_out_what_no_longer_counts(mlflow_place):
    trials = [record for record in RECORDS if record.key.study.stage is Stage.LANGUAGE_MODEL]
    recorder = mlflow_place.open()
    recorder.reconcile(trials[1:], trials[:1])
    recorder.close()
    client, _ = mlflow_place.listed()
    experiment = client.get_experiment_by_name(SPEC.name).experiment_id
    (view,) = [view for view in VIEWS if view.key == "language-models"]
    shown = client.search_runs([experiment], view.runs)
    keys = {run.data.tags["ulm.key"] for run in shown}
    assert keys == {str(record.key) for record in trials[1:]}


def test_reconcile_after_missed_events_gives_the_runs_of_a_recorder_that_saw_them_all(place):
    recorder = place.open()
    recorder.reconcile(RECORDS)
    recorder.close()
    from_ledger = place.runs()

    watcher = InMemory()
    watching = watcher.open()
    play(watching, RECORDS)
    watching.close()
    assert from_ledger == watcher.runs()


def test_a_killed_drivers_runs_are_closed_and_completed_by_the_next_driver(place):
    first, second, lost, _ = (r for r in RECORDS if r.key.study.stage is Stage.LANGUAGE_MODEL)
    killed = place.open()
    play(killed, [first])
    killed.changed(after_epochs(second, 1))
    killed.changed(after_epochs(lost, 2))
    place.kill(killed)
    assert place.runs()[str(lost.key)].status == "RUNNING"

    gone = replace(after_epochs(lost, 2), state=TrialState.LOST, ended_at=lost.started_at + 9)
    repeated = replace(lost, key=replace(lost.key, attempt=1))
    recorder = place.open()
    recorder.reconcile([first, second, gone])
    play(recorder, [repeated])
    recorder.close()

    runs = place.runs()
    assert runs[str(first.key)].status == "FINISHED"
    assert runs[str(second.key)].status == "FINISHED"
    assert ("validation_loss", 3) in runs[str(second.key)].points
    assert runs[str(lost.key)].status == "KILLED"
    assert runs[str(repeated.key)].status == "FINISHED"
    assert "RUNNING" not in {run.status for run in runs.values()}


def test_what_still_runs_when_a_driver_ends_is_closed_as_killed(place):
    recorder = place.open()
    recorder.changed(started(RECORDS[0]))
    recorder.close()
    runs = place.runs()
    assert runs[str(RECORDS[0].key)].status == "KILLED"
    assert runs[sweep_key(SPEC)].status == "KILLED"


def test_a_failed_trial_is_a_failed_run_and_a_pruned_one_is_finished(place):
    failed = replace(RECORDS[0], state=TrialState.FAILED, outcome=None, failure="loss is nan")
    pruned = replace(RECORDS[1], state=TrialState.PRUNED, outcome=None)
    recorder = place.open()
    recorder.reconcile([failed, pruned])
    recorder.close()
    runs = place.runs()
    assert runs[str(failed.key)].status == "FAILED"
    assert runs[str(pruned.key)].status == "FINISHED"


def test_two_sweeps_of_one_name_leave_each_other_alone_on_a_server(mlflow_place, tmp_path):
    uri = f"sqlite:///{tmp_path}/shared.db"
    shutil.copy(mlflow_place.paths.mlflow_db, tmp_path / "shared.db")
    spec = replace(SPEC, tracking=TrackingSpec(uri=uri))

    def recorder_of(sweep):
        paths = SweepPaths(storage=str(tmp_path / sweep), name=spec.name)
        return on_mlflow(spec, paths, sweep=sweep)

    def state_of(sweep):
        client = open_client(uri)
        experiment = client.get_experiment_by_name(spec.name).experiment_id
        found = client.search_runs([experiment], f"tags.`ulm.sweep` = '{sweep}'", max_results=1000)
        return {run.data.tags["ulm.key"]: (run.info.run_id, run.info.status) for run in found}

    first = recorder_of("one")
    first.changed(started(RECORDS[0]))
    first.publish(ROWS, ())
    assert first.flush(60)
    before = state_of("one")
    assert before[str(RECORDS[0].key)][1] == "RUNNING"

    second = recorder_of("two")
    other = replace(RECORDS[0], params={**RECORDS[0].params, "decay": 9.0})
    second.reconcile([other, *RECORDS[1:3]])
    second.publish(ROWS, ())
    assert second.close()
    assert state_of("one") == before
    assert first.close()
    assert len(state_of("two")) == len(before) + 2
    assert {status for _, status in state_of("two").values()} == {"FINISHED"}


def test_a_record_beside_a_sweep_leaves_alone_what_another_sweep_has_put_there(mlflow_place):
    place, uri = mlflow_place, mlflow_place.uri
    spec = replace(SPEC, tracking=TrackingSpec(uri=uri))
    paths = SweepPaths(storage=str(place.paths.folder.parents[1] / "other"), name=SPEC.name)

    def keep(recorder):
        recorder.reconcile(RECORDS[:2])
        assert recorder.close()
        return {run.info.run_id for run in place.listed()[1]}

    own = keep(place.open())
    both = keep(on_mlflow(spec, paths, sweep="two"))
    assert len(both) == 2 * len(own)
    assert keep(place.open()) == both
    assert keep(on_mlflow(spec, place.paths)) == both


def test_runs_that_were_made_twice_are_found_beyond_the_first_page(mlflow_place, monkeypatch):
    recorder = mlflow_place.open()
    recorder.reconcile(RECORDS)
    assert recorder.close()
    client, listed = mlflow_place.listed()
    for run in listed[:3]:
        client.create_run(run.info.experiment_id, tags=dict(run.data.tags))
    monkeypatch.setattr("sweeps.record.mlflow_store._PAGE", 4)
    again = mlflow_place.open()
    again.reconcile(RECORDS)
    assert again.close()
    after = mlflow_place.listed()[1]
    assert {run.info.run_id for run in after} == {run.info.run_id for run in listed}


def test_runs_of_earlier_versions_are_a_sweeps_own_in_the_record_beside_it(mlflow_place):
    recorder = mlflow_place.open()
    recorder.reconcile(RECORDS[:2])
    assert recorder.close()
    client, before = mlflow_place.listed()
    for run in before:
        client.delete_tag(run.info.run_id, "ulm.sweep")
    again = mlflow_place.open()
    again.reconcile(RECORDS[:2])
    assert again.close()
    assert {r.info.run_id for r in mlflow_place.listed()[1]} == {r.info.run_id for r in before}


def test_artifacts_lie_beside_the_sweep_where_the_record_is_a_database(mlflow_place, tmp_path):
    uri = f"sqlite:///{tmp_path}/shared.db"
    shutil.copy(mlflow_place.paths.mlflow_db, tmp_path / "shared.db")
    spec = replace(SPEC, name="of_its_own", tracking=TrackingSpec(uri=uri))
    paths = SweepPaths(storage=str(tmp_path / "runs"), name=spec.name)
    assert on_mlflow(spec, paths).close()
    experiment = open_client(uri).get_experiment_by_name(spec.name)
    assert experiment.artifact_location == paths.mlartifacts.as_uri()


def test_running_totals_are_kept_with_the_sweep_and_never_contradict_each_other(mlflow_place):
    place = mlflow_place
    recorder = place.open()
    recorder.spent(Spent(accelerator_seconds=10.0, wasted_seconds=4.0))
    assert recorder.flush(60)
    time.sleep(1.1)  # steps are whole seconds
    recorder.spent(Spent(accelerator_seconds=20.0, wasted_seconds=4.0))
    recorder.close()
    (first,) = [run for run in place.listed()[1] if run.data.tags["kind"] == "sweep"]
    assert first.data.metrics["spent_accelerator_seconds"] == 20.0

    again = place.open()
    again.reconcile(RECORDS[:1])
    again.spent(Spent(accelerator_seconds=15.0, wasted_seconds=15.0))
    assert again.close()
    client, listed = place.listed()
    (sweep,) = [run for run in listed if run.data.tags["kind"] == "sweep"]
    assert sweep.info.run_id == first.info.run_id, "it is the same run, with its children"
    history = client.get_metric_history(sweep.info.run_id, "spent_accelerator_seconds")
    assert [point.value for point in history] == [10.0, 20.0, 15.0]
    assert sweep.data.metrics["wasted_accelerator_seconds"] == 15.0
    assert "spent_money" not in sweep.data.metrics


def test_a_first_recorder_makes_the_database_and_its_schema(tmp_path):
    paths = SweepPaths(storage=str(tmp_path), name=SPEC.name)
    recorder = on_mlflow(SPEC, paths)
    recorder.close()
    experiment = open_client(paths.mlflow_uri).get_experiment_by_name(SPEC.name)
    assert experiment.artifact_location == paths.mlartifacts.as_uri()


def test_a_database_whose_making_was_broken_off_is_made_anew_and_one_that_is_there_stays(tmp_path):
    file = tmp_path / "mlflow.db"

    def make(text, error=None):
        def made(uri):
            Path(uri.removeprefix("sqlite:///")).write_text(text)
            if error is not None:
                raise error

        return made

    with pytest.raises(OSError, match="killed"):
        make_whole(f"sqlite:///{file}", make("half", OSError("killed")))
    assert not file.exists()
    make_whole(f"sqlite:///{file}", make("whole"))
    make_whole(f"sqlite:///{file}", make("another"))
    visible = [path for path in tmp_path.iterdir() if not path.name.startswith(".")]
    assert [path.read_text() for path in visible] == ["whole"]
    make_whole("http://127.0.0.1:9", make("nothing"))


def test_two_sweeps_that_make_one_database_at_once_make_it_once(tmp_path):
    file, made = tmp_path / "mlflow.db", []

    def make(uri):
        made.append(uri)
        time.sleep(0.2)
        Path(uri.removeprefix("sqlite:///")).write_text("whole")

    with ThreadPoolExecutor(2) as threads:
        for done in [threads.submit(make_whole, f"sqlite:///{file}", make) for _ in range(2)]:
            done.result()
    assert len(made) == 1
    assert file.read_text() == "whole"


def test_runs_that_only_a_killed_driver_knew_are_closed(mlflow_place):
    place = mlflow_place
    killed = place.open()
    killed.changed(started(RECORDS[0]))
    place.kill(killed)
    recorder = place.open()
    recorder.reconcile([RECORDS[1]])
    recorder.close()
    assert place.runs()[str(RECORDS[0].key)].status == "KILLED"


def test_a_run_with_more_points_than_one_call_takes_is_whole(mlflow_place):
    epochs = tuple(
        replace(RECORDS[0].progress[0], epoch=epoch, metrics={"train_loss": 1 / epoch})
        for epoch in range(1, 1001)
    )
    long = replace(RECORDS[0], progress=epochs)
    recorder = mlflow_place.open()
    recorder.changed(long)
    recorder.close()
    points = mlflow_place.runs()[str(long.key)].points
    assert len([step for _, step in points if step > 0]) == 2000


def test_a_run_begins_and_ends_when_its_trial_did(mlflow_place):
    recorder = mlflow_place.open()
    recorder.changed(RECORDS[0])
    assert recorder.close()
    (run,) = [r for r in mlflow_place.listed()[1] if r.data.tags["kind"] == "trial"]
    assert run.info.start_time == int(1000 * RECORDS[0].started_at)
    assert run.info.end_time == int(1000 * RECORDS[0].ended_at)


def test_a_run_that_contradicts_the_ledger_is_made_anew(mlflow_place):
    place = mlflow_place
    recorder = place.open()
    recorder.changed(RECORDS[0])
    recorder.close()
    other = replace(RECORDS[0], params={**RECORDS[0].params, "learning_rate": 0.5})
    recorder = place.open()
    recorder.reconcile([other])
    recorder.close()
    assert place.runs()[str(other.key)].params["learning_rate"] == "0.5"


def test_the_report_is_attached_and_its_answer_is_the_description(mlflow_place, tmp_path):
    place = mlflow_place
    page = tmp_path / "report.md"
    page.write_text("# Example\n")
    recorder = place.open()
    recorder.publish(ROWS, [page], answer=["Text helps."])
    recorder.close()
    client, listed = place.listed()
    (sweep,) = [run for run in listed if run.data.tags["kind"] == "sweep"]
    note = sweep.data.tags["mlflow.note.content"]
    assert note.startswith("Text helps.\n\nArtifacts: ")
    assert f"](#/experiments/{sweep.info.experiment_id}/runs?viewStateShareKey=ulm-curves" in note
    assert sweep.data.tags["mlflow.user"]
    names = [file.path for file in client.list_artifacts(sweep.info.run_id)]
    assert names == ["report.md"]


def test_what_a_sweep_ran_with_is_kept_and_every_run_names_the_commit(mlflow_place):
    environment = {"git_commit": "0123abc+changes", "torch": "2.11"}
    recorder = on_mlflow(SPEC, mlflow_place.paths, environment=environment)
    recorder.reconcile(RECORDS[:2])
    assert recorder.close()
    _, listed = mlflow_place.listed()
    assert {run.data.tags["mlflow.source.git.commit"] for run in listed} == {"0123abc"}
    (sweep,) = [run for run in listed if run.data.tags["kind"] == "sweep"]
    kept = {name: text for name, text in sweep.data.tags.items() if name.startswith("env.")}
    assert kept == {"env.git_commit": "0123abc+changes", "env.torch": "2.11"}


def test_the_sweep_and_its_cells_name_the_corpus_they_read_once(mlflow_place):
    for _ in range(2):
        recorder = mlflow_place.open()
        recorder.reconcile(RECORDS)
        recorder.publish(ROWS, ())
        assert recorder.close()
    _, listed = mlflow_place.listed()
    read = {
        run.info.run_name: [
            (entry.dataset.name, entry.dataset.digest, entry.tags[0].value)
            for entry in run.inputs.dataset_inputs
        ]
        for run in listed
        if run.data.tags["kind"] in ("sweep", "cell")
    }
    assert read == {
        "example": [("reviews", "1a2b3c", "domain")],
        "bow seed 0": [("reviews", "1a2b3c", "labels alone, seed 0")],
        "domain n=100 seed 0": [("reviews", "1a2b3c", "100 documents, seed 0")],
        "domain n=400 seed 0": [("reviews", "1a2b3c", "400 documents, seed 0")],
    }


def test_the_experiment_has_its_views_and_keeps_those_that_a_person_changed(mlflow_place):
    assert mlflow_place.open().close()
    client = open_client(mlflow_place.uri)
    before = client.get_experiment_by_name(SPEC.name)
    assert before.tags.items() >= experiment_tags().items()
    name = next(iter(set(experiment_tags()) - {"mlflow.experimentKind"}))
    client.set_experiment_tag(before.experiment_id, name, "mine")
    assert mlflow_place.open().close()
    assert client.get_experiment_by_name(SPEC.name).tags[name] == "mine"


def test_a_dead_server_neither_raises_nor_delays_and_is_said_at_the_end(tmp_path, caplog):
    spec = replace(SPEC, tracking=TrackingSpec(uri="http://me:hunter2@127.0.0.1:9"))
    paths = SweepPaths(storage=str(tmp_path), name=spec.name)
    recorder = on_mlflow(spec, paths, close_seconds=0.5)
    play(recorder, RECORDS)
    recorder.reconcile(RECORDS)
    recorder.publish(ROWS, ())
    assert not recorder.close()
    assert "could not be recorded; the ledger has them" in caplog.text
    assert "hunter2" not in caplog.text
    assert not list(tmp_path.iterdir())


class FlakyStore:
    """Keeps runs, but every other call fails, before or after it took effect."""

    def __init__(self):
        self.runs = {}
        self.calls = 0

    def apply(self, run, parent):
        self.calls += 1
        if self.calls % 4 == 1:
            raise ConnectionError("refused")
        self.runs[run.key] = run
        if self.calls % 4 == 3:
            raise TimeoutError("answer lost")

    def close_strays(self, keys):
        assert set(self.runs) - {"known"} <= set(keys)

    def attach(self, run, file):
        raise AssertionError("no files here")

    def close(self):
        assert self.runs, "nothing is called afterwards"


def test_an_outage_costs_no_run():
    store = FlakyStore()
    book = RunBook(spec=SPEC, cells=CELLS)
    recorder = QueuedRecorder(name="flaky", book=book, store=store, pauses=(0.001,))
    play(recorder, RECORDS)
    recorder.reconcile(RECORDS)
    recorder.publish(ROWS, ())
    recorder.close()
    expected = ListRecorder(spec=SPEC, cells=CELLS)
    expected.reconcile(RECORDS)
    expected.publish(ROWS, ())
    expected.close()
    assert store.calls > len(store.runs), "some failed"
    assert {key: run.digest for key, run in store.runs.items()} == {
        key: run.digest for key, run in expected.runs.items()
    }
    assert {run.status for run in store.runs.values()} == {"FINISHED"}


def test_after_an_outage_trials_that_began_meanwhile_are_not_taken_for_strays():
    class Away(FlakyStore):
        strays = frozenset()

        def apply(self, run, parent):
            self.runs[run.key] = run

        def close_strays(self, keys):
            self.calls += 1
            if self.calls == 1:
                begun.wait(30)
                raise ConnectionError("refused")
            self.strays = set(self.runs) - keys

    store, begun = Away(), threading.Event()
    book = RunBook(spec=SPEC, cells=CELLS)
    recorder = QueuedRecorder(name="away", book=book, store=store, pauses=(0.01,))
    recorder.reconcile(RECORDS[:1])
    while not store.calls:
        time.sleep(0.01)
    recorder.changed(started(RECORDS[1]))
    begun.set()
    assert recorder.flush(timeout_seconds=30)
    assert store.calls == 2
    assert str(RECORDS[1].key) in store.runs
    assert not store.strays
    recorder.close()


def test_the_wait_for_a_slow_server_is_told_and_has_a_limit(caplog, monkeypatch):
    class Slow(FlakyStore):
        def apply(self, run, parent):
            time.sleep(0.1)
            self.runs[run.key] = run

    monkeypatch.setattr(queued_recorder, "QUIET_SECONDS", 0.1)
    book, store = RunBook(spec=SPEC, cells=CELLS), Slow()
    recorder = QueuedRecorder(name="slow", book=book, store=store, close_limit_seconds=0.3)
    recorder.reconcile(RECORDS)
    begin = time.monotonic()
    assert not recorder.close()
    assert time.monotonic() - begin < 2.0
    assert len(store.runs) > 1, "one success after the other"
    told = [record.message for record in caplog.records]
    assert told[0] == "slow: not all is recorded yet; that is waited for, 0 minutes at most"
    assert "could not be recorded; the ledger has them" in told[1]


def test_an_event_that_cannot_be_made_into_a_run_is_logged_and_not_raised(caplog):
    store = FlakyStore()
    recorder = QueuedRecorder(
        name="flaky", book=RunBook(spec=SPEC, cells=CELLS), store=store, pauses=(0.001,)
    )
    recorder.changed(None)
    recorder.close()
    assert "an event could not be recorded" in caplog.text


def test_short_epochs_are_told_once_a_second_and_all_of_them_at_the_end():
    class Counting(FlakyStore):
        def apply(self, run, parent):
            self.runs[run.key] = run
            self.calls += 1

    store = Counting()
    recorder = QueuedRecorder(name="counting", book=RunBook(spec=SPEC, cells=CELLS), store=store)
    trial = next(record for record in RECORDS if len(record.progress) > 2)
    recorder.changed(started(trial))
    assert recorder.flush(timeout_seconds=5)
    for epochs in range(1, len(trial.progress) + 1):
        for at in (10.0 * epochs, 10.0 * epochs + 0.3, 10.0 * epochs + 0.6):
            recorder.changed(replace(after_epochs(trial, epochs), told_at=at))
            assert recorder.flush(timeout_seconds=5)
    assert store.calls == 1 + 1 + len(trial.progress), (
        "the sweep, the start, an epoch in ten seconds"
    )
    recorder.changed(trial)
    recorder.close()
    (run,) = (run for run in store.runs.values() if run.kind == "trial")
    assert {p.step for p in run.points} >= {p.epoch for p in trial.progress}


@pytest.mark.parametrize("uri", ["mlruns", "file:///tmp/mlruns"])
def test_a_plain_folder_is_refused_with_what_to_use_instead(uri):
    with pytest.raises(TrackingError, match=r"use sqlite:////absolute/path/mlflow\.db"):
        check_tracking(uri)


def test_a_server_that_refuses_is_a_tracking_error_without_its_password():
    with pytest.raises(
        TrackingError, match=r"http://\*\*\*@127.0.0.1:9 .*Connection refused\)"
    ) as caught:
        check_tracking("http://me:hunter2@127.0.0.1:9", timeout_seconds=20)
    assert "hunter2" not in str(caught.value)
    assert "tracking: {uri: null}" in str(caught.value)


def test_a_server_that_never_answers_is_given_up_after_the_timeout():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        uri = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(TrackingError, match=r"did not answer in 0\.5 s"):
            check_tracking(uri, timeout_seconds=0.5)


def test_sqlite_is_checked_without_being_created(tmp_path):
    check_tracking(f"sqlite:///{tmp_path}/new/mlflow.db")
    assert not list(tmp_path.iterdir())
    (tmp_path / "text.db").write_text("this is no database, it is a page of plain text " * 40)
    with pytest.raises(TrackingError, match="not a database"):
        check_tracking(f"sqlite:///{tmp_path}/text.db")


@pytest.mark.parametrize(
    "ledger", ["postgresql://me:hunter2@host/db", "postgresql+psycopg2://host/db"]
)
def test_a_record_in_the_ledgers_database_is_refused(ledger):
    with pytest.raises(TrackingError, match=r"it is ledger\.url too; make a database for each"):
        check_tracking("postgresql://you@host/db", ledger)


def test_a_record_in_a_file_that_holds_a_ledger_is_refused(tmp_path):
    OptunaStudies(f"sqlite:///{tmp_path}/ledger.db", "tiny").close()
    with pytest.raises(TrackingError, match="MLflow needs a database of its own"):
        check_tracking(f"sqlite:///{tmp_path}/ledger.db")


def test_an_unknown_kind_of_store_is_a_tracking_error():
    with pytest.raises(TrackingError, match="cannot be used"):
        check_tracking("gopher://host")
