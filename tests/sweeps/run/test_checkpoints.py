import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny import context_of, tiny_spec

from sweeps.run import pace
from sweeps.run.checkpoints import (
    NOTE_FILE,
    Note,
    checkpoint_at,
    identity_of,
    left_checkpoints,
    opened,
)
from sweeps.run.pace import CheckpointPace
from sweeps.run.reporter import Reporter
from sweeps.run.shared_folder import is_sealed, seal
from sweeps.run.trial import run_on_worker
from sweeps.search.messages import (
    CHECKPOINT,
    INHERITED,
    OUTCOME,
    PARTS,
    PROGRESS,
    REQUEST,
    SAVED,
    dump_request,
    load_outcome,
    load_progress,
)
from sweeps.search.records import Outcome, Progress, StudyKey, TrialKey, TrialRequest
from sweeps.spec.cells import Stage, make_cells
from sweeps.spec.values import ResourceSpec

pytestmark = pytest.mark.ray

ALWAYS = CheckpointPace(share=float("inf"))


class FakeSession:
    """Tune as a trial sees it: keeps what is reported and answers with the newest checkpoint."""

    def __init__(self, folder, resumed=None):
        self._folder = folder
        self.newest = resumed
        self.num_reports = 0
        self.metrics = []

    def report(self, metrics, checkpoint=None):
        from ray import tune

        self.metrics.append(metrics)
        self.num_reports += 1
        if checkpoint is not None:
            kept = self._folder / f"checkpoint_{self.num_reports}"
            shutil.copytree(checkpoint.path, kept)
            self.newest = tune.Checkpoint.from_directory(str(kept))

    def get_checkpoint(self):
        return self.newest


@pytest.fixture
def session(tmp_path, monkeypatch):
    def start(resumed=None):
        made = FakeSession(tmp_path, resumed)
        monkeypatch.setattr("ray.tune.report", made.report)
        monkeypatch.setattr("ray.tune.get_checkpoint", made.get_checkpoint)
        return made

    return start


NOTE = Note(
    trial={"cell": "a"},
    seconds=40.0,
    epochs=tuple(Progress(epoch=e, num_epochs=2, value=0.5) for e in (1, 2)),
)


def reporter(resumed, pace):
    return Reporter(Note(trial={}), resumed, pace)


def save(folder):
    (folder / "state").write_bytes(b"0")


def epochs(report, count, saver=save):
    for epoch in range(1, count + 1):
        report(Progress(epoch=epoch, num_epochs=count, value=0.5), saver)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_newest_checkpoint_is_the_only_one_kept(session, tmp_path):
    session()
    epochs(reporter(None, ALWAYS), 3)
    assert names(tmp_path) == ["checkpoint_3"]


def test_the_checkpoint_a_trial_was_resumed_from_is_kept_for_another_try(session, tmp_path):
    from ray import tune

    (tmp_path / "resumed").mkdir()
    resumed = tune.Checkpoint.from_directory(str(tmp_path / "resumed"))
    session(resumed)
    epochs(reporter(resumed, ALWAYS), 3)
    assert names(tmp_path) == ["checkpoint_3", "resumed"]


def test_an_epoch_without_a_checkpoint_deletes_none(session, tmp_path):
    session()
    report = reporter(None, ALWAYS)
    epochs(report, 1)
    epochs(report, 2, saver=lambda folder: None)
    assert names(tmp_path) == ["checkpoint_1"]


def test_a_checkpoint_that_can_not_be_deleted_ends_no_trial(session, tmp_path):
    made = session()
    report = reporter(None, ALWAYS)
    epochs(report, 1)
    shutil.rmtree(Path(made.newest.path))
    epochs(report, 1)
    assert names(tmp_path) == ["checkpoint_2"]


def test_a_checkpoint_is_sealed_so_that_damage_to_any_file_is_seen(session):
    made = session()
    epochs(reporter(None, ALWAYS), 1)
    folder = Path(made.newest.path)
    assert is_sealed(folder)
    for file in sorted(folder.iterdir()):
        content = file.read_bytes()
        for damaged in (content[:-1], bytes([content[0] ^ 1]) + content[1:]):
            file.write_bytes(damaged)
            assert not is_sealed(folder), file.name
        file.unlink()
        assert not is_sealed(folder), file.name
        file.write_bytes(content)
    assert is_sealed(folder)


