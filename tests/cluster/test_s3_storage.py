"""A sweep whose storage is a bucket: a local S3 server, alone and with several nodes of Ray."""

import json
import os
import shutil
import uuid
from contextlib import closing

import pytest
from buckets import Machines, Server, downloads, environment_of
from pyarrow import fs

from sweeps.answer.predictions import fetch_predictions, read_predictions
from sweeps.errors import StorageError
from sweeps.paths import SweepPaths, below
from sweeps.record.recorder import ListRecorder
from sweeps.run.backup import Backup
from sweeps.run.node_cache import cached
from sweeps.run.prepare import prepare_context
from sweeps.run.recovery import take_back
from sweeps.run.shared_folder import CONTENTS_FILE, put_folder
from sweeps.search.control import Control, NoRequest
from sweeps.search.listener import RunListener
from sweeps.search.records import TrialState
from sweeps.search.suggestions import InMemoryStudies
from sweeps.spec.cells import make_cells
from sweeps.spec.general import GeneralSpec
from sweeps.spec.load import spec_to_json
from sweeps.spec.searches import BagOfWordsSearch, GeneralSearch, NeuralSearch, SearchSpec
from sweeps.spec.values import (
    ClassifierSpec,
    LabelSpec,
    LanguageModelSpec,
    ModelSpec,
    SweepSpec,
    TestSpec,
)
from sweeps.storage import (
    info_of,
    list_files,
    open_place,
    put_bytes,
    read_bytes,
    remove_folder,
)
from sweeps.writable import check_storage
from ulm.regimes import Regime
from ulm.text.corpora import CorpusSource


@pytest.fixture(scope="module")
def server():
    started = Server()
    yield started
    started.close()


@pytest.fixture
def bucket(server, tmp_path, monkeypatch):
    """URI of an empty bucket, found through the environment as on a cluster's nodes."""
    monkeypatch.chdir(tmp_path)
    for name, value in environment_of(server).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SWEEP_CACHE", str(tmp_path / "node"))
    name = f"bucket-{uuid.uuid4().hex[:8]}"
    fs.S3FileSystem(endpoint_override=server.address, allow_bucket_creation=True).create_dir(name)
    return f"s3://{name}"


def small_spec(storage, **changes):
    values = {
        "name": "tiny",
        "storage": storage,
        "corpus": CorpusSource(kind="synthetic", documents=80),
        "general": GeneralSpec(kind="synthetic-general", documents=60, epochs=1),
        "labels": LabelSpec(train=20),
        "test": TestSpec(documents=40),
        "sizes": (60,),
        "regimes": (Regime.BOW, Regime.ULM_DOMAIN),
        "seeds": (0, 1),
        "model": ModelSpec(embedding=8, hidden=8, layers=2, vocabulary=300, minimum_count=1),
        "language_model": LanguageModelSpec(epochs=2, minimum_steps=0, batch=4, bptt=20),
        "classifier": ClassifierSpec(epochs=2, batch=8, bptt=20),
        "search": SearchSpec(
            general=GeneralSearch(trials=1),
            language_model=NeuralSearch(trials=1),
            classifier=NeuralSearch(trials=2),
            bow=BagOfWordsSearch(trials=2),
        ),
    }
    return SweepSpec(**{**values, **changes})


def test_files_are_written_read_listed_and_removed(bucket):
    place = below(bucket, "runs", "demo")
    put_bytes(b"one", below(place, "a.txt"))
    put_bytes(b"two", below(place, "deep", "b.txt"))
    assert read_bytes(below(place, "a.txt")) == b"one"
    assert [info.base_name for info in list_files(place)] == ["a.txt"]
    assert info_of(below(place, "none.txt")) is None
    with pytest.raises(FileNotFoundError, match=r"none\.txt"):
        read_bytes(below(place, "none.txt"))
    assert list_files(below(bucket, "nowhere")) == ()
    remove_folder(place)
    remove_folder(place)
    assert info_of(below(place, "deep", "b.txt")) is None


def test_the_options_of_a_uri_do_without_the_environment(bucket, server, monkeypatch):
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    host = server.address.removeprefix("http://")
    storage = f"{bucket}/runs?endpoint_override={host}&scheme=http"
    paths = SweepPaths(storage=storage, name="demo")
    check_storage(paths)
    put_bytes(b"{}", paths.shared(paths.spec_json))
    assert open_place(paths.shared(paths.spec_json))[1].endswith("/runs/demo/spec.json")
    assert [info.base_name for info in list_files(paths.shared(paths.folder))] == ["spec.json"]


def test_a_bucket_that_is_not_there_is_named(bucket):
    with pytest.raises(StorageError, match="a bucket that can be written, found s3://no-such"):
        check_storage(SweepPaths(storage="s3://no-such-bucket/runs", name="demo"))


