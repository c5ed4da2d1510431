"""Kernels for GPUs: whether they can be built, and what they read and write of a CPU's memory."""

import math
import re

import pytest
import torch

from tests.ulm.kernels import Builds, interpret, needs_triton
from ulm.model import gpu_decoder, gpu_lstm
from ulm.model.kernels import can_build, triton
from ulm.model.precision import aligned

pytestmark = [pytest.mark.torch, needs_triton]

BF16, FP32 = torch.bfloat16, torch.float32
GUARDS = 64


@pytest.fixture
def builds(request, monkeypatch, tmp_path):
    monkeypatch.setattr(triton.knobs.cache, "dir", str(tmp_path / "cache"))
    return Builds(monkeypatch, getattr(request, "param", 90))


def step(rows, units, parts, mask):
    """Forward and backward of one step, as `_Lstm` has it."""
    gates, bias = torch.empty(rows, 4 * units, dtype=BF16), torch.empty(4 * units)
    cell, hidden = torch.empty(rows, units), torch.empty(rows, units, dtype=BF16)
    gpu_lstm.step_forward(gates, bias, cell, cell, hidden, mask, hidden)
    dhidden = torch.empty(parts, rows, units, dtype=BF16)
    gpu_lstm.step_backward(gates, bias, cell, cell, mask, hidden, dhidden, cell)


@pytest.mark.parametrize("builds", [80, 90, 100], indirect=True)
def test_all_kernels_can_be_built_and_no_number_is_spilled(builds, tmp_path):
    gpu_decoder._on_little("cpu")
    gpu_lstm.on_little("cpu")
    names = [kernel.name for kernel in builds.kernels]
    assert names == ["_finish_rows", "_finish_weight", "_forward", "_backward"]
    words, units = 60_000, 400
    for dtype in (BF16, FP32):
        scores, targets = torch.empty(2, words, dtype=dtype), torch.zeros(2, dtype=torch.long)
        for correct in (targets.bool(), None):
            gpu_decoder._run_finish_rows(scores, targets, torch.empty(2), correct, words - 1)
    gpu_decoder._run_finish_weight(torch.empty(9, units + 8), torch.empty(units), torch.ones(()))
    for mask in (None, torch.empty(64, 1152)):
        for parts in (1, 4):
            step(64, 1152, parts, mask)
    assert len(builds.kernels) == len(names) + 4 + 1 + 2 * 2 * 2
    assert builds.spilled(tmp_path) == [0] * len(builds.kernels)


@pytest.mark.parametrize("dtype", [BF16, FP32])
@pytest.mark.parametrize("is_scored", [False, True])
def test_scores_are_read_and_written_sixteen_bytes_at_a_time(builds, dtype, is_scored):
    """Whatever the number of words; alone go a target, its score and what there is of a row."""
    words = 59_993
    scores, targets = torch.empty(2, aligned(words, gpu_decoder.ROW), dtype=dtype), torch.zeros(2)
    correct = torch.empty(2, dtype=torch.bool) if is_scored else None
    gpu_decoder._run_finish_rows(scores, targets.long(), torch.empty(2), correct, words)
    moves = re.findall(r"(ld|st)\.global\.(v4)?", builds.kernels[-1].asm["ptx"])
    assert moves.count(("ld", "")) == moves.count(("st", "")) == 2
    assert ("ld", "v4") in moves
    assert is_scored or ("st", "v4") in moves


def test_what_is_spilled_is_seen(builds, tmp_path, monkeypatch):
    monkeypatch.setattr(gpu_decoder, "WARPS", 2)
    row, target = torch.empty(1, 8), torch.zeros(1, dtype=torch.long)
    gpu_decoder._run_finish_rows(row, target, torch.empty(1), target.bool(), 8)
    assert builds.spilled(tmp_path)[0] > 0


def test_what_can_not_be_built_is_said_once(caplog):
    asked = []

    def kernels():
        asked.append(1)
        raise RuntimeError("no compiler")

    assert not can_build(kernels)
    assert not can_build(kernels)
    assert len(asked) == len(caplog.records) == 1
    assert "no compiler" in caplog.text


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory."),
        RuntimeError("Triton Error [CUDA]: out of memory"),
    ],
)
def test_a_full_gpu_says_nothing_of_what_can_be_built(error):
    errors = [error]

    def kernels():
        if errors:
            raise errors.pop()

    with pytest.raises(RuntimeError, match="out of memory"):
        can_build(kernels)
    assert can_build(kernels)


class Guarded:
    """Makes tensors of random numbers, between others that nothing may read or write."""

    def __init__(self, outside):
        self.outside = outside

    def __call__(self, *shape, dtype=FP32):
        room = torch.full((math.prod(shape) + 2 * GUARDS,), self.outside, dtype=dtype)
        inner = room[GUARDS:-GUARDS].view(shape)
        inner.copy_(torch.rand(shape))
        return inner

    def check(self, *tensors):
        for tensor in tensors:
            room = tensor.new_empty(0).set_(tensor.untyped_storage())
            outside = torch.full((GUARDS,), self.outside, dtype=room.dtype)
            assert tensor.isfinite().all()
            for guards in (room[:GUARDS], room[-GUARDS:]):
                torch.testing.assert_close(guards, outside, atol=0, rtol=0, equal_nan=True)


@pytest.fixture(params=[math.nan, -2.0], ids=["read", "written"])
def guarded(request):
    """What is read of the first kind comes out again; on the second what is written shows."""
    return Guarded(request.param)


@pytest.mark.parametrize(("tokens", "words"), [(3, 13), (2, 9001)])
def test_decoder_kernels_touch_their_own_numbers_only(monkeypatch, guarded, tokens, words):
    interpret(monkeypatch, gpu_decoder)
    width = 8 * (words // 8 + 1)
    for correct in (torch.zeros(tokens, dtype=torch.bool), None):
        scores, losses = guarded(tokens, width), guarded(tokens)
        scores[:, words:] = guarded.outside
        targets = torch.full((tokens,), words - 1)
        gpu_decoder._run_finish_rows(scores, targets, losses, correct, words)
        guarded.check(losses)
        if correct is None:
            guarded.check(scores)
            assert not scores[:, words:].any()
    dweight, mean, gradient = guarded(tokens, 24), guarded(21), guarded(tokens, 21)
    kernel = gpu_decoder._finish_weight[(tokens,)]
    kernel(dweight, mean, torch.ones(()), gradient, 21, 24, BLOCK=32)
    guarded.check(dweight, gradient)


@pytest.mark.parametrize("is_masked", [True, False])
@pytest.mark.parametrize(("rows", "units"), [(3, 5), (9, 130)])
def test_a_steps_kernels_touch_their_own_numbers_only(monkeypatch, guarded, rows, units, is_masked):
    interpret(monkeypatch, gpu_lstm)
    gates, bias = guarded(rows, 4 * units, dtype=BF16), guarded(4 * units)
    before, after = guarded(rows, units), guarded(rows, units)
    hidden, out = (guarded(rows, units, dtype=BF16) for _ in range(2))
    mask = guarded(rows, units) if is_masked else None
    gpu_lstm.step_forward(gates, bias, before, after, hidden, mask, out)
    guarded.check(gates, bias, before, after, hidden, out)
    dhidden, dcell = guarded(2, rows, units, dtype=BF16), guarded(rows, units)
    gpu_lstm.step_backward(gates, bias, before, after, mask, out, dhidden, dcell)
    guarded.check(gates, before, after, out, dhidden, dcell)
