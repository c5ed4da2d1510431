import pickle
from types import SimpleNamespace

import pytest
from pyarrow.fs import LocalFileSystem

pytestmark = pytest.mark.ray


def trial_in(folder, **config):
    storage = SimpleNamespace(
        storage_filesystem=LocalFileSystem(),
        trial_fs_path=str(folder),
        trial_driver_staging_path=str(folder.with_name(f"{folder.name} of the driver")),
    )
    return SimpleNamespace(storage=storage, config=config)


def test_the_folder_of_a_trial_goes_when_it_ends_and_those_of_others_stay(tmp_path):
    from sweeps.run.trial_folders import TrialFolders

    for name in "abc":
        (tmp_path / f"{name} of the driver").mkdir()
        (tmp_path / name / "checkpoint_0").mkdir(parents=True)
        (tmp_path / name / "checkpoint_0" / "training.pt").write_text("state")
    folders = TrialFolders()
    folders.on_trial_complete(1, [], trial_in(tmp_path / "a"))
    folders.on_trial_error(1, [], trial_in(tmp_path / "b"))
    folders.on_trial_complete(1, [], trial_in(tmp_path / "never made"))
    folders.on_experiment_end([])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c", "c of the driver"]


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_the_checkpoint_that_a_trial_took_over_goes_with_it(tmp_path, scheme):
    from sweeps.run.trial_folders import TrialFolders

    for name in ("a.0/checkpoint_2", "b.0/checkpoint_0"):
        (tmp_path / "old" / name).mkdir(parents=True)
        (tmp_path / "old" / name / "training.pt").write_text("state")
    folders = TrialFolders()
    left = f"{scheme}{tmp_path}/old/a.0/checkpoint_2"
    folders.on_trial_complete(1, [], trial_in(tmp_path / "new" / "a.1", checkpoint=left))
    folders.on_experiment_end([])
    assert [path.name for path in (tmp_path / "old").iterdir()] == ["b.0"]


def test_tune_can_pickle_it():
    from sweeps.run.trial_folders import TrialFolders

    assert pickle.loads(pickle.dumps(TrialFolders())) is not None
