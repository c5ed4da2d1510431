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
    for damaged in (b'{"fol', b'{"golder": "some-folder"}', b"[]", b"\xff"):
        (tmp_path / "stamps" / "ab.json").write_bytes(damaged)
        assert recall(tmp_path, "ab") is None
    assert [path.name for path in (tmp_path / "stamps").iterdir()] == ["ab.json"]


class TestFolder:
    @staticmethod
    def stamp(folder: Path) -> str | None:
        return stamp_source(CorpusSource(kind="folder", path=folder))

    @staticmethod
    def write(folder: Path, *names: str) -> None:
        for name in names:
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(name[:5])
            os.utime(file, (1, 1))

    def test_a_file_moved_to_another_label_changes_the_stamp(self, tmp_path):
        self.write(tmp_path, "train/good/1.txt", "train/bad/2.txt", "unlabelled/3.txt")
        stamps = {self.stamp(tmp_path)}
        for old, new in (("train/good/1", "train/bad/1"), ("unlabelled/3", "train/good/3")):
            (tmp_path / f"{old}.txt").rename(tmp_path / f"{new}.txt")
            stamps.add(self.stamp(tmp_path))
        assert len(stamps) == 3

    def test_what_can_not_be_read_is_no_error(self, tmp_path):
        self.write(tmp_path, "train/good/1.txt")
        (tmp_path / "train" / ".#1.txt").symlink_to("nobody@nowhere.1")
        (tmp_path / "train" / "loop").symlink_to("loop")
        (tmp_path / "train" / "again").symlink_to(tmp_path)
        assert self.stamp(tmp_path) == self.stamp(tmp_path) is not None

    def test_what_is_hidden_does_not_count(self, tmp_path):
        self.write(tmp_path, "train/good/1.txt")
        before = self.stamp(tmp_path)
        self.write(tmp_path, "train/.DS_Store", "train/.ipynb_checkpoints/1.txt")
        assert self.stamp(tmp_path) == before

    def test_a_linked_folder_is_looked_at(self, tmp_path):
        self.write(tmp_path / "elsewhere", "1.txt")
        self.write(tmp_path / "corpus", "train/good/2.txt")
        (tmp_path / "corpus" / "unlabelled").symlink_to(tmp_path / "elsewhere")
        before = self.stamp(tmp_path / "corpus")
        self.write(tmp_path / "elsewhere", "3.txt")
        assert self.stamp(tmp_path / "corpus") != before
