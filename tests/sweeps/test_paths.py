from pathlib import Path

import pytest

from sweeps.errors import StorageError
from sweeps.paths import SweepPaths, below
from sweeps.spec.load import load_spec

LOCAL = SweepPaths(storage="/data/runs", name="demo")


def all_paths(paths):
    names = [name for name, kind in vars(SweepPaths).items() if isinstance(kind, property)]
    values = {name: getattr(paths, name) for name in names}
    return {name: value for name, value in values.items() if isinstance(value, Path)}


def test_every_path_is_absolute_and_below_the_storage(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    paths = SweepPaths(storage="runs", name="demo")
    for path in all_paths(paths).values():
        assert path.is_absolute()
        assert path.is_relative_to(tmp_path / "runs")


def test_a_storage_beside_the_working_directory_is_named_without_detours(tmp_path, monkeypatch):
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    assert SweepPaths(storage="../runs", name="demo").folder == tmp_path / "runs" / "demo"


def test_no_two_files_share_a_path():
    values = list(all_paths(LOCAL).values())
    assert len(set(values)) == len(values)


def test_paths_stay_when_the_working_directory_changes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    paths = SweepPaths(storage="runs", name="demo")
    before = paths.ledger_db
    monkeypatch.chdir("/")
    assert paths.ledger_db == before


def test_the_files_a_user_is_told_of_have_their_names():
    assert LOCAL.report_html == Path("/data/runs/demo/report/report.html")
    assert LOCAL.results_csv == Path("/data/runs/demo/report/results.csv")
    assert LOCAL.predictions("bow-s0") == Path("/data/runs/demo/predictions/bow-s0.npz")
    assert LOCAL.mlflow_uri == "sqlite:////data/runs/demo/mlflow.db"
    assert LOCAL.ledger_url == "sqlite:////data/runs/demo/ledger.db"
    assert LOCAL.tokens == Path("/data/runs/tokens")
    assert LOCAL.encoders == Path("/data/runs/encoders")


@pytest.mark.parametrize("storage", ["s3://bucket/runs", "s3://bucket/runs/", "gs://b"])
def test_a_bucket_has_a_local_copy_and_shared_places(storage, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    paths = SweepPaths(storage=storage, name="demo")
    assert paths.is_remote
    assert paths.ledger_db == tmp_path / "runs" / "demo" / "ledger.db"
    assert paths.shared(paths.encoders) == storage.rstrip("/") + "/encoders"


def test_options_of_a_uri_stay_at_its_end():
    uri = "s3://bucket/runs/?endpoint_override=localhost:5000&scheme=http"
    paths = SweepPaths(storage=uri, name="demo")
    options = "?endpoint_override=localhost:5000&scheme=http"
    assert paths.storage == f"s3://bucket/runs{options}"
    assert paths.shared(paths.ledger_db) == f"s3://bucket/runs/demo/ledger.db{options}"
    assert below(paths.shared(paths.encoders), "k", "x.json") == (
        f"s3://bucket/runs/encoders/k/x.json{options}"
    )


def test_names_of_other_alphabets_are_quoted_in_a_uri():
    paths = SweepPaths(storage="s3://bucket/größe 1", name="größe")
    assert paths.storage == "s3://bucket/gr%C3%B6%C3%9Fe%201"
    assert paths.shared(paths.ledger_db) == f"{paths.storage}/gr%C3%B6%C3%9Fe/ledger.db"
    assert SweepPaths.at_uri(paths.shared(paths.folder)) == paths
    assert SweepPaths.at_uri("s3://bucket/größe 1/größe") == paths
    assert below("/data/größe 1", "größe") == "/data/größe 1/größe"


def test_a_question_mark_in_a_folder_is_no_option():
    assert below("/data/what?/runs", "demo") == "/data/what?/runs/demo"


@pytest.mark.parametrize("options", ["", "?region=eu-central-1"])
def test_a_sweep_is_found_by_the_uri_of_its_folder(options):
    paths = SweepPaths.at_uri(f"s3://bucket/runs/demo/{options}")
    assert paths == SweepPaths(storage=f"s3://bucket/runs{options}", name="demo")


@pytest.mark.parametrize("uri", ["s3://bucket", "s3://bucket/", "s3://"])
def test_a_bucket_is_no_sweep(uri):
    with pytest.raises(StorageError, match="must lie below a bucket"):
        SweepPaths.at_uri(uri)


def test_local_storage_is_shared_by_its_own_path():
    assert LOCAL.shared(LOCAL.encoders) == "/data/runs/encoders"


def test_paths_come_from_a_spec_or_from_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert SweepPaths.of(load_spec("demo")) == SweepPaths.at(Path("runs/demo"))
    assert SweepPaths.at(Path("runs/demo/")).folder == tmp_path / "runs" / "demo"
