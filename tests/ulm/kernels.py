"""Kernels written in Triton, on a machine without a GPU: interpreted, and built for one."""

import re
import subprocess
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from ulm.model.kernels import tl, triton

needs_triton = pytest.mark.skipif(triton is None, reason="there is no Triton")
INTERPRETED = pytest.param("interpreted", marks=needs_triton)


def interpret(monkeypatch: pytest.MonkeyPatch, module: ModuleType) -> None:
    """Lets a module's kernels run on tensors of the CPU.

    The interpreter cuts numbers off where it brings them into bf16; a GPU rounds them.
    """
    import triton.experimental.gluon  # loaded later, it would find no kernels
    from triton.runtime.interpreter import InterpretedFunction, _patch_lang

    class Interpreted(InterpretedFunction):
        def __call__(self, *args, **options):
            """By another; Triton's own method leaves the language behind as it is interpreted."""
            language = _patch_lang(self.fn)
            try:
                return self.rewrite()(*args, **options)
            finally:
                language.restore()

    monkeypatch.setattr(triton.knobs.runtime, "interpret", True)
    for place in (module, tl, tl.standard):
        for name, kernel in vars(place).copy().items():
            if isinstance(kernel, triton.JITFunction):
                monkeypatch.setattr(place, name, Interpreted(kernel.fn))


class Builds:
    """Builds kernels where they would be started, for a kind of NVIDIA's GPUs.

    Args:
        capability: Of the GPUs: 80 for 8.0.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capability: int) -> None:
        from triton.backends.compiler import GPUTarget

        device = object()  # what is built is kept by it
        driver = SimpleNamespace(
            get_current_target=lambda: GPUTarget("cuda", capability, 32),
            get_current_device=lambda: device,
            get_current_stream=lambda device: None,
        )
        run = triton.JITFunction.run

        def build(kernel, *args, grid, warmup, **options):
            self.kernels.append(run(kernel, *args, grid=grid, warmup=True, **options))

        self.kernels = []
        monkeypatch.setattr(triton.runtime.driver, "_active", driver)
        monkeypatch.setattr(triton.JITFunction, "run", build)

    def spilled(self, folder: Path) -> list[int]:
        """Bytes of each kernel that found no register."""
        tool = Path(triton.__file__).parent / "backends/nvidia/bin/cuobjdump"
        found = []
        for place, kernel in enumerate(self.kernels):
            path = folder / f"{place}.cubin"
            path.write_bytes(kernel.asm["cubin"])
            args = [tool, "--dump-resource-usage", path]
            said = subprocess.run(args, capture_output=True, text=True, check=True).stdout
            found.append(sum(map(int, re.findall(r"(?:STACK|LOCAL):(\d+)", said))))
        return found
