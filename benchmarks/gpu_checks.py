"""What a GPU should do with a full-size model, and no test on a processor can see.

    python benchmarks/gpu_checks.py same      # trained again and resumed: the same bits, 75 s
    python benchmarks/gpu_checks.py memory    # after a lack of memory the next training is sound
    python benchmarks/gpu_checks.py kernel    # the decoder's pass over scores, against a copy
    python benchmarks/gpu_checks.py same --small       # that it runs, on a processor

`CUBLAS_WORKSPACE_CONFIG` is a trial's, or what it is set to: `:4096:8` is what torch takes by
itself on an H100 or H200. The order for fifteen minutes of a GPU: `pytest -m gpu tests/ulm`, these
three, then `gpu.py`.
"""

import argparse
import gc
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:2")  # before torch is loaded

import numpy as np
import torch
from gpu import PRECISIONS, drawn, made_up
from language_model import SMALL
from table import machine
from torch import Tensor

from ulm.model.architecture import Architecture
from ulm.model.encoder import Encoder, random_encoder
from ulm.text.tokens import Documents
from ulm.training.classifier import ClassifierSettings, train_classifier
from ulm.training.language_model import (
    LanguageModelSettings,
    LanguageModelTask,
    train_language_model,
)
from ulm.training.listener import EpochReport

Precision = Literal["fp32", "bf16"]
MIB = 2**20


@dataclass(frozen=True, kw_only=True, slots=True)
class Trained:
    """Weights on the processor, and the last loss."""

    weights: Mapping[str, Tensor]
    loss: float

    def against(self, other: "Trained") -> str:
        """Whether two trainings came to the same bits, in words."""
        worst = max(
            float((tensor.float() - other.weights[name].float()).abs().max())
            for name, tensor in self.weights.items()
        )
        is_same = worst == 0 and self.loss == other.loss
        return f"{'same' if is_same else 'DIFFERENT'} ({worst:.1e}, {self.loss - other.loss:+.1e})"


