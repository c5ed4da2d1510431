import os
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from pyarrow import ArrowNotImplementedError
from pyarrow.fs import LocalFileSystem

from sweeps import storage
from sweeps.errors import StorageError
from sweeps.paths import SweepPaths
from sweeps.storage import (
    check_place,
    check_storage,
    get_file,
    open_place,
    put_bytes,
    put_file,
    remove_file,
    told_when_unreadable,
    write_whole,
)


def names(folder):
    return sorted(file.name for file in folder.iterdir())


@pytest.mark.parametrize(
    ("place", "asked"),
    [
        ("gs://bucket/runs", "gs://bucket/runs?retry_limit_seconds=60"),
        ("gs://bucket?anonymous=true", "gs://bucket?anonymous=true&retry_limit_seconds=60"),
        ("gs://bucket?retry_limit_seconds=5", "gs://bucket?retry_limit_seconds=5"),
        ("s3://bucket/runs", "s3://bucket/runs"),
    ],
)
def test_google_is_asked_for_a_minute_at_most(monkeypatch, place, asked):
    found = []

    def from_uri(uri):
        found.append(uri)
        return None, "path"

    monkeypatch.setattr("pyarrow.fs.FileSystem", SimpleNamespace(from_uri=from_uri))
    open_place(place)
    assert found == [asked]


@pytest.fixture
def full(monkeypatch):
    """A disk that takes names and no bytes."""

    def write(file, content):
        file.touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", write)


def test_a_file_that_can_not_be_written_whole_stays_as_it_was_and_leaves_no_part(tmp_path, full):
    (tmp_path / "file").write_text("before")
    with pytest.raises(OSError, match="No space left"):
        write_whole(tmp_path / "file", b"after")
    assert (tmp_path / "file").read_text() == "before"
    assert names(tmp_path) == ["file"]


def test_a_copy_that_breaks_leaves_no_part(tmp_path, monkeypatch):
    def copy(source, target, **options):
        Path(target).write_text("half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pyarrow.fs.copy_files", copy)
    (tmp_path / "file").write_text("content")
    with pytest.raises(OSError, match="No space left"):
        put_file(tmp_path / "file", str(tmp_path / "there" / "file"))
    with pytest.raises(OSError, match="No space left"):
        get_file(str(tmp_path / "file"), tmp_path / "here" / "file")
    assert names(tmp_path / "there") == names(tmp_path / "here") == []


def test_what_is_put_is_there_and_what_is_removed_is_not(tmp_path):
    place = str(tmp_path / "a" / "file")
    put_bytes(b"content", place)
    assert names(tmp_path / "a") == ["file"]
    remove_file(place)
    remove_file(place)
    assert names(tmp_path / "a") == []


def test_two_pods_of_one_process_id_do_not_try_a_bucket_with_the_same_file(tmp_path, monkeypatch):
    tried, bucket = [], f"file://{tmp_path}/bucket"
    delete = LocalFileSystem.delete_file

    class Noting(LocalFileSystem):
        def delete_file(self, path):
            tried.append(path)
            delete(self, path)

    monkeypatch.setattr(storage, "open_place", lambda place: (Noting(), f"{tmp_path}/bucket"))
    check_place(bucket)
    check_place(bucket)
    assert len(set(tried)) == 2
    assert names(tmp_path / "bucket") == []


def test_a_full_disk_is_found_before_a_sweep_begins(tmp_path, monkeypatch):
    class Full:
        def __enter__(self):
            return self

        def __exit__(self, *error):
            pass

        def write(self, content):
            raise OSError(28, os.strerror(28))

    monkeypatch.setattr(storage.tempfile, "TemporaryFile", lambda dir: Full())
    with pytest.raises(StorageError, match="No space left on device"):
        check_storage(SweepPaths(storage=str(tmp_path), name="tiny"))


@pytest.mark.parametrize("name", ["why?", "a%20b", "c#"])
def test_a_folder_that_a_url_can_not_name_is_refused(tmp_path, name):
    with pytest.raises(
        StorageError, match=rf"without ({re.escape(name[-1])}|%20) in its path.*set"
    ):
        check_storage(SweepPaths(storage=str(tmp_path / name), name="tiny"))
    check_storage(SweepPaths(storage=str(tmp_path / "ä b 100%"), name="tiny"))


@pytest.mark.parametrize("error", [FileNotFoundError("gone"), ArrowNotImplementedError("gone")])
def test_what_a_storage_raises_tells_which_place_could_not_be_fetched(error):
    said = r"could not fetch s3://b/c \(gone\)"
    with pytest.raises(StorageError, match=said) as raised, told_when_unreadable("s3://b/c"):
        raise error
    assert raised.value.__cause__ is error


def test_what_no_storage_raises_is_told_only_where_it_is_named():
    with pytest.raises(TypeError, match="other"), told_when_unreadable("here"):
        raise TypeError("other")
    said = "could not fetch here"
    with pytest.raises(StorageError, match=said), told_when_unreadable("here", TypeError):
        raise TypeError("other")
