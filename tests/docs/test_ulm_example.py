"""The example of docs/ulm.md runs as it is printed."""

import re
from pathlib import Path

import pytest

import ulm
from ulm.labeller import encode_texts
from ulm.text.vocabulary import SPECIAL_WORDS, Vocabulary

PAGE = Path(__file__).parents[2] / "docs" / "ulm.md"
MODEL = re.compile(r'load_labeller\("(runs/demo/models/.*?)"\)')


def blocks():
    return re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.torch
def test_the_example_of_the_page_runs(tmp_path):
    code = blocks()[0]
    names = {"__name__": "example"}
    exec(compile(code, str(PAGE), "exec"), names)
    result = names["main"](tmp_path)
    assert set(result) == {"language model loss", "classifier", "bow"}
    assert result["bow"] > 0.6
    assert 0 < result["language model loss"] < 8
    assert (tmp_path / "models" / "encoder.pth").is_file()


@pytest.mark.torch
def test_a_kept_model_is_used_as_the_page_says(tmp_path, monkeypatch):
    code = blocks()[1]
    words = Vocabulary(words=(*SPECIAL_WORDS, "warm", "rain"))
    documents = encode_texts(["warm", "rain"] * 3, words)
    bag = ulm.train_bag_of_words(documents, [1, 0] * 3, vocabulary=words)
    about = {"labels": ("negative", "positive"), "provenance": {}}
    ulm.save_bag_of_words(tmp_path / MODEL.search(code).group(1), bag, vocabulary=words, **about)
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(compile(code, str(PAGE), "exec"), names)
    assert names["probabilities"].shape == (2, 2)
    assert names["best"] == ["positive", "negative"]


def test_the_page_names_the_whole_public_surface():
    page = PAGE.read_text(encoding="utf-8")
    assert [name for name in ulm.__all__ if f"`{name}`" not in page] == []


def test_every_public_name_can_be_imported():
    for name in ulm.__all__:
        assert getattr(ulm, name) is not None


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        ulm.nonsense  # noqa: B018
