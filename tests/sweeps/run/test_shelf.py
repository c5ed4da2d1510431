import json
from types import SimpleNamespace

import pytest
from pyarrow.fs import FileInfo, FileType

from sweeps.record.models import Card
from sweeps.run import shelf as shelf_module
from sweeps.run.shelf import ModelShelf, keep_model
from sweeps.storage import open_place, remove_file, remove_folder


def card(cell, accuracy, regime="ulm+domain", size=100, seed=0):
    return Card(regime=regime, cell=cell, size=size, seed=seed, accuracy=accuracy)


def write(text):
    return lambda folder: (folder / "labeller.json").write_text(text)


def row(cell, accuracy):
    return SimpleNamespace(cell=cell, test_accuracy=accuracy, is_finished=True)


@pytest.fixture(params=["folder", "uri"])
def shelf(request, tmp_path):
    place = tmp_path / "models"
    return ModelShelf(str(place) if request.param == "folder" else f"file://{place}")


def names(tmp_path):
    return sorted(path.name for path in (tmp_path / "models").iterdir())


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_the_largest_size_and_first_seed_stays_whichever_came_first(shelf, tmp_path, order):
    offers = [card("a", 0.9, size=50), card("b", 0.8, seed=1), card("c", 0.7, seed=0)]
    for index in order:
        shelf.offer(offers[index], write(offers[index].cell))
    shelf.offer(card("d", 0.5, "bow", None), write("d"))
    assert {kept.cell for kept in shelf.cards()} == {"c", "d"}
    assert names(tmp_path) == ["c", "c.json", "d", "d.json"]


def test_of_two_models_that_two_workers_kept_at_once_the_larger_is_taken(shelf, tmp_path):
    for cell, size in (("a", 100), ("b", 50)):
        shelf.offer(card(cell, 0.8, size=size), write(cell))
        (tmp_path / "models" / f"{cell}.json").rename(tmp_path / f"{cell}.json")
    for cell in "ab":
        (tmp_path / f"{cell}.json").rename(tmp_path / "models" / f"{cell}.json")
    (kept,) = shelf.kept([row("a", 0.8), row("b", 0.8)], tmp_path / "fetched")
    assert kept.cell == "a"


def test_a_better_test_score_is_no_reason_to_keep_a_model(shelf, tmp_path):
    offers = [card("a", 0.7, "ulm", None, 0), card("b", 0.9, "ulm", None, 1)]
    for offer in (*offers, *reversed(offers)):
        shelf.offer(offer, write(offer.cell))
    assert [kept.cell for kept in shelf.cards()] == ["a"]


def test_a_model_that_is_not_kept_is_not_even_written(shelf):
    shelf.offer(card("a", 0.8), write("a"))

    def refuse(folder):
        raise AssertionError("not to be written")

    assert not shelf.offer(card("b", 0.9, size=50), refuse)


def test_a_later_attempt_of_a_cell_takes_the_place_of_its_earlier_one(shelf, tmp_path):
    shelf.offer(card("a", 0.8), write("first"))
    shelf.offer(card("a", 0.6), write("second"))
    assert [kept.accuracy for kept in shelf.cards()] == [0.6]
    assert (tmp_path / "models" / "a" / "labeller.json").read_text() == "second"


def test_the_kept_models_are_on_this_machine_with_the_score_that_the_results_have(shelf, tmp_path):
    shelf.offer(card("a", 0.8), write("a"))
    shelf.offer(card("b", 0.5, "bow", None), write("b"))
    here = tmp_path / "here"
    models = shelf.kept([row("a", 0.8), row("b", 0.6)], here)
    assert [(model.regime, model.cell) for model in models] == [("ulm+domain", "a")]
    assert (models[0].folder / "labeller.json").read_text() == "a"
    assert len(models[0].digest) == 64


def test_where_nothing_was_kept_there_is_nothing(shelf, tmp_path):
    assert shelf.kept([row("a", 0.8)], tmp_path / "here") == ()


@pytest.mark.parametrize("content", [b"{", b"\xff", json.dumps({"cell": "a"}).encode()])
def test_a_damaged_card_costs_no_model_but_its_own(shelf, tmp_path, content):
    shelf.offer(card("a", 0.8), write("a"))
    shelf.offer(card("b", 0.7, "bow", None), write("b"))
    (tmp_path / "models" / "a.json").write_bytes(content)
    (kept,) = shelf.kept([row("a", 0.8), row("b", 0.7)], tmp_path / "here")
    assert kept.cell == "b"
    shelf.offer(card("a", 0.8), write("a"))
    assert {card.cell for card in shelf.cards()} == {"a", "b"}


@pytest.mark.parametrize("remove", [remove_file, remove_folder])
def test_what_another_worker_removes_at_the_same_time_is_removed(tmp_path, monkeypatch, remove):
    """Both have looked, and see it; the other one is faster."""
    files, path = open_place(str(tmp_path / "models"))
    seen = {remove_file: FileType.File, remove_folder: FileType.Directory}[remove]

    class Late:
        delete_file, delete_dir = files.delete_file, files.delete_dir

        def get_file_info(self, path):
            return FileInfo(path, type=seen)

    monkeypatch.setattr("sweeps.storage.open_place", lambda place: (Late(), path))
    remove(path)


def job_of(models):
    cell = SimpleNamespace(regime="ulm", id="c", size=None, seed=0)
    return SimpleNamespace(
        request=SimpleNamespace(cell=cell), context=SimpleNamespace(models=str(models))
    )


def test_a_model_that_can_not_be_kept_is_told_and_costs_no_score(tmp_path):
    (tmp_path / "file").touch()
    told = keep_model(job_of(tmp_path / "file" / "models"), 0.8, write("c"))
    assert "Not a directory" in told["no_model"]
    assert keep_model(job_of(tmp_path / "models"), 0.8, write("c")) == {}


def test_a_disk_that_is_full_when_a_model_is_kept_ends_the_run_as_anywhere(tmp_path):
    def full(folder):
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        keep_model(job_of(tmp_path / "models"), 0.8, full)


def test_a_card_that_another_worker_takes_away_meanwhile_is_no_error(shelf, tmp_path, monkeypatch):
    shelf.offer(card("a", 0.9), write("a"))
    listed = shelf_module.list_files(str(tmp_path / "models"))
    (tmp_path / "models" / "a.json").unlink()
    monkeypatch.setattr(shelf_module, "list_files", lambda place: listed)
    assert shelf.cards() == ()
    assert shelf.offer(card("b", 0.8, size=200), write("b"))
