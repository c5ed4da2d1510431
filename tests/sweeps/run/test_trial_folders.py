import pickle
from pathlib import Path
from types import SimpleNamespace

import pytest
from pyarrow.fs import LocalFileSystem
from tiny import tiny_spec

from sweeps.search.messages import CHECKPOINT, REQUEST, dump_request
from sweeps.search.records import StudyKey, TrialKey, TrialRequest
from sweeps.spec.cells import Stage, make_cells

pytestmark = pytest.mark.ray

CELL = make_cells(tiny_spec(Path("runs")))[0]


def key_of(number):
    return TrialKey(study=StudyKey(cell_id=CELL.id, stage=Stage.CLASSIFIER), number=number)


def trial_in(folder, number, left=None):
    storage = SimpleNamespace(
        storage_filesystem=LocalFileSystem(),
        trial_fs_path=str(folder),
        trial_driver_staging_path=str(folder.with_name(f"{folder.name} of the driver")),
    )
    request = TrialRequest(key=key_of(number), cell=CELL, params={})
    config = {REQUEST: dump_request(request), CHECKPOINT: left}
    return SimpleNamespace(storage=storage, config=config)


@pytest.fixture
def folders():
    """Trials below 3 have ended."""
    from sweeps.run.trial_folders import TrialFolders

    return TrialFolders(lambda key: key.number < 3)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_folder_of_a_trial_goes_when_it_ends_and_those_of_others_stay(folders, tmp_path):
    for name in "abc":
        (tmp_path / f"{name} of the driver").mkdir()
        (tmp_path / name / "checkpoint_0").mkdir(parents=True)
        (tmp_path / name / "checkpoint_0" / "training.pt").write_text("state")
    folders.on_trial_complete(1, [], trial_in(tmp_path / "a", 0))
    folders.on_trial_error(1, [], trial_in(tmp_path / "b", 1))
    folders.on_trial_complete(1, [], trial_in(tmp_path / "never made", 2))
    folders.on_experiment_end([])
    assert names(tmp_path) == ["c", "c of the driver"]


def test_a_trial_that_is_asked_again_keeps_its_checkpoints(folders, tmp_path):
    left = tmp_path / "old" / "b.0" / "checkpoint_0"
    for folder in (tmp_path / "a", left):
        folder.mkdir(parents=True)
    folders.on_trial_complete(1, [], trial_in(tmp_path / "a", 3, str(left)))
    folders.on_trial_error(1, [], trial_in(tmp_path / "a", 4, str(left)))
    folders.on_experiment_end([])
    assert names(tmp_path) == ["a", "old"]
    assert left.is_dir()


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_the_checkpoint_that_a_trial_took_over_goes_with_it(folders, tmp_path, scheme):
    for name in ("a.0/checkpoint_2", "b.0/checkpoint_0"):
        (tmp_path / "old" / name).mkdir(parents=True)
        (tmp_path / "old" / name / "training.pt").write_text("state")
    left = f"{scheme}{tmp_path}/old/a.0/checkpoint_2"
    folders.on_trial_complete(1, [], trial_in(tmp_path / "new" / "a.1", 0, left))
    folders.on_experiment_end([])
    assert names(tmp_path / "old") == ["b.0"]


def test_tune_can_pickle_it(folders):
    assert pickle.loads(pickle.dumps(folders)) is not None
