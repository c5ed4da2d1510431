"""What constraints.txt pins can be installed on the oldest Python that README names."""

import re
from importlib.metadata import distribution
from pathlib import Path

from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).parents[2]
PIN = re.compile(r"^([\w.-]+)(?:\[[\w,]+\])?==([\w.]+)", flags=re.MULTILINE)


def test_every_pin_admits_the_oldest_python():
    """Debian 12 has 3.11.2: one package that wants 3.11.5 leaves `make demo` without an answer."""
    pins = dict(PIN.findall((ROOT / "constraints.txt").read_text(encoding="utf-8")))
    admitted = {}
    for name in pins:
        try:
            found = distribution(name)
        except ModuleNotFoundError:  # of another platform
            continue
        if not name.startswith("torch"):  # of another build
            assert found.version == pins[name], f"{name} is not installed as pinned"
        wanted = found.metadata.get("Requires-Python")
        admitted[name] = wanted is None or SpecifierSet(wanted).contains("3.11.0")
    assert len(admitted) > 100, "a test of nothing"
    assert [name for name, is_admitted in admitted.items() if not is_admitted] == []
