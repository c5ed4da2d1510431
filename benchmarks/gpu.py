"""The training rows on a GPU against fastai's `to_fp16()`: speed, share of the matrix rate, memory.

    python benchmarks/gpu.py                # on the first CUDA device, about three minutes
    python benchmarks/gpu.py --device cpu   # that it runs, with a small model

Both sides of a ratio share the process; what each reserves of the GPU's memory is counted on its
own. Text is drawn at random, with a language's frequencies, so that the
machine needs no corpus. The matrix rate is that of a bf16 product of 8,192 x 8,192 matrices.
"""

import argparse
import multiprocessing
from collections.abc import Callable, Iterator
from functools import partial
from multiprocessing.connection import Connection
from typing import Literal

import numpy as np
import torch
from classifier import our_scoring, our_training, their_scoring, their_training
from fastai_side import now
from language_model import (
    BATCH,
    BPTT,
    CASES,
    DROPOUT,
    RATE,
    SMALL,
    Case,
    matrix_rate,
    our_epoch,
    our_task,
)
from language_model import their_epoch as their_language_model
from table import Row, interleaved, machine, print_table

from ulm.text.tokens import Documents
from ulm.text.vocabulary import SPECIAL_WORDS, Vocabulary

ROUNDS = 5
WIDE = next(case for case in CASES if case.name == "wide")
TINY = Case(name="tiny", sizes=SMALL, words=2_000, reach=3.0, windows=1, floor=0.4)
LARGE_BATCH = 512
REACH, FLOOR = 3.0, 0.4
LABELLED, SCORED = 512, 4096
SHARERS = 2
SEEDS = 4
PRECISIONS: tuple[Literal["bf16", "fp32"], ...] = ("bf16", "fp32")


def drawn(words: Vocabulary, num_tokens: int, *, num_documents: int) -> Documents:
    """Random text with the frequencies of a language, in documents of uneven length."""
    generator = np.random.default_rng(0)
    room = len(words.words) - len(SPECIAL_WORDS)
    ids = (generator.zipf(1.3, num_tokens) % room + len(SPECIAL_WORDS)).astype(np.int32)
    cuts = np.sort(generator.choice(num_tokens - 1, num_documents - 1, replace=False)) + 1
    offsets = np.concatenate([[0], cuts, [num_tokens]]).astype(np.int64)
    return Documents(ids=ids, offsets=offsets)


def made_up(number: int) -> Vocabulary:
    """A vocabulary of this many words."""
    return Vocabulary(
        words=SPECIAL_WORDS + tuple(f"w{i}" for i in range(number - len(SPECIAL_WORDS)))
    )


def held(
    make: Callable[[], Callable[[], float]], device: torch.device
) -> tuple[Callable[[], float], float]:
    """A side, and the GiB of the device it has reserved after one call; its graphs hold theirs."""
    if device.type != "cuda":
        return make(), 0.0
    torch.cuda.empty_cache()
    before = torch.cuda.memory_reserved(device)
    torch.cuda.reset_peak_memory_stats(device)
    function = make()
    function()
    return function, (torch.cuda.max_memory_reserved(device) - before) / 2**30


