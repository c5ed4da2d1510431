"""The training step of language models against fastai's learner, and against the floor.

    python benchmarks/language_model.py [--only small curve]

Both sides train on the same reviews with the same sizes, dropouts, batch 64 and windows of 70, and
take turns, ours in fp32 and in bf16; a round is an epoch of a few windows, loading of batches
included. The floor is the arithmetic of the matrix products, six operations for each weight and
token (forward, and twice that backward), at the rate that a large product reaches in the same run,
in the faster of torch's two libraries. There is no reach where bf16 products are not clearly
faster. `curve` trains 200 steps on both sides without dropout, from the same weights and on the
same batches. `loss` is what bf16 does to ours. Trainings whose losses are compared run at once.
"""

import argparse
import multiprocessing
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal

import fastai_side
import numpy as np
import reviews
import torch
from fastai_side import now
from table import THREADS, Ratio, Row, Side, all_interleaved, machine, print_table

from ulm.model.architecture import LANGUAGE_MODEL_DROPOUTS, Architecture
from ulm.model.encoder import build_language_model, random_encoder
from ulm.model.fastai_format import export_fastai
from ulm.model.products import product
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
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """A model to measure.

    Args:
        name: What `--only` calls it.
        sizes: The architecture.
        words: Size of the vocabulary.
        reach: Speed-up to reach in fp32.
        windows: Windows of a round.
        bf16_reach: Speed-up to reach in bf16; None where bf16 is not measured.
        floor: Share of the matrix rate to reach; None where only the speed-up is asked for.
        loss_steps: Steps after which the losses in bf16 and fp32 are compared.
    """

    name: str
    sizes: Architecture
    words: int
    reach: float
    windows: int
    bf16_reach: float | None = None
    floor: float | None = None
    loss_steps: int = 0

    def __str__(self) -> str:
        sizes = self.sizes
        return f"{sizes.embedding}/{sizes.hidden}/{sizes.layers}, {self.words // 1000}k words"

    @property
    def operations(self) -> float:
        """Floating-point operations of the matrix products, for each token trained on."""
        lstm = sum(4 * o * (i + o) for i, o in self.sizes.layer_sizes)
        return 6.0 * (lstm + self.words * self.sizes.embedding)


SMALL = Architecture(embedding=100, hidden=256, layers=3)
LARGE = Architecture()
CASES = (
    Case(
        name="small",
        sizes=SMALL,
        words=13_000,
        reach=2.0,
        windows=2,
        bf16_reach=3.5,
        loss_steps=500,
    ),
    Case(
        name="large",
        sizes=LARGE,
        words=13_000,
        reach=1.4,
        windows=1,
        bf16_reach=2.5,
        floor=0.8,
        loss_steps=40,
    ),
    Case(name="wide", sizes=LARGE, words=60_000, reach=1.4, windows=1, floor=0.8),
)


