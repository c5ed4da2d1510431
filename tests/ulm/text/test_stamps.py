"""Stamps recognise a source by what it says and by the outside of its files."""

import os
from pathlib import Path

from ulm.text.corpora import CorpusSource
from ulm.text.stamps import recall, remember, stamp_source


def csv_source(path: Path, **options) -> CorpusSource:
    return CorpusSource(kind="csv", path=path, **options)


def test_a_source_keeps_its_stamp_until_it_says_something_else(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("text,label\n")
    stamp = stamp_source(csv_source(path))
    assert stamp_source(csv_source(path)) == stamp
    assert stamp_source(csv_source(path, seed=1)) != stamp
    assert stamp_source(csv_source(path, text_column="body")) != stamp


def test_a_file_that_grows_or_changes_later_has_another_stamp(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("text,label\n")
    stamps = {stamp_source(csv_source(path))}
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))
    stamps.add(stamp_source(csv_source(path)))
    path.write_text("text,label\nmore,yes\n")
    stamps.add(stamp_source(csv_source(path)))
    assert len(stamps) == 3


def test_a_source_without_files_has_no_stamp_yet(tmp_path, monkeypatch):
    monkeypatch.setenv("FASTAI_HOME", str(tmp_path))
    assert stamp_source(CorpusSource(kind="imdb")) is None
    assert stamp_source(csv_source(tmp_path / "none.csv")) is None


def test_generated_corpora_have_stamps_without_files():
    plain, other = CorpusSource(kind="synthetic"), CorpusSource(kind="synthetic", seed=1)
    assert stamp_source(plain) == stamp_source(CorpusSource(kind="synthetic"))
    assert stamp_source(plain) != stamp_source(other)
    assert stamp_source(plain) != stamp_source(CorpusSource(kind="synthetic-general"))


def test_an_index_entry_is_recalled_and_a_broken_one_is_not(tmp_path):
    assert recall(tmp_path, "ab") is None
    remember(tmp_path, "ab", tmp_path / "some-folder")
    assert recall(tmp_path, "ab") == tmp_path / "some-folder"
    (tmp_path / "stamps" / "ab.json").write_text('{"fol')
    assert recall(tmp_path, "ab") is None
    assert [path.name for path in (tmp_path / "stamps").iterdir()] == ["ab.json"]