def test_a_checkpoint_notes_whose_it_is_and_every_epoch(session):
    made = session()
    report = Reporter(NOTE, None, ALWAYS)
    report.parts = 2
    epochs(report, 2)
    epochs(report, 3)
    note = Note.read(Path(made.newest.path))
    assert note.trial == NOTE.trial
    assert NOTE.seconds < note.seconds < NOTE.seconds + 60
    assert note.parts == 2
    assert note.epochs[:2] == NOTE.epochs, "as the ledger has them, whatever was trained anew"
    assert [progress.epoch for progress in note.epochs] == [1, 2, 3]


def test_epochs_of_an_earlier_run_are_told_first_and_what_they_cost(session):
    made = session()
    Reporter(NOTE, None, ALWAYS).tell_again()
    told = [load_progress(metrics[PROGRESS]) for metrics in made.metrics]
    assert told == list(NOTE.epochs)
    assert [metrics.get(INHERITED) for metrics in made.metrics] == [None, NOTE.seconds]
    assert all(metrics[SAVED] for metrics in made.metrics)
    assert made.newest is None


def test_a_note_of_another_version_is_none(session):
    made = session()
    epochs(reporter(None, ALWAYS), 1)
    folder = Path(made.newest.path)
    assert Note.read(folder) is not None
    whole = {"trial": {}, "parts": 1, "seconds": 1}
    for text in ("{}", json.dumps({**whole, "epochs": [{"step": 1}]}), "no JSON"):
        (folder / NOTE_FILE).write_text(text)
        seal(folder)
        assert Note.read(folder) is None
    assert Note.read(folder / "missing") is None


def language_model_request(spec):
    cell = next(cell for cell in make_cells(spec) if cell.regime == "domain")
    study = StudyKey(cell_id=cell.id, stage=Stage.LANGUAGE_MODEL)
    return TrialRequest(key=TrialKey(study=study, number=0), cell=cell, params={})


@pytest.mark.parametrize(
    ("noted", "asked", "tries"),
    [
        (1, 1, [("state", 1), (None, 2)]),  # what does not fit is trained in halves, all of it
        (1, 2, [("state", 2)]),  # the worker was ended for its memory
        (2, 1, [("state", 2)]),
    ],
)
def test_a_state_is_gone_on_from_in_the_parts_it_was_trained_in(
    session, tmp_path, monkeypatch, noted, asked, tries
):
    spec, seen = tiny_spec(tmp_path), []
    context = context_of(spec, tmp_path / "tokens")
    request = language_model_request(spec)
    folder = tmp_path / "state"
    folder.mkdir()
    replace(NOTE, trial=identity_of(request, context), parts=noted).write(folder)
    seal(folder)

    def run_trial(request, context, store, report, *, resume_from, accumulation):
        seen.append((resume_from and resume_from.name, accumulation))
        if accumulation == 1:
            raise MemoryError
        return Outcome(value=1.0)

    monkeypatch.setattr("sweeps.run.stages.run_trial", run_trial)
    monkeypatch.chdir(tmp_path)
    made, threads = session(), torch.get_num_threads()
    config = {REQUEST: dump_request(request), CHECKPOINT: str(folder), PARTS: asked}
    run_on_worker(config, context)
    torch.set_num_threads(threads)
    assert seen == tries
    assert [PROGRESS in metrics for metrics in made.metrics] == [True, True, False]
    assert load_outcome(made.metrics[-1][OUTCOME]).value == 1.0


def test_a_state_of_another_training_is_not_gone_on_from(session, tmp_path, monkeypatch):
    spec, seen = tiny_spec(tmp_path, resources=ResourceSpec(cpus=3)), []
    context = context_of(spec, tmp_path / "tokens")
    request = language_model_request(spec)
    folder = tmp_path / "state"
    folder.mkdir()
    replace(NOTE, trial={**identity_of(request, context), "torch": "1.0"}).write(folder)
    seal(folder)

    def run_trial(request, context, store, report, *, resume_from, accumulation):
        seen.append(resume_from)
        return Outcome(value=1.0)

    monkeypatch.setattr("sweeps.run.stages.run_trial", run_trial)
    monkeypatch.chdir(tmp_path)
    made, threads = session(), torch.get_num_threads()
    run_on_worker({REQUEST: dump_request(request), CHECKPOINT: str(folder)}, context)
    assert torch.get_num_threads() == 3
    torch.set_num_threads(threads)
    assert seen == [None]
    assert [PROGRESS in metrics for metrics in made.metrics] == [False]


