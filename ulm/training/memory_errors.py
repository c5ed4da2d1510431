"""Memory errors: whether an error says that memory did not suffice, on a processor or a GPU."""

import torch

# in the text of what torch raises as a plain RuntimeError: on the CPU, and below its allocator;
# the last two are how libraries say that a GPU has no room for what they begin with
MEMORY_ERRORS = (
    "DefaultCPUAllocator",
    "out of memory",
    "ALLOC_FAILED",
    "ALLOCATION_FAILED",
    "CUBLAS_STATUS_NOT_INITIALIZED",
    "CUDNN_STATUS_NOT_INITIALIZED",
)


def is_out_of_memory(error: BaseException | None) -> bool:
    """Whether this is what an error says, or the one that it was raised for (a graph's end)."""
    if error is None:
        return False
    is_named_so = isinstance(error, MemoryError | torch.OutOfMemoryError)
    says_so = any(words in str(error) for words in MEMORY_ERRORS)
    return is_named_so or says_so or is_out_of_memory(error.__context__)
