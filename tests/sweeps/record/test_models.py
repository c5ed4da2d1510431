"""One classifier of each regime as an MLflow model: loaded elsewhere, served, scored."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from sweeps.record.mlflow_client import open_client
from tests.sweeps.recorded import record_sweep, trained_sweep
from ulm.labeller import load_labeller
from ulm.regimes import Regime

pytestmark = pytest.mark.torch

TEXTS = ["An example text.", "another one, and a longer one at that"]
PATIENCE_SECONDS = 240  # the machine may be busy
SCORE = """
import json, sys
import mlflow, pandas as pd
mlflow.set_tracking_uri(sys.argv[1])
model = mlflow.pyfunc.load_model(sys.argv[2])
table = model.predict(pd.DataFrame({"text": json.loads(sys.argv[3])}))
loaded = [name for name in ("sweeps", "ray", "optuna") if name in sys.modules]
print(json.dumps({"rows": table.to_dict("records"), "loaded": loaded,
                  "code": sys.modules["ulm"].__file__}))
"""


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    spec, paths, context, records = trained_sweep(tmp_path_factory.mktemp("models"))
    assert record_sweep(spec, paths, context, records)
    return spec, paths, context, records


@pytest.fixture(scope="module")
def logged(sweep):
    return models_of(sweep)


def models_of(sweep):
    spec, paths, *_ = sweep
    client = open_client(paths.mlflow_uri)
    experiment = client.get_experiment_by_name(spec.name).experiment_id
    found = client.search_logged_models([experiment])
    return {model.params["regime"]: model for model in found}


def environment(folder):
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "PYTHONWARNINGS": "ignore"}
    tools = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # MLflow looks for uvicorn there
    return {**os.environ, **quiet, "HOME": str(folder), "PATH": tools}


def expected(model):
    folder = Path(model.artifact_location.removeprefix("file://")) / "data"
    (data,) = folder.iterdir()
    labeller = load_labeller(data)
    return labeller.labels, labeller.probabilities(TEXTS)


def check(rows, model):
    labels, probabilities = expected(model)
    assert [row["label"] for row in rows] == [labels[i] for i in probabilities.argmax(1)]
    told = [[row[f"probability {label}"] for label in labels] for row in rows]
    np.testing.assert_allclose(told, probabilities, atol=1e-6)


def test_every_regime_has_one_model_with_signature_and_example(logged):
    assert set(logged) == {regime.value for regime in Regime}
    for model in logged.values():
        assert model.status == "READY"
        folder = Path(model.artifact_location.removeprefix("file://"))
        files = {path.name for path in folder.rglob("*")}
        assert {"MLmodel", "input_example.json", "labeller.safetensors"} <= files
        assert not [name for name in files if name.endswith((".pkl", ".pth", ".pt"))]
        text = (folder / "MLmodel").read_text()
        assert "loader_module: ulm.serving" in text
        assert '"name": "text"' in text
        assert '"name": "label"' in text


def test_the_run_of_its_cell_names_the_model(sweep, logged):
    client = open_client(sweep[1].mlflow_uri)
    for model in logged.values():
        run = client.get_run(model.source_run_id)
        assert run.data.tags["ulm.model"] == f"models:/{model.model_id}"
        assert run.data.tags["kind"] == "cell"
        assert f"{run.data.metrics['test_accuracy']:.4f}" == model.params["test_accuracy"]
        assert run.data.params.get("size", "60") == "60", "the largest"
        assert "No score chose it" in model.tags["mlflow.note.content"]


@pytest.mark.parametrize("regime", ["bow", "ulm+domain"])
def test_a_model_is_loaded_in_another_process_that_has_no_sweeps(sweep, logged, tmp_path, regime):
    model = logged[regime]
    command = [sys.executable, "-c", SCORE, sweep[1].mlflow_uri, f"models:/{model.model_id}"]
    done = subprocess.run(
        [*command, json.dumps(TEXTS)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment(tmp_path),
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["loaded"] == []
    assert "code" in Path(told["code"]).parts, "the model brings its own code"
    check(told["rows"], model)


def test_recording_again_logs_nothing_anew(sweep, logged):
    assert record_sweep(*sweep)
    assert {m.model_id for m in models_of(sweep).values()} == {m.model_id for m in logged.values()}


@pytest.fixture
def served(sweep, logged, tmp_path):
    """Address of a model that `mlflow models serve` serves on loopback."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    model = logged["ulm+domain"]
    command = [sys.executable, "-m", "mlflow", "models", "serve", "--env-manager", "local"]
    place = ["-m", f"models:/{model.model_id}", "--host", "127.0.0.1", "--port", str(port)]
    with (tmp_path / "served.log").open("w") as log:
        process = subprocess.Popen(
            [*command, *place],
            cwd=tmp_path,
            stdout=log,
            stderr=log,
            env={**environment(tmp_path), "MLFLOW_TRACKING_URI": sweep[1].mlflow_uri},
            start_new_session=True,
        )
    try:
        yield f"http://127.0.0.1:{port}", process
    finally:
        with contextlib.suppress(ProcessLookupError):  # it has ended by itself
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def asked(url, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.read()


def test_a_served_model_scores_text(logged, served, tmp_path):
    address, process = served
    end = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            asked(f"{address}/ping")
            break
        except OSError:
            log = (tmp_path / "served.log").read_text()
            assert process.poll() is None, log
            assert time.monotonic() < end, log
            time.sleep(0.5)
    table = {"columns": ["text"], "data": [[text] for text in TEXTS]}
    rows = json.loads(asked(f"{address}/invocations", {"dataframe_split": table}))["predictions"]
    check(rows, logged["ulm+domain"])
