from contextlib import nullcontext

import pytest
import torch

from ulm.errors import UlmError
from ulm.model import precision
from ulm.model.precision import check_device
from ulm.model.text_classifier import PoolingHead

GPU, CPU = torch.device("cuda"), torch.device("cpu")


@pytest.fixture
def _gpu(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)


def test_a_gpu_that_torch_can_not_use_is_refused_with_a_remedy(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(
        UlmError,
        match=r"found none; this torch is built (without|for) CUDA.*: look at `nvidia-smi`",
    ):
        check_device(GPU, "fp32")


@pytest.mark.usefixtures("_gpu")
def test_bf16_on_a_gpu_without_it_is_refused_with_a_remedy(monkeypatch):
    monkeypatch.setattr("torch.cuda.get_device_capability", lambda device: (7, 5))
    monkeypatch.setattr("torch.cuda.get_device_name", lambda device: "Tesla T4")
    with pytest.raises(UlmError, match="found Tesla T4: set precision to fp32"):
        check_device(GPU, "bf16")
    check_device(GPU, "fp32")


@pytest.mark.parametrize("has_bf16", [True, False])
def test_bf16_on_a_processor_without_it_is_refused_with_a_remedy(monkeypatch, has_bf16):
    monkeypatch.setattr(precision, "cpu_has_bf16", lambda: has_bf16)
    check_device(CPU, "fp32")
    refused = pytest.raises(UlmError, match="this one has none: set precision to fp32")
    with nullcontext() if has_bf16 else refused:
        check_device(CPU, "bf16")


@pytest.mark.usefixtures("_gpu")
def test_bf16_is_taken_where_the_gpu_has_it(monkeypatch):
    monkeypatch.setattr("torch.cuda.get_device_capability", lambda device: (8, 0))
    check_device(GPU, "bf16")


@pytest.mark.usefixtures("_gpu")
def test_another_gpu_than_the_current_one_is_refused(monkeypatch):
    monkeypatch.setattr("torch.cuda.current_device", lambda: 0)
    check_device(torch.device("cuda:0"), "fp32")
    with pytest.raises(UlmError, match=r"found cuda:1: choose it by torch\.cuda"):
        check_device(torch.device("cuda:1"), "fp32")


def test_a_classifiers_head_gives_the_same_scores_under_autocast():
    head = PoolingHead(embedding=4, classes=2, dropout=0.0).eval()
    pooled = torch.randn(6, 12).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        lowered = head(pooled)
    assert lowered.dtype == torch.float32
    torch.testing.assert_close(lowered, head(pooled.float()), atol=0, rtol=0)
