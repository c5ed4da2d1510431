import json

import pytest

from ulm.files import part_of, write_model


def test_a_file_appears_whole_and_takes_the_place_of_another(tmp_path):
    file = tmp_path / "a.json"
    file.write_text("old")
    with part_of(file) as part:
        part.write_text("new")
        assert file.read_text() == "old"
        assert part.parent == tmp_path
        assert part.suffix == ".part"
    assert file.read_text() == "new"
    assert list(tmp_path.iterdir()) == [file]


def test_a_file_that_could_not_be_written_leaves_the_old_one_and_nothing_else(tmp_path):
    file = tmp_path / "a.json"
    file.write_text("old")
    with pytest.raises(UnicodeEncodeError, match="surrogates"), part_of(file) as part:
        part.write_text("ne" * 100_000 + "\ud800", encoding="utf-8")
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_two_writers_of_one_file_do_not_meet(tmp_path):
    with part_of(tmp_path / "a") as one, part_of(tmp_path / "a") as other:
        one.write_text("1")
        other.write_text("2")
    assert (tmp_path / "a").read_text() == "1"


def test_a_model_that_is_saved_over_another_is_none_until_it_is_whole(tmp_path):
    weights, manifest = tmp_path / "m" / "weights", tmp_path / "m" / "manifest"
    write_model(weights, lambda part: part.write_bytes(b"1"), manifest, {"words": ["ü"]})
    assert json.loads(manifest.read_text("utf-8")) == {"words": ["ü"]}

    def interrupt(part):
        part.write_bytes(b"2")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_model(weights, interrupt, manifest, {})
    assert [path.name for path in weights.parent.iterdir()] == ["weights"]
    write_model(weights, lambda part: part.write_bytes(b"3"), manifest, {})
    assert weights.read_bytes() == b"3"
    assert manifest.exists()
