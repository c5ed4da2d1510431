import shutil
from pathlib import Path

import pytest

from sweeps.run import pace
from sweeps.run.pace import CheckpointPace
from sweeps.run.shared_folder import is_sealed
from sweeps.run.trial import reporter
from sweeps.search.records import Progress

pytestmark = pytest.mark.ray

ALWAYS = CheckpointPace(share=float("inf"))


class FakeSession:
    """Tune as a trial sees it: keeps what is reported and answers with the newest checkpoint."""

    def __init__(self, folder, resumed=None):
        self._folder = folder
        self.newest = resumed
        self.num_reports = 0

    def report(self, metrics, checkpoint=None):
        from ray import tune

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


def save(folder):
    (folder / "state").write_bytes(b"0")


def epochs(report, count, saver=save):
    for epoch in range(1, count + 1):
        assert report(Progress(epoch=epoch, num_epochs=count, value=0.5), saver)


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
