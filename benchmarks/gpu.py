"""The training rows on a GPU against fastai's `to_fp16()`: speed, share of the matrix rate, memory.

    python benchmarks/gpu.py [--only step loss]   # on the first CUDA device, about five minutes
    python benchmarks/gpu.py --device cpu         # that it runs, with a small model

Both sides of a ratio share the process; what each reserves of the GPU's memory is counted apart.
Text is drawn at random, with a language's frequencies, so that the machine needs no corpus. The
matrix rate is that of a bf16 product of 8,192 x 8,192 matrices. Where NVIDIA's Multi-Process
Service runs (`CUDA_MPS_PIPE_DIRECTORY`), `sharing` says so: kernels of two processes then run side
by side, and not by turns.
"""

import argparse
import gc
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
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
BATCHES = (128, 256)
REACH, FLOOR = 3.0, 0.4
CLIP = 0.25  # imdb.yaml's
WORDS = (15_000, 30_301, 59_993)  # as corpora have them: no multiples of 16
LABELLED, SCORED = 512, 4096
SEEDS = 4
NAMES = ("step", "clip", "batches", "words", "loss", "classifier", "sharing")
SHARED = (
    ("language model", 4, 2),
    ("language model", 4, 4),
    ("classifier", 1, 2),
    ("classifier", 1, 4),
)
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
    gc.collect()  # learners are cycles
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


def clip(case: Case, device: torch.device, windows: int) -> Row:
    """What limiting the gradient's norm costs a step."""
    words = made_up(case.words)
    documents = drawn(words, BATCH * (BPTT * windows + 1), num_documents=20)
    limited, free = (
        our_epoch(case, documents, words, device, precision="bf16", clip=limit)
        for limit in (CLIP, None)
    )
    return Row(
        what=f"language-model step with clip {CLIP}, {case}, bf16, batch {BATCH} x {BPTT}",
        against="ours without",
        reach="stated",
        measured=str(interleaved(limited, free, rounds=ROUNDS)),
    )


def batches(case: Case, device: torch.device, windows: int) -> Row:
    """Tokens per second of our step by batch; each batch takes the same number of steps."""
    words = made_up(case.words)
    sizes = (BATCH, *BATCHES, LARGE_BATCH)
    sides = []
    for batch in sizes:
        documents = drawn(words, batch * (BPTT * windows + 1), num_documents=20)
        sides.append(our_epoch(case, documents, words, device, precision="bf16", batch=batch))
    seconds = [[side() for side in sides] for _ in range(ROUNDS + 1)][1:]
    medians = [sorted(times)[ROUNDS // 2] for times in zip(*seconds, strict=True)]
    rates = [batch * BPTT * windows / taken for batch, taken in zip(sizes, medians, strict=True)]
    told = [
        f"{batch}: {rate:,.0f} ({rate / rates[0]:.2f} ×)"
        for batch, rate in zip(sizes, rates, strict=True)
    ]
    return Row(
        what=f"language-model step by batch, {case}, bf16",
        against=f"ours at batch {BATCH}",
        reach="stated",
        measured=f"tokens/s at batch {', '.join(told)}",
    )


def words(case: Case, device: torch.device, windows: int, numbers: Sequence[int]) -> Row:
    """Tokens per second of our step by vocabulary."""
    num_tokens = BATCH * BPTT * windows
    told = []
    for number in (*numbers, case.words):
        vocabulary = made_up(number)
        documents = drawn(vocabulary, num_tokens + BATCH, num_documents=20)
        sized = replace(case, words=number)
        side = our_epoch(sized, documents, vocabulary, device, precision="bf16", clip=CLIP)
        seconds = sorted(side() for _ in range(ROUNDS + 1))[ROUNDS // 2]
        told.append(f"{number:,}: {num_tokens / seconds:,.0f}")
    return Row(
        what=f"language-model step by words, {case}, bf16, batch {BATCH} x {BPTT}",
        against="-",
        reach="stated",
        measured=f"tokens/s with {', '.join(told)}",
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
        windows = 40 if device.type == "cuda" else 1
        documents = drawn(words, BATCH * (BPTT * windows + 1), num_documents=20)
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


def sharing(kind: str, case: Case, device: torch.device, calls: int, sharers: int = 2) -> Row:
    """Trials that share the GPU against the same trials one after the other."""
    context = multiprocessing.get_context("spawn")
    pipes: list[Connection] = []
    for _ in range(sharers):
        mine, theirs = context.Pipe()
        arguments = (theirs, kind, case, device, calls, "bf16")
        context.Process(target=_sharer, args=arguments, daemon=True).start()
        del arguments
        theirs.close()  # else nobody hears that the process ended
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
    service = " under MPS" if "CUDA_MPS_PIPE_DIRECTORY" in os.environ else ""
    for pipe in pipes:
        pipe.send(False)
    return Row(
        what=f"{sharers} trials share the GPU{service}: {kind}, {case}, bf16",
        against="one after the other",
        reach="the gain, stated",
        measured=str(ratio),
    )


def ended(kind: str, sharers: int) -> Row:
    """What is told where a process of `sharing` ends early; it has said why itself."""
    return Row(
        what=f"{sharers} trials share the GPU: {kind}",
        against="one after the other",
        reach="the gain, stated",
        measured="one of them ended early",
        reached=False,
    )


def rows(name: str, device: torch.device) -> Iterator[Row]:
    """The rows of a name of `NAMES`; with a small model where there is no GPU."""
    is_small = device.type == "cpu"
    case = TINY if is_small else WIDE
    match name:
        case "step" if is_small:
            yield step(case, device, batch=BATCH, windows=1, precision="bf16", floor=True)
        case "step":
            yield step(case, device, batch=BATCH, windows=40, precision="bf16")
            yield step(case, device, batch=LARGE_BATCH, windows=10, precision="bf16", floor=True)
            yield step(case, device, batch=BATCH, windows=20, precision="fp32")
        case "clip":
            yield clip(case, device, 1 if is_small else 40)
        case "batches":
            yield batches(case, device, 1 if is_small else 20)
        case "words":
            yield words(case, device, 1 if is_small else 40, WORDS[:0] if is_small else WORDS)
        case "loss":
            yield loss(case, device, 2 if is_small else 200)
        case "classifier":
            yield from classifier(case, device, *((32, 64) if is_small else (LABELLED, SCORED)))
        case "sharing":
            for kind, calls, sharers in SHARED[:1] if is_small else SHARED:
                try:
                    yield sharing(kind, case, device, 1 if is_small else calls, sharers)
                except EOFError:
                    yield ended(kind, sharers)


def main() -> None:
    """Print the rows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--only", choices=NAMES, nargs="*", default=NAMES)
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "no GPU"
    print(f"{name} · {machine('torch', 'fastai', 'numpy')}", end="\n\n")
    print_table(row for name in arguments.only for row in rows(name, device))


if __name__ == "__main__":
    main()