def test_a_folder_reaches_the_disk_of_a_node_verified(bucket, tmp_path):
    made = tmp_path / "array"
    made.mkdir()
    content = os.urandom(3 * 2**20)  # more than one part of a download
    (made / "ids.npy").write_bytes(content)
    put_folder(made, below(bucket, "array"))
    fetched = cached(below(bucket, "array"))
    assert (fetched / "ids.npy").read_bytes() == content
    assert fetched.parent == tmp_path / "node"
    put_bytes(content[:-1] + b"?", below(bucket, "array", "ids.npy"))
    with pytest.raises(StorageError, match="must have the digests"):
        cached(below(bucket, "array"), tmp_path / "another node")


def test_a_new_head_takes_ledger_and_arrays_from_the_bucket(bucket, tmp_path):
    spec = small_spec(f"{bucket}/runs")
    paths, told = SweepPaths.of(spec), []
    context, made = prepare_context(spec, paths, RunListener())
    paths.folder.mkdir()
    paths.spec_json.write_text(spec_to_json(spec), encoding="utf-8")
    with Backup(paths, told.append):
        pass
    shutil.rmtree(paths.root)
    take_back(paths, told.append)
    assert paths.spec_json.read_text(encoding="utf-8") == spec_to_json(spec)
    again, found = prepare_context(spec, paths, RunListener())
    assert (again, told) == (context, [])
    assert [(a.name, a.fingerprint, a.cost) for a in found] == [
        (a.name, a.fingerprint, a.cost) for a in made
    ]


@pytest.mark.torch
def test_trials_read_and_leave_everything_in_the_bucket(bucket, server, tmp_path):
    from sweeps.run.encoders import EncoderStore
    from sweeps.run.stages import run_trial

    spec = small_spec(f"{bucket}/runs", seeds=(0,))
    paths = SweepPaths.of(spec)
    context, _ = prepare_context(spec, paths, RunListener())
    cells = make_cells(spec)
    with closing(control_of(spec, cells)) as control:
        while (request := control.next_request()) is not NoRequest.DONE:
            store = EncoderStore(context.encoders)
            outcome = run_trial(
                request, context, store, lambda p, save, key=request.key: control.report(key, p)
            )
            control.finish(request.key, outcome)
        assert {record.state for record in control.records} == {TrialState.FINISHED}
    fetch_predictions(paths)
    finals = [cell for cell in cells if not cell.is_general]
    assert all(read_predictions(paths.predictions(cell.id)).hits.shape == (40,) for cell in finals)
    names = sorted(path.name.partition("-")[0] for path in (tmp_path / "node").iterdir())
    assert len([name for name in names if name == "synthetic"]) == 2, "both token arrays"
    assert not paths.encoders.exists()
    assert len(downloads(server, rf"/{bucket[5:]}/runs/tokens/[^/]+/[^/]+/ids\.npy")) == 2


def control_of(spec, cells):
    recorder = ListRecorder(spec=spec, cells=cells)
    return Control(spec, cells, InMemoryStudies(), lambda: recorder, RunListener())


@pytest.fixture
def machines(tmp_path, server, bucket):
    started = Machines(tmp_path, server, bucket)
    try:
        assert started.environment["RAY_ADDRESS"], "the nodes did not start"
        yield started
    finally:
        started.close()


@pytest.mark.ray
@pytest.mark.cluster
def test_several_nodes_share_a_bucket_and_a_new_head_has_nothing_to_train(
    machines, bucket, server, step
):
    told = json.loads(spec_to_json(small_spec("left out")))
    del told["storage"]  # the machine says it
    (machines.head / "tiny.yaml").write_text(json.dumps(told), encoding="utf-8")
    runs = machines.head / "runs"
    with step("s3: a sweep on three nodes"):
        out = machines.sweep("run", "tiny.yaml")
        assert "trained 15 trials, 0 were recorded before" in out
        assert len(list((runs / "tiny" / "predictions").iterdir())) == 4
    with step("s3: data reach each node once"):
        used = [cache for cache in machines.caches if cache.is_dir()]
        assert len(used) >= 2, "trials ran on several nodes"
        for cache in used:
            names = sorted(path.name for path in cache.iterdir() if path.is_dir())
            assert 1 <= len([name for name in names if name.startswith("synthetic-")]) <= 2
            assert all((cache / name / CONTENTS_FILE).is_file() for name in names)
        fetched = downloads(server, rf"/{bucket[5:]}/runs/tokens/[^/]+/[^/]+/ids\.npy")
        assert len(fetched) == sum(len(list(cache.glob("*/ids.npy"))) for cache in used)
    machines.end_nodes()
    with step("s3: a new head, nothing left to train"):
        shutil.rmtree(runs)
        del machines.environment["RAY_ADDRESS"]
        num_requests = len(server.log)
        out = machines.sweep("run", "tiny.yaml")
        assert f"took back 15 recorded trials from {bucket}/runs/tiny" in out
        assert "nothing to train: all 15 trials are recorded" in out
        assert (runs / "tiny" / "report" / "report.html").is_file()
        assert not [line for line in server.log[num_requests:] if "/encoders/" in line]
    with step("s3: status from any machine"):
        shutil.rmtree(runs)
        assert "5 of 5 cells finished" in machines.sweep("status", f"{bucket}/runs/tiny")
