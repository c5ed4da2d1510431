import errno

import pytest

from sweeps.disk import full_disk, is_full, told_when_full
from sweeps.errors import StorageError


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
    elsewhere = ("s3://bucket/runs", "postgresql://me:secret@db/ledger", "http://server:5000")
    assert str(full_disk(*elsewhere)) == str(full_disk())
    assert f"GiB in {tmp_path}, " in str(full_disk(f"sqlite:///{tmp_path}/ledger.db"))


def test_in_a_block_it_becomes_one_message_and_other_errors_stay(tmp_path):
    with pytest.raises(StorageError, match="must have room"), told_when_full(str(tmp_path)):
        raise FULL
    with pytest.raises(OSError, match="denied"), told_when_full(str(tmp_path)):
        raise OSError(errno.EACCES, "denied")
