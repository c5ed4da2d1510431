import json
import subprocess
import sys

import pytest
import torch

from sweeps.paths import SweepPaths
from sweeps.run import calibration
from sweeps.run.calibration import calibrated
from sweeps.spec.load import load_spec
from sweeps.spec.volume import published_volumes

SMALL = {
    "model": "{embedding: 8, hidden: 8, layers: 1, vocabulary: 50, minimum_count: 1}",
    "language_model": "{epochs: 1, batch: 4, bptt: 10}",
    "classifier": "{epochs: 2, batch: 4, bptt: 10}",
}


@pytest.fixture
def spec(tmp_path, monkeypatch):
    monkeypatch.setattr(calibration, "SECONDS", 0.02)
    return load_spec("demo", {**SMALL, "storage": json.dumps(str(tmp_path / "runs"))})


def rates_of(spec):
    return calibrated(spec, published_volumes(spec), SweepPaths.of(spec))


def test_a_machine_is_measured_once_for_a_shape_of_models(spec, monkeypatch):
    first = rates_of(spec)
    assert first.language_model > 0
    assert first.classifier > 0
    assert "this machine" in first.basis
    measured = []
    monkeypatch.setattr(calibration, "measure", lambda *asked: measured.append(asked) or first)
    assert rates_of(spec) == first
    assert not measured
    wider = load_spec("demo", {**SMALL, "storage": json.dumps(spec.storage), "model.hidden": "9"})
    rates_of(wider)
    assert len(measured) == 1
    rates_of(
        load_spec("demo", {**SMALL, "storage": json.dumps(spec.storage), "resources.cpus": "2"})
    )
    assert len(measured) == 2
    assert rates_of(spec) == first


def test_rates_that_can_not_be_kept_or_read_are_measured_again(spec, tmp_path):
    (tmp_path / "file").touch()
    nowhere = load_spec("demo", {**SMALL, "storage": json.dumps(str(tmp_path / "file" / "runs"))})
    assert rates_of(nowhere).language_model > 0
    rates_of(spec)
    file = SweepPaths.of(spec).rates_json
    text = file.read_text()
    for damaged in ("{", text.replace("language", "langvage"), text.replace('"rates"', '"r"')):
        file.write_text(damaged)
        assert rates_of(spec).language_model > 0


def test_without_the_gpu_that_a_trial_asks_for_nothing_is_measured(spec, monkeypatch):
    monkeypatch.setattr(calibration, "has_gpu", lambda: False)
    on_gpu = load_spec("demo", {**SMALL, "resources.gpus": "1"})
    assert rates_of(on_gpu) is None


def test_a_gpu_that_torch_can_not_use_is_none(spec, monkeypatch):
    """As on a login node that has `nvidia-smi` and no GPU."""
    monkeypatch.setattr(calibration, "has_gpu", lambda: True)
    on_gpu = load_spec(
        "demo", {**SMALL, "storage": json.dumps(spec.storage), "resources.gpus": "1"}
    )
    if torch.cuda.is_available():
        pytest.skip("here it can")
    assert rates_of(on_gpu) is None


def test_what_was_measured_is_read_without_loading_torch(spec):
    rates_of(spec)
    code = f"""
import sys
from sweeps.run import calibration
from sweeps.paths import SweepPaths
from sweeps.spec.load import load_spec
from sweeps.spec.volume import published_volumes
spec = load_spec("demo", { ({**SMALL, "storage": json.dumps(spec.storage)})!r})
assert calibration.calibrated(spec, published_volumes(spec), SweepPaths.of(spec)) is not None
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_on_a_gpu_what_a_training_takes_to_start_does_not_count():
    calls = []

    def train(steps):
        calls.append(steps)
        loading = 30.0 if len(calls) == 1 else 0.0
        return 1e9 * steps, loading + 0.6 + steps / 100

    assert calibration._rate(train, on_gpu=True) == pytest.approx(1e11)
    assert sum(calls) < 1000
    assert calibration._rate(train, on_gpu=False) < 0.9e11


@pytest.mark.parametrize("on_gpu", [False, True])
@pytest.mark.parametrize("seconds", [1.5, 30.0])
@pytest.mark.parametrize("stalled", [1, 2, 3, 4, 5, 6, 8])
def test_a_machine_that_stalls_for_a_moment_is_not_taken_for_a_slow_one(stalled, seconds, on_gpu):
    calls = []

    def train(steps):
        calls.append(steps)
        stall = seconds if len(calls) == stalled else 0.0
        return 1e9 * steps, steps / 100 + stall + (0.6 if on_gpu else 0.0)

    assert calibration._rate(train, on_gpu=on_gpu) == pytest.approx(1e11)
    assert sum(steps / 100 for steps in calls) < 4 * calibration.SECONDS


def test_a_training_that_is_long_is_not_repeated():
    calls = []

    def train(steps):
        calls.append(steps)
        return 1e9 * steps, 20.0 * steps

    assert calibration._rate(train, on_gpu=False) == pytest.approx(5e7)
    assert calls == [2, 2]


def test_documents_that_are_measured_differ_in_length_and_are_cut_as_those_of_a_sweep_are():
    free, cut = (calibration._random(50, 200, 100, longest).lengths for longest in (1000, 110))
    assert (min(free), max(free)) == pytest.approx((40, 160), abs=3)
    assert (min(cut), max(cut)) == (min(free), 110)
    assert list(calibration._random(50, 1, 100).lengths) == [100]
