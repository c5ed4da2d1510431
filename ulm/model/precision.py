"""What a GPU's matrix products run in: the dtype autocast asks for, in shapes tensor cores take."""

import torch
from torch import Tensor

from ulm.errors import UlmError

ALIGNED = 8
"""Rows and columns of 16-bit matrices; products of others take a slow path."""

FIRST_WITH_BF16 = (8, 0)


def compute_dtype(x: Tensor) -> torch.dtype:
    """The dtype of matrix products: autocast's where it is on."""
    kind = x.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype


def check_precision(precision: str, device: torch.device) -> None:
    """Refuses what a GPU can not do.

    Raises:
        UlmError: The GPU has no bf16.
    """
    if precision != "bf16" or device.type != "cuda":
        return
    if torch.cuda.get_device_capability(device) < FIRST_WITH_BF16:
        raise UlmError(
            f"precision bf16 needs a GPU of compute capability 8.0 or more (A10G, L4, A100), "
            f"found {torch.cuda.get_device_name(device)}: set precision to fp32"
        )


def aligned(number: int) -> int:
    """The next multiple of `ALIGNED`."""
    return -(-number // ALIGNED) * ALIGNED
