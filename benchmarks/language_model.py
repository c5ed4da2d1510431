"""The training step of language models against fastai's learner, and against the floor.

    python benchmarks/language_model.py [--only small] [--device cuda] [--bf16] [--curve]

Both sides train on the same reviews with the same sizes, dropouts, batch 64 and windows of 70, and
take turns; a round is an epoch of a few windows, loading of batches included. The floor is the
arithmetic of the matrix products, six operations for each weight and token (forward, and twice that
backward), at the rate that a large matrix product reaches in the same run. `--curve` trains 200
steps on both sides without dropout, from the same weights and on the same batches.
"""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import fastai_side
import numpy as np
import reviews
import torch
from fastai_side import now
from table import Row, Side, interleaved, machine, print_table

from ulm.model.architecture import LANGUAGE_MODEL_DROPOUTS, Architecture
from ulm.model.encoder import build_language_model, random_encoder
from ulm.text.listing import Part
from ulm.text.tokens import Documents
from ulm.text.vocabulary import Vocabulary
from ulm.training.language_model import LanguageModelSettings, LanguageModelTask
from ulm.training.memory import keep_freed_memory

BATCH, BPTT, RATE, DROPOUT = 64, 70, 5e-3, 0.5
ROUNDS = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """A model to measure.

    Args:
        name: What `--only` calls it.
        sizes: The architecture.
        words: Size of the vocabulary.
        reach: Speed-up to reach in fp32.
        windows: Windows of a round.
        floor: Share of the matrix rate to reach; None where only the speed-up is asked for.
    """

    name: str
    sizes: Architecture
    words: int
    reach: float
    windows: int
    floor: float | None = None

    def __str__(self) -> str:
        sizes = self.sizes
        return f"{sizes.embedding}/{sizes.hidden}/{sizes.layers}, {self.words // 1000}k words"

    @property
    def operations(self) -> float:
        """Floating-point operations of the matrix products, for each token trained on."""
        lstm = sum(4 * o * (i + o) for i, o in self.sizes.layer_sizes)
        return 6.0 * (lstm + self.words * self.sizes.embedding)


SMALL = Architecture(embedding=100, hidden=256, layers=3)
CASES = (
    Case(name="small", sizes=SMALL, words=13_000, reach=2.0, windows=2),
    Case(name="large", sizes=Architecture(), words=13_000, reach=1.4, windows=1, floor=0.8),
    Case(name="wide", sizes=Architecture(), words=60_000, reach=1.4, windows=1, floor=0.8),
)


def matrix_rate(device: torch.device, dtype: torch.dtype, size: int = 2048) -> float:
    """Operations per second of one large matrix product, the best of a few."""
    a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    seconds = []
    for _ in range(6):
        begin = now(device)
        torch.mm(a, b)
        seconds.append(now(device) - begin)
    return float(2 * size**3 / min(seconds))


def some_documents(words: Vocabulary, num_tokens: int) -> Documents:
    """Reviews that hold at least this many tokens, and the last one no more than it must."""
    array = reviews.tokens()
    documents = reviews.sample(array, Part.UNLABELLED, 2 + num_tokens // 50)
    whole = reviews.encode(array, documents, words)
    last = int(np.searchsorted(whole.offsets, num_tokens))
    offsets = np.append(whole.offsets[:last], num_tokens)
    return Documents(ids=whole.ids[:num_tokens], offsets=offsets)


def our_task(
    case: Case,
    documents: Documents,
    words: Vocabulary,
    device: torch.device,
    *,
    precision: str = "fp32",
    dropout: float = DROPOUT,
) -> LanguageModelTask:
    """Our side, with random weights."""
    model = build_language_model(
        random_encoder(case.sizes, words, seed=0), LANGUAGE_MODEL_DROPOUTS.scaled(dropout)
    )
    settings = LanguageModelSettings(
        batch=BATCH, bptt=BPTT, learning_rate=RATE, dropout=dropout, precision=precision
    )
    return LanguageModelTask(
        model.to(device), documents, documents, settings, seed=0, num_epochs=10, device=device
    )


def our_epoch(*arguments: Any, **options: Any) -> Callable[[], float]:
    """Seconds of one epoch of `our_task`."""
    keep_freed_memory()  # as `train_language_model` does
    task = our_task(*arguments, **options)

    def epoch() -> float:
        begin = now(task.device)
        task.train_epoch(1)
        return now(task.device) - begin

    return epoch


def their_epoch(*arguments: Any, **options: Any) -> Callable[[], float]:
    """Seconds of one epoch of fastai's learner."""
    return partial(fastai_side.train_epoch, fastai_side.language_model(*arguments, **options), RATE)


def measure(case: Case, device: torch.device, precision: str) -> Iterator[Row]:
    """Speed-up over fastai, and share of the matrix rate."""
    words = reviews.vocabulary(reviews.tokens(), case.words)
    num_tokens = BATCH * BPTT * case.windows
    documents = some_documents(words, num_tokens + BATCH)
    rates = [matrix_rate(device, torch.float32)]
    ratio = interleaved(
        Side(partial(our_epoch, precision=precision), case, documents, words, device),
        Side(
            partial(their_epoch, batch=BATCH, bptt=BPTT, dropout=DROPOUT, device=device),
            documents,
            words.words,
            case.sizes,
        ),
        rounds=ROUNDS,
    )
    rates.append(matrix_rate(device, torch.float32))
    ours, theirs = (sorted(side)[ROUNDS // 2] for side in (ratio.ours, ratio.theirs))
    what = f"language-model step, {case}, {precision}"
    speeds = f"{num_tokens / ours:,.0f} tokens/s against {num_tokens / theirs:,.0f}"
    yield Row(
        what=what,
        against="fastai's learner",
        reach=f"≥ {case.reach} ×",
        measured=f"{ratio}, {speeds}",
        reached=ratio.median >= case.reach,
    )
    floor = num_tokens * case.operations / max(rates)
    share = floor / ours
    yield Row(
        what=what,
        against=f"matrix rate {max(rates) / 1e9:.0f} GFLOP/s",
        reach="–" if case.floor is None else f"≥ {case.floor:.0%}",
        measured=f"{share:.0%} (fastai {floor / theirs:.0%})",
        reached=None if case.floor is None else share >= case.floor,
    )


def main() -> None:
    """Print the rows that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=[case.name for case in CASES], nargs="*")
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    print(machine("torch", "fastai", "numpy"), f"{torch.get_num_threads()} threads", sep=", ")
    cases = [case for case in CASES if case.name in (arguments.only or [c.name for c in CASES])]
    print_table(row for case in cases for row in measure(case, device, "fp32"))


if __name__ == "__main__":
    main()
