"""The training rows on a GPU against fastai's `to_fp16()`: speed, share of the matrix rate, memory.

    python benchmarks/gpu.py                # on the first CUDA device, under ten minutes
    python benchmarks/gpu.py --device cpu   # that it runs, with a small model

Ours trains in bf16 and in fp32, fastai in fp16. Both sides share the process, because a GPU's
allocator keeps memory anyway; the peak of each is counted on its own. Text is drawn at random, so
that the machine needs no corpus.
"""

import argparse
from collections.abc import Callable, Iterator

import numpy as np
import torch
from classifier import our_scoring, our_training, their_scoring, their_training
from language_model import BATCH, BPTT, CASES, DROPOUT, SMALL, Case, matrix_rate, our_epoch
from language_model import their_epoch as their_language_model
from table import Row, interleaved, machine, print_table

from ulm.text.tokens import Documents
from ulm.text.vocabulary import SPECIAL_WORDS, Vocabulary

WINDOWS, REVIEWS, ROUNDS = 40, 512, 5
TINY = Case(name="tiny", sizes=SMALL, words=2_000, reach=3.0, windows=1, floor=0.4)


def drawn(words: Vocabulary, num_tokens: int, *, num_documents: int) -> Documents:
    """Random text with the frequencies of a language, in documents of uneven length."""
    generator = np.random.default_rng(0)
    room = len(words.words) - len(SPECIAL_WORDS)
    ids = (generator.zipf(1.3, num_tokens) % room + len(SPECIAL_WORDS)).astype(np.int32)
    cuts = np.sort(generator.choice(num_tokens - 1, num_documents - 1, replace=False)) + 1
    offsets = np.concatenate([[0], cuts, [num_tokens]]).astype(np.int64)
    return Documents(ids=ids, offsets=offsets)


class Peak:
    """Calls a function and keeps the GiB it held on the device at most."""

    def __init__(self, function: Callable[[], float], device: torch.device) -> None:
        self._function, self._device = function, device
        self.gib = 0.0

    def __call__(self) -> float:
        """Seconds of one call."""
        on_gpu = self._device.type == "cuda"
        if on_gpu:
            torch.cuda.reset_peak_memory_stats(self._device)
        seconds = self._function()
        if on_gpu:
            self.gib = torch.cuda.max_memory_allocated(self._device) / 2**30
        return seconds


def language_model(case: Case, device: torch.device, windows: int) -> Iterator[Row]:
    """Training steps in bf16 and fp32 against fastai's fp16."""
    made_up = tuple(f"w{i}" for i in range(case.words - len(SPECIAL_WORDS)))
    words = Vocabulary(words=SPECIAL_WORDS + made_up)
    num_tokens = BATCH * BPTT * windows
    documents = drawn(words, num_tokens + BATCH, num_documents=20)
    theirs = Peak(
        their_language_model(
            documents,
            words.words,
            case.sizes,
            batch=BATCH,
            bptt=BPTT,
            dropout=DROPOUT,
            device=device,
            half=device.type == "cuda",
        ),
        device,
    )
    for precision, dtype in (("bf16", torch.bfloat16), ("fp32", torch.float32)):
        epoch = our_epoch(case, documents, words, device, precision=precision)
        ours = Peak(epoch, device)
        ratio = interleaved(ours, theirs, rounds=ROUNDS)
        rate = matrix_rate(device, dtype, 8192 if device.type == "cuda" else 1024)
        share = num_tokens * case.operations / rate / sorted(ratio.ours)[ROUNDS // 2]
        speed = num_tokens / sorted(ratio.ours)[ROUNDS // 2]
        asked = precision == "bf16" and case.floor is not None
        yield Row(
            what=f"language-model step, {case}, {precision}, batch {BATCH} x {BPTT}",
            against="fastai's learner, fp16",
            reach=f"≥ {case.reach} × and ≥ {case.floor:.0%} of the matrix rate" if asked else "–",
            measured=f"{ratio}, {speed:,.0f} tokens/s, {share:.0%} of {rate / 1e12:.1f} TFLOP/s, "
            f"peak {ours.gib:.1f} GiB against {theirs.gib:.1f}",
            reached=ratio.median >= case.reach and share >= (case.floor or 0) if asked else None,
        )


def classifier(case: Case, device: torch.device, number: int) -> Iterator[Row]:
    """Training and scoring, fp32 on both sides."""
    made_up = tuple(f"w{i}" for i in range(case.words - len(SPECIAL_WORDS)))
    words = Vocabulary(words=SPECIAL_WORDS + made_up)
    documents = drawn(words, 280 * number, num_documents=number)
    labels = np.arange(number) % 2
    sides: tuple[tuple[str, float, Callable[[], float], Callable[[], float]], ...] = (
        (
            "training",
            2.0,
            our_training(case, documents, labels, words, device),
            their_training(case, documents, labels, words, device),
        ),
        (
            "scoring",
            3.0,
            our_scoring(case, documents, words, device),
            their_scoring(case, documents, labels, words, device),
        ),
    )
    for name, reach, ours, theirs in sides:
        ratio = interleaved(ours, theirs, rounds=ROUNDS)
        yield Row(
            what=f"classifier {name}, {case}, {number} documents",
            against="fastai's learner",
            reach=f"≥ {reach} ×",
            measured=f"{ratio}, {number / sorted(ratio.ours)[ROUNDS // 2]:,.0f} documents/s",
            reached=ratio.median >= reach,
        )


def rows(device: torch.device) -> Iterator[Row]:
    """All rows; small ones where there is no GPU."""
    if device.type == "cpu":
        yield from language_model(TINY, device, windows=1)
        yield from classifier(TINY, device, number=32)
        return
    wide = next(case for case in CASES if case.name == "wide")
    on_gpu = Case(
        name="gpu", sizes=wide.sizes, words=wide.words, reach=3.0, windows=WINDOWS, floor=0.4
    )
    yield from language_model(on_gpu, device, WINDOWS)
    yield from classifier(on_gpu, device, REVIEWS)


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
