import numpy as np
import pytest
from typer.testing import CliRunner

from sweeps import cli
from sweeps.paths import SweepPaths
from sweeps.search.ledger import Ledger
from sweeps.spec.cells import make_cells
from sweeps.spec.load import load_spec, spec_to_json
from sweeps.spec.volume import CorpusVolume
from tests.sweeps.example_sweep import example_records, example_spec

SPEC = example_spec(sizes=(100, 200, 400, 800, 1600), seeds=(0, 1, 2))
RECORDS = example_records(SPEC)
FIRST = RECORDS[:40]


@pytest.fixture
def ask(tmp_path, monkeypatch):
    """`sweep advise` on a folder whose ledger holds the given records."""
    monkeypatch.chdir(tmp_path)
    paths = SweepPaths(storage=str(tmp_path), name=SPEC.name)
    paths.folder.mkdir()
    paths.spec_json.write_text(spec_to_json(SPEC), encoding="utf-8")
    paths.ledger_db.touch()

    def invoke(*options, records=RECORDS):
        ledger = Ledger(SPEC, make_cells(SPEC), records=records)
        monkeypatch.setattr("sweeps.search.studies.read_ledger", lambda paths, spec: ledger)
        return CliRunner().invoke(cli.app, ["advise", str(paths.folder), *map(str, options)])

    return invoke


def test_advise_says_what_to_collect_what_it_brings_and_when_to_stop(ask):
    done = ask("--target", "0.75", "--price-per-document", "0.1", "--price-per-gpu-hour", "2")
    assert done.exit_code == 0, done.output
    assert "Target 75 %: " in done.stdout
    assert "3,200 documents: `ulm+domain` should score " in done.stdout
    assert "1,600 documents cost 160.00" in done.stdout
    assert "cells to add: " in done.stdout


@pytest.mark.parametrize("target", ["0", "1", "85", "-0.2"])
def test_a_target_that_cannot_be_is_one_message_and_exit_2(ask, target):
    done = ask(f"--target={target}")
    assert (done.exit_code, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert "--target must be" in done.stderr


def test_where_the_data_do_not_support_an_answer_it_says_so_and_exits_0(ask):
    done = ask("--target", "0.85", records=())
    assert done.exit_code == 0
    assert "No advice yet: no regime that reads domain text has a finished cell." in done.stdout
    done = ask("--target", "0.85", records=FIRST)
    assert done.exit_code == 0


def test_an_emitted_spec_can_be_run_and_holds_the_sweep(ask, tmp_path):
    done = ask("--budget-documents", "100000", "--emit-spec", tmp_path / "more.yaml")
    assert done.exit_code == 0, done.output
    assert f"sweep run {tmp_path}/more.yaml" in done.stdout
    loaded = load_spec(tmp_path / "more.yaml")
    assert loaded.sizes == (*SPEC.sizes, 3200)
    assert {cell.id for cell in make_cells(SPEC)} < {cell.id for cell in make_cells(loaded)}
    assert ask("--emit-spec", tmp_path / "more.yaml").exit_code == 0


def test_an_emitted_spec_stays_within_the_text_that_was_recorded(ask, tmp_path, monkeypatch):
    known = CorpusVolume(tokens_per_document=1.0, pool_documents=2000)
    monkeypatch.setattr("sweeps.report.evidence.published_volume", lambda source: known)
    done = ask("--budget-documents", "100000", "--emit-spec", tmp_path / "more.yaml")
    assert "2,000 documents for training: what lies beyond must be collected first" in done.stdout
    assert load_spec(tmp_path / "more.yaml").sizes == (*SPEC.sizes, 2000)


def test_a_file_that_is_not_its_own_is_not_overwritten(ask, tmp_path):
    mine = tmp_path / "mine.yaml"
    mine.write_text("name: mine\n", encoding="utf-8")
    done = ask("--emit-spec", mine)
    assert done.exit_code == 2
    assert "--emit-spec must name a new file" in done.stderr
    assert mine.read_text(encoding="utf-8") == "name: mine\n"
    assert "make the folder" in ask("--emit-spec", tmp_path / "no" / "x.yaml").stderr


def test_a_target_that_always_saying_one_class_reaches_is_refused(ask, tmp_path):
    paths = SweepPaths(storage=str(tmp_path), name=SPEC.name)
    paths.predictions_folder.mkdir(parents=True)
    labels = np.repeat([0, 1, 2, 3], [70, 10, 10, 10])
    for cell in make_cells(SPEC):
        said = {"labels": labels, "probabilities": np.eye(4)[labels]}
        np.savez(paths.predictions(cell.id), documents=np.arange(100), **said)
    done = ask("--target", "0.6")
    assert done.exit_code == 2
    assert "--target must be above 0.7" in done.stderr
    assert ask("--target", "0.72").exit_code == 0
