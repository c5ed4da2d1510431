import errno

import pytest

from sweeps.disk import full_disk, is_full, told_when_full
from sweeps.errors import StorageError
from sweeps.paths import SweepPaths


def wrapped(first, *, explicit):
    error = RuntimeError(f"said about it, {explicit=}")
    error.__context__ = first
    if explicit:
        error.__cause__ = first
    return error


FULL = OSError(errno.ENOSPC, "whatever the language of the system")


@pytest.mark.parametrize(
    "error",
    [
        FULL,
        OSError(errno.EDQUOT, "quota"),
        RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)"),
        RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 576 vs 534"),
        OSError("1000000 requested and 131056 written"),
        wrapped(FULL, explicit=True),
        wrapped(FULL, explicit=False),
    ],
    ids=str,
)
def test_a_full_disk_is_seen_in_every_form_it_takes(error):
    assert is_full(error)


@pytest.mark.parametrize("error", [OSError(errno.EACCES, "denied"), ValueError("full of mistakes")])
def test_other_errors_are_none(error):
    assert not is_full(error)


def test_errors_that_refer_to_each_other_are_no_trap():
    one, other = ValueError("one"), ValueError("other")
    one.__context__, other.__context__ = other, one
    assert not is_full(one)


def test_the_message_names_the_room_in_each_place_and_what_to_do(tmp_path):
    text = str(full_disk(str(tmp_path / "not" / "there")))
    assert f"GiB in {tmp_path}/not/there, " in text
    assert "free some and run again: what is recorded stays" in text
    assert "s3://" not in str(full_disk("s3://bucket/runs"))


def test_in_a_block_it_becomes_one_message_and_other_errors_stay(tmp_path):
    paths = SweepPaths(storage=str(tmp_path), name="tiny")
    with pytest.raises(StorageError, match="must have room"), told_when_full(paths):
        raise FULL
    with pytest.raises(OSError, match="denied"), told_when_full(paths):
        raise OSError(errno.EACCES, "denied")
