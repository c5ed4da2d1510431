import resource
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from ulm import peak_memory
from ulm.peak_memory import peak_memory_bytes


def test_what_was_taken_and_given_back_counts():
    before = peak_memory_bytes()
    block = bytearray(b"1" * (before + 2**26))
    del block
    assert before + 2**26 <= peak_memory_bytes() < 2**40


@pytest.mark.parametrize(("platform", "unit"), [("darwin", 1), ("freebsd", 1024)])
def test_without_proc_the_units_are_the_systems(monkeypatch, platform, unit):
    monkeypatch.setattr(peak_memory, "STATUS", Path("/nowhere/status"))
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(resource, "getrusage", lambda who: SimpleNamespace(ru_maxrss=5000))
    assert peak_memory_bytes() == 5000 * unit