def matrix_rate(device: torch.device, dtype: torch.dtype, size: int = 2048) -> float:
    """Operations per second of one large matrix product, the best of a few."""
    torch.set_num_threads(THREADS)
    a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    seconds = []
    for _ in range(6):
        for multiply in (torch.mm, product):
            begin = now(device)
            multiply(a, b)
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
    clip: float | None = None,
    seed: int = 0,
) -> LanguageModelTask:
    """Our side, with random weights."""
    model = build_language_model(
        random_encoder(case.sizes, words, seed=seed), LANGUAGE_MODEL_DROPOUTS.scaled(dropout)
    )
    settings = LanguageModelSettings(
        epochs=1,
        batch=batch,
        bptt=BPTT,
        learning_rate=RATE,
        dropout=dropout,
        clip=clip,
        precision=precision,
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


@cache
def bf16_is_fast(device: torch.device) -> bool:
    """Whether products in bf16 are clearly faster than in fp32."""
    return matrix_rate(device, torch.bfloat16) >= 1.5 * matrix_rate(device, torch.float32)


def measure(case: Case, device: torch.device) -> Iterator[Row]:
    """Speed-up over fastai in fp32, and share of the matrix rate, in each precision."""
    precisions: list[Literal["fp32", "bf16"]] = ["fp32", "bf16"]
    if case.bf16_reach is None:
        precisions.remove("bf16")
    words = reviews.vocabulary(reviews.tokens(), case.words)
    num_tokens = BATCH * BPTT * case.windows
    documents = some_documents(words, num_tokens + BATCH)
    rates = {name: [matrix_rate(device, DTYPES[name])] for name in precisions}
    ratios = all_interleaved(
        [
            Side(partial(our_epoch, precision=name), case, documents, words, device)
            for name in precisions
        ],
        Side(
            partial(their_epoch, batch=BATCH, bptt=BPTT, dropout=DROPOUT, device=device),
            documents,
            words.words,
            case.sizes,
        ),
        rounds=ROUNDS,
    )
    for name, ratio in zip(precisions, ratios, strict=True):
        rates[name].append(matrix_rate(device, DTYPES[name]))
        yield from _rows(case, name, ratio, num_tokens, max(rates[name]), device)


def _rows(
    case: Case,
    precision: Literal["fp32", "bf16"],
    ratio: Ratio,
    num_tokens: int,
    rate: float,
    device: torch.device,
) -> Iterator[Row]:
    ours, theirs = (sorted(side)[ROUNDS // 2] for side in (ratio.ours, ratio.theirs))
    what = f"language-model step, {case}, {precision}"
    speeds = f"{num_tokens / ours:,.0f} tokens/s against {num_tokens / theirs:,.0f}"
    reach: float | None = case.reach
    share_to_reach = case.floor
    if precision == "bf16":
        reach, share_to_reach = case.bf16_reach if bf16_is_fast(device) else None, None
    yield Row(
        what=what,
        against="fastai's learner in fp32",
        reach="–" if reach is None else f"≥ {reach} ×",
        measured=f"{ratio}, {speeds}",
        reached=None if reach is None else ratio.median >= reach,
    )
    floor = num_tokens * case.operations / rate
    share = floor / ours
    yield Row(
        what=what,
        against=f"matrix rate {rate / 1e9:.0f} GFLOP/s",
        reach="–" if share_to_reach is None else f"≥ {share_to_reach:.0%}",
        measured=f"{share:.0%}"
        + (f" (fastai {floor / theirs:.0%})" if precision == "fp32" else ""),
        reached=None if share_to_reach is None else share >= share_to_reach,
    )


def at_once(*functions: Callable[[], list[float]]) -> list[list[float]]:
    """What functions return, each run in a process of its own."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(len(functions), mp_context=context) as pool:
        return [each.result() for each in [pool.submit(function) for function in functions]]


def our_losses(case: Case, steps: int, precision: Literal["fp32", "bf16"] = "fp32") -> list[float]:
    """Losses of ours over steps of `CURVE_BATCH` windows, without dropout."""
    words = reviews.vocabulary(reviews.tokens(), case.words)
    documents = some_documents(words, CURVE_BATCH * (BPTT * steps) + 1)
    task = our_task(case, documents, words, CPU, precision=precision, dropout=0.0)
    tokens = torch.from_numpy(stream(documents, batch=CURVE_BATCH))
    state, losses = task.model.encoder.initial_state(CURVE_BATCH), []
    for step in range(steps):
        window = tokens[:, step * BPTT : (step + 1) * BPTT + 1]
        loss, state = task.step(window[:, :-1], window[:, 1:], state, step / steps)
        losses.append(float(loss))
    return losses


def their_losses(case: Case) -> list[float]:
    """Losses of fastai over `CURVE_STEPS` steps, from our weights and on our batches."""
    words = reviews.vocabulary(reviews.tokens(), case.words)
    documents = some_documents(words, CURVE_BATCH * (BPTT * CURVE_STEPS) + 1)
    learner = fastai_side.language_model(
        documents, words.words, case.sizes, batch=CURVE_BATCH, bptt=BPTT, dropout=0.0, device=CPU
    )
    encoder = random_encoder(case.sizes, words, seed=0)
    with tempfile.TemporaryDirectory() as folder:
        _, weights, _ = export_fastai(encoder, Path(folder))
        learner.model.load_state_dict(torch.load(weights, weights_only=True))
    losses: list[float] = []
    fastai_side.train_epoch(learner, RATE, losses)
    return losses


def curve(case: Case) -> Row:
    """Largest difference between the losses of both sides over `CURVE_STEPS` steps."""
    ours, theirs = at_once(partial(our_losses, case, CURVE_STEPS), partial(their_losses, case))
    worst = max(abs(a - b) for a, b in zip(ours, theirs, strict=True))
    return Row(
        what=f"loss curve, {case}, {CURVE_STEPS} steps of {CURVE_BATCH} x {BPTT}, no dropout",
        against="fastai's learner on the same batches",
        reach="equal to 1e-3",
        measured=f"{worst:.1e} at most, from {ours[0]:.3f} to {ours[-1]:.3f}",
        reached=worst <= 1e-3,
    )


def bf16_loss(case: Case) -> Row:
    """What bf16 does to the loss, over the last tenth of some steps."""
    steps = case.loss_steps
    lowered, exact = at_once(*(partial(our_losses, case, steps, name) for name in ("bf16", "fp32")))
    last = steps // 10
    difference = (sum(lowered[-last:]) - sum(exact[-last:])) / last
    return Row(
        what=f"loss in bf16, {case}, {steps} steps of {CURVE_BATCH} x {BPTT}, no dropout",
        against="ours in fp32 on the same batches",
        reach="–",
        measured=f"{difference:+.1e} nats over the last {last}, from {exact[0]:.3f} to "
        f"{exact[-1]:.3f} in fp32",
    )


def rows(wanted: list[str]) -> Iterator[Row]:
    """The rows that are asked for."""
    if "curve" in wanted:
        yield curve(CASES[0])
    for case in (case for case in CASES if case.name in wanted):
        yield from measure(case, CPU)
    if "loss" in wanted:
        for case in (case for case in CASES if case.loss_steps):
            yield bf16_loss(case)


def main() -> None:
    """Print the rows that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = ["curve", *(case.name for case in CASES), "loss"]
    parser.add_argument("--only", choices=names, nargs="*", default=names)
    print(machine("torch", "fastai", "numpy"), end="\n\n")
    print_table(rows(parser.parse_args().only))


if __name__ == "__main__":
    main()