class Stops:
    """Saves after the first epoch, and stops there."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def after_epoch(self, report: EpochReport, save: Callable[[Path], None]) -> bool:
        """Save and stop."""
        save(self._file)
        return False


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """What is trained.

    Args:
        encoder: Random weights.
        text: Its last window is one token long.
        check: To validate on.
        rows: Documents, or streams, of a batch.
        device: Where.
    """

    encoder: Encoder
    text: Documents
    check: Documents
    rows: int
    device: str

    @classmethod
    def of(cls, *, is_small: bool) -> "Case":
        """At full size with 59,993 words, or so small that a processor trains it."""
        sizes, number, rows = (SMALL, 501, 4) if is_small else (Architecture(), 59_993, 64)
        words = made_up(number)
        windows = 2 if is_small else 15
        return cls(
            encoder=random_encoder(sizes, words, seed=0),
            text=drawn(words, rows * (70 * windows + 1) + 1, num_documents=20),
            check=drawn(words, rows * (70 * 2 + 9) + 1, num_documents=5),
            rows=rows,
            device="cpu" if is_small else "cuda",
        )

    def language_model(self, precision: Precision, parts: int = 1, **options: Any) -> Trained:
        """Three epochs."""
        settings = LanguageModelSettings(
            epochs=3,
            batch=self.rows,
            learning_rate=5e-3,
            clip=0.25,
            precision=precision,
            accumulation=parts,
        )
        given = (self.encoder, self.text, self.check, settings)
        done = train_language_model(*given, seed=1, device=self.device, **options)
        return Trained(weights=done.encoder.weights, loss=done.summary.validation_loss or 0.0)

    def classifier(self, precision: Precision, parts: int = 1, **options: Any) -> Trained:
        """Six epochs, so that all layers thaw."""
        text = drawn(self.encoder.vocabulary, 280 * 70, num_documents=70)
        settings = ClassifierSettings(epochs=6, batch=32, precision=precision, accumulation=parts)
        given = (self.encoder, text, np.arange(70) % 2, settings)
        done = train_classifier(*given, num_classes=2, seed=1, device=self.device, **options)
        weights = {name: tensor.cpu() for name, tensor in done.model.state_dict().items()}
        return Trained(weights=weights, loss=done.summary.history[-1].train_loss)


def same(case: Case) -> Iterator[str]:
    """Trained twice, and resumed after an epoch, in each precision, whole and in halves."""
    precisions: tuple[Precision, ...] = PRECISIONS if case.device == "cuda" else ("fp32",)
    for train in (case.language_model, case.classifier):
        for precision in precisions:
            for parts in (1, 2):
                begin = time.perf_counter()
                with tempfile.TemporaryDirectory() as folder:
                    file = Path(folder) / "state"
                    first = train(precision, parts)
                    again = train(precision, parts)
                    train(precision, parts, listener=Stops(file))
                    resumed = train(precision, parts, resume_from=file)
                yield (
                    f"{train.__name__}, {precision}, parts {parts}: again {first.against(again)}, "
                    f"resumed {first.against(resumed)}, {time.perf_counter() - begin:.0f} s"
                )


@contextmanager
def _little_memory(mib: float) -> Iterator[None]:
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(mib * MIB / total)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


def _reserved() -> float:
    gc.collect()
    torch.cuda.empty_cache()
    return torch.cuda.memory_reserved() / MIB


def memory(case: Case) -> Iterator[str]:
    """A lack of memory in a warm-up and while a graph is recorded; then trial after trial."""
    whole, before = case.language_model("bf16"), _reserved()
    for name, shortage in (("in a warm-up", _short_at_once), ("while recording", _short_later)):
        told = "no error"
        try:
            with shortage():
                case.language_model("bf16")
        except Exception as error:
            told = f"{type(error).__name__}, {str(error)[:60]!r}"
        is_default = torch.cuda.current_stream() == torch.cuda.default_stream()
        after = _reserved()
        following = whole.against(case.language_model("bf16"))
        yield (
            f"{name}: {told}; {before:.0f} MiB reserved before, {after:.0f} after; stream is the "
            f"default one: {is_default}; the next training {following}"
        )
    held = []
    for _ in range(4):
        case.language_model("bf16")
        held.append(f"{_reserved():.0f}")
    yield f"MiB reserved after trials in one process: {', '.join(held)}"


@contextmanager
def _short_at_once() -> Iterator[None]:
    with _little_memory(900):
        yield


@contextmanager
def _short_later() -> Iterator[None]:
    """From the second backward pass on, which is the one that is recorded."""
    plain, calls = LanguageModelTask._backward, []

    def backward(
        task: LanguageModelTask, inputs: Tensor, targets: Tensor, *before: Tensor
    ) -> tuple[Tensor, list[Tensor]]:
        found = plain(task, inputs, targets, *before)
        calls.append(1)
        if len(calls) == 2:
            total = torch.cuda.get_device_properties(0).total_memory
            most = (torch.cuda.memory_allocated() + 300 * MIB) / total
            torch.cuda.set_per_process_memory_fraction(most)
        return found

    LanguageModelTask._backward = backward  # type: ignore[method-assign,assignment]
    try:
        with _little_memory(torch.cuda.get_device_properties(0).total_memory / MIB):
            yield
    finally:
        LanguageModelTask._backward = plain  # type: ignore[method-assign]


def kernel(case: Case) -> Iterator[str]:
    """The pass over a window's scores, which reads and writes them once, as a copy does."""
    yield from map(_pass_over_scores, (60_000, len(case.encoder.vocabulary), 30_301))


def _pass_over_scores(number: int) -> str:
    from triton.testing import do_bench

    from ulm.model.gpu_decoder import ROW, _run_finish_rows
    from ulm.model.precision import aligned

    scores = torch.randn(4480, aligned(number, ROW), device="cuda").bfloat16()
    other = torch.empty_like(scores)
    targets = torch.randint(0, number, (4480,), device="cuda")
    losses = torch.empty(4480, device="cuda")
    right = torch.empty(4480, dtype=torch.bool, device="cuda")
    took = [
        do_bench(function, warmup=50, rep=200, return_mode="median")
        for function in (
            lambda: _run_finish_rows(scores, targets, losses, None, number),
            lambda: _run_finish_rows(scores, targets, losses, right, number),
            lambda: other.copy_(scores),
        )
    ]
    return "{:,} words: gradients {:.3f} ms, scored {:.3f}, copied {:.3f}".format(number, *took)


CHECKS = {"same": same, "memory": memory, "kernel": kernel}


def main() -> None:
    """Run one, and print what it finds as it finds it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("check", choices=CHECKS)
    parser.add_argument("--small", action="store_true", help="on a processor")
    asked = parser.parse_args()
    print(machine("torch"), os.environ["CUBLAS_WORKSPACE_CONFIG"], flush=True)
    for line in CHECKS[asked.check](Case.of(is_small=asked.small)):
        print(line, flush=True)


if __name__ == "__main__":
    main()
