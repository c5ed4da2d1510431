import os
import tempfile
import time
from pathlib import Path

from sweeps.paths import SweepPaths
from sweeps.run.leftovers import IDLE_SECONDS, remove_leftovers, temporary_files_in


def made(file, age_seconds=0.0):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("half")
    os.utime(file, (time.time() - age_seconds,) * 2)
    return file


def test_what_a_killed_run_left_half_written_goes_and_everything_else_stays(tmp_path):
    paths = SweepPaths(storage=str(tmp_path), name="tiny")
    left = [
        made(paths.predictions_folder / "cell.npz.0badcafe.part"),
        made(paths.folder / "spec.json.0badcafe.part"),
        made(paths.encoders / "k" / "encoder.json.0badcafe.part", IDLE_SECONDS + 60),
        made(paths.tokens / ".csv-reviews.0badcafe.part" / "ids.npy", IDLE_SECONDS + 60).parent,
    ]
    os.utime(left[-1], (0, 0))
    filled = made(paths.tokens / ".csv-reviews.1badcafe.part" / "ids.npy").parent
    os.utime(filled, (0, 0))
    kept = [
        filled,
        made(paths.predictions("cell")),
        made(paths.ray / "tiny-1" / "trial" / "checkpoint_0" / "training.pt"),
        made(paths.encoders / "k" / "encoder.json"),
        made(paths.encoders / "k" / "encoder.safetensors.0badcafe.part", IDLE_SECONDS - 60),
        made(paths.tokens / ".csv-tickets.0badcafe.part" / "ids.npy"),
        made(tmp_path / "another" / "spec.json.0badcafe.part"),
    ]
    remove_leftovers(paths)
    assert [file for file in left if file.exists()] == []
    assert all(file.exists() for file in kept)


def test_a_new_sweep_has_none(tmp_path):
    remove_leftovers(SweepPaths(storage=str(tmp_path), name="tiny"))
    assert list(tmp_path.iterdir()) == []


def test_temporary_files_lie_elsewhere_for_a_block_alone(tmp_path):
    before = tempfile.gettempdir()
    with temporary_files_in(tmp_path / "own"):
        assert Path(tempfile.mkdtemp()).parent == tmp_path / "own"
    assert tempfile.gettempdir() == before
    assert not (tmp_path / "own").exists()
