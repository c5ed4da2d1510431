"""Matrix products; on a CPU by whichever of torch's two libraries is fast there.

torch's own products of fp32 numbers are Intel's MKL, which leaves AVX-512 unused on AMD's
processors: half the speed of oneDNN, which torch carries as well and uses for LSTMs and bf16.
"""

import platform
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

CPUINFO = Path("/proc/cpuinfo")


def _vendor() -> str:
    """What the system says of its processor."""
    return CPUINFO.read_text(encoding="utf-8") if CPUINFO.is_file() else platform.processor()


@cache
def _one_dnn() -> Any:
    """The operator that `torch.compile` makes of a linear layer; None where MKL is fast."""
    is_slow = (
        torch.backends.mkl.is_available()
        and torch.backends.mkldnn.is_available()
        and torch.backends.cpu.get_cpu_capability() == "AVX512"
        and "AuthenticAMD" in _vendor()
    )
    return getattr(torch.ops.mkldnn, "_linear_pointwise", None) if is_slow else None


def _fast(a: Tensor) -> Any:
    return _one_dnn() if a.device.type == "cpu" and a.dtype == torch.float32 else None


def product(a_MK: Tensor, b_KN: Tensor, room_MN: Tensor | None = None) -> Tensor:
    """`a @ b`, without gradients; overwrites `room` where the library can, to spare new memory."""
    if (fast := _fast(a_MK)) is None:
        return torch.mm(a_MK, b_KN, out=room_MN)
    found: Tensor = fast(a_MK, b_KN.t(), None, "none", [], "")
    return found


def repeated_product(b_KN: Tensor, rows: int) -> Callable[[Tensor], Tensor]:
    """`a @ b` for many `a` of some rows and one `b` in bf16, on a CPU and without gradients.

    oneDNN brings `b` into the order in which it reads it, for each product anew unless it is kept
    so: at 32 rows and 1,152 units a quarter of the time.
    """
    if (kept := _reordered(b_KN, rows)) is None:
        return lambda a: torch.mm(a, b_KN)
    multiply = torch.ops.mkldnn._linear_pointwise
    return lambda a: multiply(a, kept, None, "none", [], "")


def repeated_sum(b_KN: Tensor, rows: int) -> Callable[[Tensor, Tensor], Tensor]:
    """`total + a @ b` likewise, rounded once."""
    if (kept := _reordered(b_KN, rows)) is None:
        return lambda total, a: torch.addmm(total, a, b_KN)
    add = torch.ops.mkldnn._linear_pointwise.binary
    return lambda total, a: add(a, total, kept, None, "add")


def _reordered(b_KN: Tensor, rows: int) -> Tensor | None:
    """What oneDNN reads for products of some rows with `b`; None where torch can not keep that."""
    reorder = getattr(torch.ops.mkldnn, "_reorder_linear_weight", None)
    if reorder is None or not hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        return None
    kept: Tensor = reorder(b_KN.t(), rows)
    return kept


def product_in_fp32(a_MK: Tensor, b_KN: Tensor) -> Tensor:
    """`a @ b` in fp32, whatever the dtype of both; on a GPU without a rounding between."""
    if a_MK.is_cuda and a_MK.dtype != torch.float32:
        return torch.mm(a_MK, b_KN, out_dtype=torch.float32)
    return torch.mm(a_MK, b_KN).float()


def add_product(total_MN: Tensor, a_MK: Tensor, b_KN: Tensor) -> Tensor:
    """`total + a @ b` in the dtype of `total`, which may be overwritten."""
    if a_MK.dtype != total_MN.dtype and a_MK.is_cuda:
        return torch.addmm(total_MN, a_MK, b_KN, out_dtype=total_MN.dtype, out=total_MN)
    if a_MK.dtype != total_MN.dtype:
        return total_MN.add_(torch.mm(a_MK, b_KN))
    if (fast := _fast(a_MK)) is None:
        return total_MN.addmm_(a_MK, b_KN)
    found: Tensor = fast.binary(a_MK, total_MN, b_KN.t(), None, "add")
    return found
