"""What matrix products run in: the dtype autocast asks for, in shapes that tensor cores take."""

from contextlib import AbstractContextManager

import torch
from torch import Tensor

from ulm.errors import DeviceError

ALIGNED = 8
"""Rows and columns of 16-bit matrices; products of others take a slow path."""

FIRST_WITH_BF16 = (8, 0)


def autocast(precision: str, device: torch.device) -> AbstractContextManager[None]:
    """The arithmetic a forward pass runs in."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")


def compute_dtype(x: Tensor) -> torch.dtype:
    """The dtype of matrix products: autocast's where it is on."""
    kind = x.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype


def cpu_has_bf16() -> bool:
    """Whether oneDNN multiplies in bf16; without it a product takes many times as long."""
    supported = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    return supported is not None and bool(supported())


def check_device(device: torch.device, precision: str) -> None:
    """Refuses what a device can not do.

    Raises:
        DeviceError: It is not there, has no bf16, or is another GPU than the current one.
    """
    if device.type == "cuda" and not torch.cuda.is_available():
        build = torch.version.cuda
        made = "without CUDA" if build is None else f"for CUDA {build}"
        raise DeviceError(
            f"a GPU must be usable by torch, found none; this torch is built {made}: look at "
            "`nvidia-smi` and whether the driver is new enough, or set resources.gpus to 0"
        )
    is_named = device.type == "cuda" and device.index is not None
    if is_named and device.index != torch.cuda.current_device():
        raise DeviceError(
            f"device must be the current GPU, on which graphs are recorded, found {device}: choose "
            "it by torch.cuda.set_device or CUDA_VISIBLE_DEVICES"
        )
    if precision != "bf16":
        return
    if device.type == "cpu" and not cpu_has_bf16():
        raise DeviceError(
            "precision bf16 needs a processor with AVX-512 (or Arm's bf16), this one has none: "
            "set precision to fp32"
        )
    if device.type == "cuda" and torch.cuda.get_device_capability(device) < FIRST_WITH_BF16:
        raise DeviceError(
            f"precision bf16 needs a GPU of compute capability 8.0 or more (A10G, L4, A100), "
            f"found {torch.cuda.get_device_name(device)}: set precision to fp32"
        )


def aligned(number: int, to: int = ALIGNED) -> int:
    """The next multiple of `to`."""
    return -(-number // to) * to
