"""The example of docs/ulm.md runs as it is printed."""

import re
from pathlib import Path

import pytest

import ulm

PAGE = Path(__file__).parents[2] / "docs" / "ulm.md"


@pytest.mark.torch
def test_the_example_of_the_page_runs(tmp_path):
    code = re.search(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL).group(1)
    names = {"__name__": "example"}
    exec(compile(code, str(PAGE), "exec"), names)
    result = names["main"](tmp_path)
    assert set(result) == {"language model loss", "classifier", "bow"}
    assert result["bow"] > 0.6
    assert 0 < result["language model loss"] < 8
    assert (tmp_path / "models" / "encoder.pth").is_file()


def test_the_page_names_the_whole_public_surface():
    page = PAGE.read_text(encoding="utf-8")
    assert [name for name in ulm.__all__ if f"`{name}`" not in page] == []


def test_every_public_name_can_be_imported():
    for name in ulm.__all__:
        assert getattr(ulm, name) is not None


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        ulm.nonsense  # noqa: B018
