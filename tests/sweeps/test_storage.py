from pathlib import Path
from types import SimpleNamespace

import pytest
from pyarrow import ArrowNotImplementedError

from sweeps.errors import StorageError
from sweeps.storage import (
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


@pytest.mark.parametrize("error", [FileNotFoundError("gone"), ArrowNotImplementedError("gone")])
def test_what_a_storage_raises_tells_which_place_could_not_be_fetched(error):
    said = r"could not fetch s3://b/c \(gone\)"
    with pytest.raises(StorageError, match=said) as raised, told_when_unreadable("s3://b/c"):
        raise error
    assert raised.value.__cause__ is error


def test_what_no_storage_raises_is_not_told_as_its():
    with pytest.raises(TypeError, match="other"), told_when_unreadable("here"):
        raise TypeError("other")
