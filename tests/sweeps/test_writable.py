import os
import re

import pytest
from pyarrow.fs import LocalFileSystem

from sweeps import writable
from sweeps.errors import StorageError
from sweeps.paths import SweepPaths
from sweeps.writable import check_place, check_storage


def test_two_pods_of_one_process_id_do_not_try_a_bucket_with_the_same_file(tmp_path, monkeypatch):
    tried, bucket = [], f"file://{tmp_path}/bucket"
    delete = LocalFileSystem.delete_file

    class Noting(LocalFileSystem):
        def delete_file(self, path):
            tried.append(path)
            delete(self, path)

    monkeypatch.setattr(writable, "open_place", lambda place: (Noting(), f"{tmp_path}/bucket"))
    check_place(bucket)
    check_place(bucket)
    assert len(set(tried)) == 2
    assert list((tmp_path / "bucket").iterdir()) == []


def test_a_full_disk_is_found_before_a_sweep_begins(tmp_path, monkeypatch):
    class Full:
        def __enter__(self):
            return self

        def __exit__(self, *error):
            pass

        def write(self, content):
            raise OSError(28, os.strerror(28))

    monkeypatch.setattr(writable.tempfile, "TemporaryFile", lambda dir: Full())
    with pytest.raises(StorageError, match="No space left on device"):
        check_storage(SweepPaths(storage=str(tmp_path), name="tiny"))


@pytest.mark.parametrize("name", ["why?", "a%20b", "c#"])
def test_a_folder_that_a_url_can_not_name_is_refused(tmp_path, name):
    with pytest.raises(
        StorageError, match=rf"without ({re.escape(name[-1])}|%20) in its path.*set"
    ):
        check_storage(SweepPaths(storage=str(tmp_path / name), name="tiny"))
    check_storage(SweepPaths(storage=str(tmp_path / "ä b 100%"), name="tiny"))
