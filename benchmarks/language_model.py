"""The training step of language models against fastai's learner, and against the floor.

    python benchmarks/language_model.py [--only small bf16 curve]

Both sides train on the same reviews with the same sizes, dropouts, batch 64 and windows of 70, and
take turns; a round is an epoch of a few windows, loading of batches included. The floor is the
arithmetic of the matrix products, six operations for each weight and token (forward, and twice that
backward), at the rate that a large matrix product reaches in the same run. `curve` trains 200 steps
on both sides without dropout, from the same weights and on the same batches. `bf16` compares ours
with itself in fp32, and says what both rates are: where bf16 products are not faster, nothing is.
"""

import argparse
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import fastai_side
import numpy as np
import reviews
import torch
from fastai_side import now
from table import THREADS, Row, Side, interleaved, machine, print_table

from ulm.model.architecture import LANGUAGE_MODEL_DROPOUTS, Architecture
from ulm.model.encoder import build_language_model, random_encoder
from ulm.model.fastai_format import export_fastai
from ulm.text.listing import Part
from ulm.text.tokens import Documents
from ulm.text.vocabulary import Vocabulary
from ulm.training.batches import stream
from ulm.training.language_model import LanguageModelSettings, LanguageModelTask
from ulm.training.memory import keep_freed_memory

BATCH, BPTT, RATE, DROPOUT = 64, 70, 5e-3, 0.5
CURVE_STEPS, CURVE_BATCH = 200, 16
ROUNDS = 5
CPU = torch.device("cpu")


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
    torch.set_num_threads(THREADS)
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
    precision: Literal["fp32", "bf16"] = "fp32",
    dropout: float = DROPOUT,
    batch: int = BATCH,
    seed: int = 0,
) -> LanguageModelTask:
    """Our side, with random weights."""
    model = build_language_model(
        random_encoder(case.sizes, words, seed=seed), LANGUAGE_MODEL_DROPOUTS.scaled(dropout)
    )
    settings = LanguageModelSettings(
        epochs=1, batch=batch, bptt=BPTT, learning_rate=RATE, dropout=dropout, precision=precision
    )
    return LanguageModelTask(
        model.to(device), documents, documents, settings, seed=seed, num_epochs=1, device=device
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


def curve(case: Case) -> Row:
    """Largest difference between the losses of both sides over `CURVE_STEPS` steps."""
    words = reviews.vocabulary(reviews.tokens(), case.words)
    documents = some_documents(words, CURVE_BATCH * (BPTT * CURVE_STEPS) + 1)
    learner = fastai_side.language_model(
        documents, words.words, case.sizes, batch=CURVE_BATCH, bptt=BPTT, dropout=0.0, device=CPU
    )
    encoder = random_encoder(case.sizes, words, seed=0)
    with tempfile.TemporaryDirectory() as folder:
        _, weights, _ = export_fastai(encoder, Path(folder))
        learner.model.load_state_dict(torch.load(weights, weights_only=True))
    theirs: list[float] = []
    fastai_side.train_epoch(learner, RATE, theirs)
    task = our_task(case, documents, words, CPU, dropout=0.0)
    tokens = torch.from_numpy(stream(documents, batch=CURVE_BATCH))
    state, ours = task.model.encoder.initial_state(CURVE_BATCH), []
    for step in range(CURVE_STEPS):
        window = tokens[:, step * BPTT : (step + 1) * BPTT + 1]
        loss, state = task.step(window[:, :-1], window[:, 1:], state, step / CURVE_STEPS)
        ours.append(float(loss))
    worst = max(abs(a - b) for a, b in zip(ours, theirs, strict=True))
    return Row(
        what=f"loss curve, {case}, {CURVE_STEPS} steps of {CURVE_BATCH} x {BPTT}, no dropout",
        against="fastai's learner on the same batches",
        reach="equal to 1e-3",
        measured=f"{worst:.1e} at most, from {ours[0]:.3f} to {ours[-1]:.3f}",
        reached=worst <= 1e-3,
    )


def bf16(case: Case) -> Row:
    """Speed-up of bf16 over fp32 of ours, the rates, and the effect on the loss of one epoch."""
    words = reviews.vocabulary(reviews.tokens(), case.words)
    documents = some_documents(words, BATCH * BPTT * case.windows + BATCH)
    sides = [
        Side(partial(our_epoch, precision=precision), case, documents, words, CPU)
        for precision in ("bf16", "fp32")
    ]
    ratio = interleaved(sides[0], sides[1], rounds=ROUNDS)
    rates = {dtype: matrix_rate(CPU, dtype) / 1e9 for dtype in (torch.bfloat16, torch.float32)}
    losses = [
        our_task(case, documents, words, CPU, precision=precision, dropout=0.0)
        .train_epoch(1)
        .train_loss
        for precision in ("bf16", "fp32")
    ]
    return Row(
        what=f"language-model step, {case}, bf16",
        against="ours in fp32",
        reach="3.5 × fastai where bf16 products are faster",
        measured=f"{ratio}; matrix rate {rates[torch.bfloat16]:.0f} GFLOP/s in bf16, "
        f"{rates[torch.float32]:.0f} in fp32; loss {losses[0] - losses[1]:+.1e} nats",
    )


def rows(wanted: list[str]) -> Iterator[Row]:
    """The rows that are asked for."""
    if "curve" in wanted:
        yield curve(CASES[0])
    for case in CASES:
        if case.name in wanted:
            yield from measure(case, CPU, "fp32")
    if "bf16" in wanted:
        yield bf16(CASES[0])


def main() -> None:
    """Print the rows that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = ["curve", *(case.name for case in CASES), "bf16"]
    parser.add_argument("--only", choices=names, nargs="*", default=names)
    print(machine("torch", "fastai", "numpy"), end="\n\n")
    print_table(rows(parser.parse_args().only))


if __name__ == "__main__":
    main()
