import pytest
import torch

from ulm.training.memory_errors import is_out_of_memory


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate`"),
        RuntimeError("cuDNN error: CUDNN_STATUS_NOT_INITIALIZED"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOCATION_FAILED"),
    ],
)
def test_what_says_that_memory_did_not_suffice_is_known_under_what_follows_it(error):
    assert is_out_of_memory(error)
    with pytest.raises(RuntimeError) as caught:  # noqa: PT012
        try:
            raise error
        finally:
            raise RuntimeError("CUDA graphs must be captured on a non-default stream")
    assert is_out_of_memory(caught.value)


def test_other_errors_say_nothing_of_memory():
    assert not is_out_of_memory(None)
    assert not is_out_of_memory(RuntimeError("CUDA error: device-side assert triggered"))
