"""What a trial's last report says, above all where memory does not suffice."""

import errno
import gc
import socket
import weakref
from dataclasses import replace

import pytest
import torch
from tiny import context_of, fresh_store, tiny_spec

from sweeps.errors import LostEncoderError
from sweeps.run.ending import ending_of
from sweeps.run.stages import run_trial
from sweeps.search.messages import (
    BROKEN,
    FAILURE,
    LOST_ENCODER,
    MISFIT,
    NODE,
    OUTCOME,
    load_outcome,
)
from sweeps.search.records import Outcome, StudyKey, TrialKey, TrialRequest
from sweeps.spec.cells import Stage, make_cells
from sweeps.spec.values import ClassifierSpec, LanguageModelSpec
from ulm.errors import DeviceError, TokenError, UlmError
from ulm.training.listener import TrainingDiverged

pytestmark = pytest.mark.torch

PLACE = "/storage"
TOO_LARGE = [
    MemoryError("no room"),
    torch.OutOfMemoryError("CUDA out of memory"),
    RuntimeError("CUDA error: out of memory"),
    RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`"),
    RuntimeError("cuDNN error: CUDNN_STATUS_NOT_INITIALIZED"),
    RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
]


GRAPH_ENDED = RuntimeError("capture ended by an error before")
GRAPH_ENDED.__context__ = torch.OutOfMemoryError("CUDA out of memory")
TOO_LARGE.append(GRAPH_ENDED)


class FakeTraining:
    """Raises what it is told to, attempt by attempt, then finishes."""

    def __init__(self, *errors):
        self._errors = list(errors)
        self.parts = []

    def __call__(self, parts):
        self.parts.append(parts)
        if self._errors:
            raise self._errors.pop(0)
        return Outcome(value=0.5, metrics={"parts": float(parts)})


def test_a_trial_that_took_its_node_down_begins_in_parts_and_is_tried_no_third_time():
    training = FakeTraining(MemoryError("no room"), MemoryError("no room"))
    ending = ending_of(training, place=PLACE, parts=2)
    assert training.parts == [2]
    assert "also with half the batch" in ending[BROKEN]


@pytest.mark.parametrize("error", TOO_LARGE, ids=str)
def test_training_that_runs_out_of_memory_is_tried_again_in_parts(error):
    training = FakeTraining(error)
    ending = ending_of(training, place=PLACE)
    assert load_outcome(ending[OUTCOME]).metrics == {"parts": 2.0}
    assert training.parts == [1, 2]


def test_the_second_time_another_machine_may_try_it():
    training = FakeTraining(MemoryError("no room"), MemoryError("still none"), MemoryError())
    assert ending_of(training, place=PLACE) == {
        BROKEN: "out of memory: still none, also with half the batch at a time: run again where a "
        "trial has more memory, or lower `batch` in a sweep of another name"
    }
    assert training.parts == [1, 2]


def test_bow_which_has_no_batches_is_not_tried_again():
    training = FakeTraining(MemoryError("no room"))
    assert ending_of(training, place=PLACE, has_batches=False) == {BROKEN: "out of memory: no room"}
    assert training.parts == [1]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (TrainingDiverged("loss nan"), "diverged: loss nan"),
        (UlmError("no labels"), "no labels"),
    ],
)
def test_what_another_attempt_would_not_mend_is_a_failure_at_once(error, reason):
    training = FakeTraining(error)
    assert ending_of(training, place=PLACE) == {FAILURE: reason}
    assert training.parts == [1]


def test_what_this_machine_can_not_do_is_no_fault_of_the_trial():
    training = FakeTraining(DeviceError("precision bf16 needs another GPU"))
    ending = ending_of(training, place=PLACE)
    misfit = f"{socket.gethostname()}: precision bf16 needs another GPU"
    assert ending == {MISFIT: misfit, NODE: "this"}
    assert training.parts == [1]


def test_any_other_error_is_raised_for_the_runner_to_repeat_the_trial():
    with pytest.raises(RuntimeError, match="cuDNN"):
        ending_of(FakeTraining(RuntimeError("cuDNN error")), place=PLACE)


def test_nothing_of_the_first_attempt_is_held_during_the_second():
    held = []

    class Weights:
        pass

    def train(parts):
        gc.disable()
        try:
            if parts == 1:
                weights = Weights()
                held.append(weakref.ref(weights))
                raise MemoryError("no room")
            return Outcome(value=float(held[0]() is None))
        finally:
            gc.enable()

    assert load_outcome(ending_of(train, place=PLACE)[OUTCOME]).value == 1.0


def test_a_trial_in_parts_scores_the_same_under_the_same_key_and_says_so(tmp_path):
    spec = tiny_spec(
        tmp_path,
        language_model=LanguageModelSpec(epochs=2, minimum_steps=0, batch=4, bptt=20, dropout=0.0),
        classifier=ClassifierSpec(epochs=2, batch=8, bptt=20, dropout=0.0),
    )
    context = context_of(spec, tmp_path / "tokens")
    cell = next(c for c in make_cells(spec) if (c.regime, c.size) == ("domain", 20))

    def outcomes(accumulation):
        store, found, encoder = fresh_store(spec), [], None
        for stage in (Stage.LANGUAGE_MODEL, Stage.CLASSIFIER):
            key = TrialKey(study=StudyKey(cell_id=cell.id, stage=stage), number=0)
            params = {"learning_rate": 0.005}
            request = TrialRequest(key=key, cell=cell, params=params, encoder=encoder)
            found.append(
                run_trial(request, context, store, lambda p, save: None, accumulation=accumulation)
            )
            encoder = found[0].artifacts["encoder"]
        return found

    for whole, parts in zip(outcomes(1), outcomes(2), strict=True):
        assert "accumulation" not in whole.metrics
        assert parts.metrics["accumulation"] == 2.0
        assert parts.artifacts == whole.artifacts
        for name in ("validation_loss", "validation_accuracy"):
            assert parts.metrics[name] == pytest.approx(whole.metrics[name], abs=1e-5)
        assert replace(parts, metrics={}).value == pytest.approx(whole.value, abs=1e-5)


def test_what_is_no_fault_of_the_trial_does_not_count_as_its_failure():
    lost = ending_of(FakeTraining(LostEncoderError("k", "is damaged")), place=PLACE)
    assert lost == {LOST_ENCODER: "k", MISFIT: "encoder k is damaged"}
    cut = ending_of(FakeTraining(TokenError("ids.npy must have 9 bytes")), place=PLACE)
    assert cut == {MISFIT: "ids.npy must have 9 bytes"}
    full = ending_of(FakeTraining(OSError(errno.ENOSPC, "No space left on device")), place=PLACE)
    assert set(full) == {MISFIT}
    assert "GiB in /storage" in full[MISFIT]
