import pytest
import torch

from ulm.errors import UlmError
from ulm.model.precision import check_precision

GPU, CPU = torch.device("cuda"), torch.device("cpu")


def test_bf16_on_a_gpu_without_it_is_refused_with_a_remedy(monkeypatch):
    monkeypatch.setattr("torch.cuda.get_device_capability", lambda device: (7, 5))
    monkeypatch.setattr("torch.cuda.get_device_name", lambda device: "Tesla T4")
    with pytest.raises(UlmError, match="found Tesla T4: set precision to fp32"):
        check_precision("bf16", GPU)
    check_precision("fp32", GPU)
    check_precision("bf16", CPU)


def test_bf16_is_taken_where_the_gpu_has_it(monkeypatch):
    monkeypatch.setattr("torch.cuda.get_device_capability", lambda device: (8, 0))
    check_precision("bf16", GPU)