def test_on_a_gpu_memory_that_a_pruned_trial_left_is_given_back_first(
    session, tmp_path, monkeypatch
):
    """Tune ends a pruned trial by an exit within its report: nothing of ours follows."""
    spec, heard = tiny_spec(tmp_path), []
    context = context_of(spec, tmp_path / "tokens")
    request = language_model_request(spec)

    def run_trial(*arguments, **options):
        heard.append("trained")
        return Outcome(value=1.0)

    monkeypatch.setattr("sweeps.run.stages.run_trial", run_trial)
    monkeypatch.setattr("sweeps.run.trial.give_back_memory", lambda: heard.append("given back"))
    monkeypatch.chdir(tmp_path)
    session()
    threads = torch.get_num_threads()
    for is_gpu in (False, True):
        monkeypatch.setattr("torch.cuda.is_available", lambda is_gpu=is_gpu: is_gpu)
        run_on_worker({REQUEST: dump_request(request)}, context)
    torch.set_num_threads(threads)
    assert heard == ["trained", "given back", "trained"]


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_the_newest_checkpoint_of_each_trial_is_found_and_older_ones_go(tmp_path, scheme):
    root = tmp_path / "ray"
    for age, name in (
        (0, "new/a.1/checkpoint_3"),
        (1, "old/a.0/checkpoint_9"),
        (2, "old/b-c.0/checkpoint_1"),
        (2, "old/b-c.0/checkpoint_0"),
        (3, "old/d.0"),
    ):
        folder = root / name
        folder.mkdir(parents=True)
        (folder / "training.pt").write_text("state")
        if "checkpoint" in name:
            seal(folder)
            for file in folder.iterdir():
                os.utime(file, (1000 - age,) * 2)
    for name in ("b-c.1", "e.0"):  # half-written
        folder = root / "new" / name / "checkpoint_2"
        folder.mkdir(parents=True)
        (folder / "training.pt").write_text("state")
        seal(folder)
        (folder / "training.pt").write_text("st")
    (root / "new" / "experiment_state.json").write_text("{}")
    (root / "older" / "a.0").mkdir(parents=True)
    (root / "old" / "of another version" / "checkpoint_1").mkdir(parents=True)
    place = f"{scheme}{root}"
    assert left_checkpoints(place) == {
        "a": f"{place}/new/a.1/checkpoint_3",
        "b-c": f"{place}/old/b-c.0/checkpoint_1",
    }
    assert names(root) == ["new", "old"]
    assert names(root / "new") == ["a.1"]
    assert names(root / "old") == ["b-c.0"]
    assert left_checkpoints(f"{scheme}{tmp_path}/nowhere") == {}


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_a_checkpoint_is_opened_where_it_lies_and_one_that_is_gone_is_none(tmp_path, scheme):
    save(tmp_path)
    with opened(checkpoint_at(f"{scheme}{tmp_path}")) as folder:
        assert (folder / "state").read_bytes() == b"0"
    assert tmp_path.exists()
    with opened(checkpoint_at(None)) as folder:
        assert folder is None
    with opened(checkpoint_at(f"{scheme}{tmp_path}/gone")) as folder:
        assert folder is None or Note.read(folder) is None
    (tmp_path / "more").write_text("of an attempt before")
    seal(tmp_path)
    (tmp_path / "members.npz").write_text("of an attempt before")
    assert not is_sealed(tmp_path), "a file that is not told of"
    with pytest.raises(OSError, match="of the training"), opened(None):
        raise OSError("of the training")


def test_writing_takes_a_tenth_of_the_time_at_most_also_in_the_next_trial(
    session, tmp_path, monkeypatch
):
    clock = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    monkeypatch.setattr(pace, "_write_seconds", 0.0)
    monkeypatch.setattr(pace, "_answer_seconds", 0.0)

    def slow_save(folder):
        save(folder)
        clock[0] += 2

    def train(report, epochs_of_seconds):
        for seconds in epochs_of_seconds:
            clock[0] += seconds
            report(Progress(epoch=1, num_epochs=9, value=0.5), slow_save)

    made = session()
    train(reporter(None, CheckpointPace()), [1, 19, 5, 1])
    assert (made.num_reports, names(tmp_path)) == (4, ["checkpoint_3"])
    train(reporter(None, CheckpointPace()), [19, 1])
    assert (made.num_reports, names(tmp_path)) == (6, ["checkpoint_6"])


def test_what_a_busy_driver_takes_to_answer_is_no_writing(monkeypatch):
    clock = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    monkeypatch.setattr(pace, "_write_seconds", 0.0)
    monkeypatch.setattr(pace, "_answer_seconds", 0.0)
    measured = CheckpointPace()
    measured.answered(3.0)
    measured.written(5.0)
    clock[0] += 19
    assert not measured.is_due()
    clock[0] += 1
    assert measured.is_due()