def step(
    case: Case,
    device: torch.device,
    *,
    batch: int,
    windows: int,
    precision: Literal["fp32", "bf16"],
    floor: bool = False,
) -> Row:
    """Training steps against fastai's, which is in fp16 where ours is in bf16."""
    words = made_up(case.words)
    num_tokens = batch * BPTT * windows
    documents = drawn(words, num_tokens + batch, num_documents=20)
    half = device.type == "cuda" and precision == "bf16"
    ours, our_gib = held(
        partial(our_epoch, case, documents, words, device, precision=precision, batch=batch),
        device,
    )
    theirs, their_gib = held(
        partial(
            their_language_model,
            documents,
            words.words,
            case.sizes,
            batch=batch,
            bptt=BPTT,
            dropout=DROPOUT,
            device=device,
            half=half,
        ),
        device,
    )
    ratio = interleaved(ours, theirs, rounds=ROUNDS)
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    rate = matrix_rate(device, dtype, 8192 if device.type == "cuda" else 1024)
    seconds, their_seconds = (sorted(side)[ROUNDS // 2] for side in (ratio.ours, ratio.theirs))
    shares = [num_tokens * case.operations / rate / each for each in (seconds, their_seconds)]
    return Row(
        what=f"language-model step, {case}, {precision}, batch {batch} x {BPTT}",
        against=f"fastai's learner, {'fp16' if half else 'fp32'}",
        reach=f"≥ {REACH} ×" + (f" and ≥ {FLOOR:.0%} of the matrix rate" if floor else ""),
        measured=f"{ratio}, {num_tokens / seconds:,.0f} tokens/s against "
        f"{num_tokens / their_seconds:,.0f}; {shares[0]:.0%} of {rate / 1e12:.0f} TFLOP/s "
        f"(fastai {shares[1]:.0%}); {our_gib:.1f} GiB reserved against {their_gib:.1f}",
        reached=ratio.median >= REACH and (not floor or shares[0] >= FLOOR),
    )


def loss(case: Case, device: torch.device, windows: int) -> Row:
    """How far the losses of bf16 and fp32 are apart after an epoch, seed by seed."""
    words = made_up(case.words)
    documents = drawn(words, BATCH * BPTT * windows + BATCH, num_documents=20)
    differences: list[float] = []
    for seed in range(SEEDS):
        losses: dict[str, float] = {}
        for precision in PRECISIONS:
            task = our_task(case, documents, words, device, precision=precision, seed=seed)
            torch.manual_seed(seed)
            task.train_epoch(1)
            found = task.validate()
            losses[precision] = found.loss
        differences.append(losses["bf16"] - losses["fp32"])
    return Row(
        what=f"loss after {windows} steps, {case}, bf16, rate {RATE}",
        against="ours in fp32, same seed",
        reach="stated",
        measured=f"{', '.join(f'{difference:+.4f}' for difference in differences)} nats",
    )


def classifier(case: Case, device: torch.device, labelled: int, scored: int) -> Iterator[Row]:
    """Training in half precision and in fp32, scoring in fp32."""
    words = made_up(case.words)
    documents = drawn(words, 280 * labelled, num_documents=labelled)
    test = drawn(words, 280 * scored, num_documents=scored)
    labels, truth = np.arange(labelled) % 2, np.arange(scored) % 2
    given = (case, documents, labels, words, device)
    half = device.type == "cuda"
    sides: tuple[tuple[str, str, float, int, Callable[[], float], Callable[[], float]], ...] = (
        (
            "training, bf16",
            "fastai's learner, " + ("fp16" if half else "fp32"),
            2.0,
            labelled,
            our_training(*given, precision="bf16"),
            their_training(*given, half=half),
        ),
        (
            "training, fp32",
            "fastai's learner, fp32",
            2.0,
            labelled,
            our_training(*given),
            their_training(*given),
        ),
        (
            "scoring, fp32",
            "its `validate`, fp32",
            3.0,
            scored,
            our_scoring(case, test, words, device),
            their_scoring(case, test, truth, words, device),
        ),
    )
    for name, against, reach, number, ours, theirs in sides:
        ratio = interleaved(ours, theirs, rounds=ROUNDS)
        yield Row(
            what=f"classifier {name}, {case}, {number:,} documents",
            against=against,
            reach=f"≥ {reach:.0f} ×",
            measured=f"{ratio}, {number / sorted(ratio.ours)[ROUNDS // 2]:,.0f} documents/s",
            reached=ratio.median >= reach,
        )


def _sharer(
    pipe: Connection,
    kind: str,
    case: Case,
    device: torch.device,
    calls: int,
    precision: Literal["fp32", "bf16"],
) -> None:
    """A trial's process: trains so many epochs each time it is told to."""
    words = made_up(case.words)
    if kind == "language model":
        documents = drawn(words, (BATCH * BPTT + 1) * 40, num_documents=20)
        run = our_epoch(case, documents, words, device, precision=precision)
    else:
        documents = drawn(words, 280 * LABELLED, num_documents=LABELLED)
        labels = np.arange(LABELLED) % 2
        run = our_training(case, documents, labels, words, device, precision=precision)
    run()
    pipe.send(None)
    while pipe.recv():
        for _ in range(calls):
            run()
        pipe.send(None)


def sharing(kind: str, case: Case, device: torch.device, calls: int) -> Row:
    """Trials that share the GPU against the same trials one after the other."""
    context = multiprocessing.get_context("spawn")
    pipes: list[Connection] = []
    for _ in range(SHARERS):
        mine, theirs = context.Pipe()
        arguments = (theirs, kind, case, device, calls, "bf16")
        context.Process(target=_sharer, args=arguments, daemon=True).start()
        pipes.append(mine)
    for pipe in pipes:
        pipe.recv()

    def together() -> float:
        begin = now(device)
        for pipe in pipes:
            pipe.send(True)
        for pipe in pipes:
            pipe.recv()
        return now(device) - begin

    def one_by_one() -> float:
        begin = now(device)
        for pipe in pipes:
            pipe.send(True)
            pipe.recv()
        return now(device) - begin

    ratio = interleaved(together, one_by_one, rounds=ROUNDS)
    for pipe in pipes:
        pipe.send(False)
    return Row(
        what=f"{SHARERS} trials share the GPU: {kind}, {case}, bf16",
        against="one after the other",
        reach="the gain, stated",
        measured=str(ratio),
    )


def rows(device: torch.device) -> Iterator[Row]:
    """All rows; small ones where there is no GPU."""
    if device.type == "cpu":
        yield step(TINY, device, batch=BATCH, windows=1, precision="bf16", floor=True)
        yield loss(TINY, device, 2)
        yield from classifier(TINY, device, 32, 64)
        yield sharing("language model", TINY, device, 1)
        return
    yield step(WIDE, device, batch=BATCH, windows=40, precision="bf16")
    yield step(WIDE, device, batch=LARGE_BATCH, windows=10, precision="bf16", floor=True)
    yield step(WIDE, device, batch=BATCH, windows=20, precision="fp32")
    yield loss(WIDE, device, 200)
    yield from classifier(WIDE, device, LABELLED, SCORED)
    for kind, calls in (("language model", 4), ("classifier", 1)):
        yield sharing(kind, WIDE, device, calls)


def main() -> None:
    """Print the rows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda")
    device = torch.device(parser.parse_args().device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "no GPU"
    print(f"{name} · {machine('torch', 'fastai', 'numpy')}", end="\n\n")
    print_table(rows(device))


if __name__ == "__main__":
    main()
