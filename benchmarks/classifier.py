"""Training and scoring classifiers against fastai's `text_classifier_learner` and `validate`.

    python benchmarks/classifier.py [--only small] [--device cuda]

Training: an epoch over some labelled reviews with all layers unfrozen, batch 32, windows of 70.
Scoring: a sample of the 25,000 test reviews, sorted by length on both sides, batch 64. Sides have
processes of their own and take turns. Where bf16 products are clearly faster, ours
trains in bf16 too.
"""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any, Literal

import fastai_side
import numpy as np
import reviews
import torch
from fastai_side import now
from language_model import CASES, DROPOUT, DTYPES, RATE, Case, bf16_is_fast, matrix_rate
from table import Row, Side, all_interleaved, interleaved, machine, print_table

from ulm.model.encoder import random_encoder
from ulm.text.listing import Part
from ulm.text.tokens import Documents
from ulm.text.vocabulary import Vocabulary
from ulm.training.classifier import (
    ClassifierSettings,
    ClassifierTask,
    build_classifier,
    class_scores,
)
from ulm.training.memory import keep_freed_memory

BATCH, BPTT, SCORING_BATCH = 32, 70, 64
TRAINED = {"small": 128, "large": 32}
SCORED = {"small": 512, "large": 64}
ROUNDS = 5
SETTINGS = ClassifierSettings(
    batch=BATCH, bptt=BPTT, dropout=DROPOUT, learning_rate=RATE, gradual=False
)


def documents_of(part: Part, number: int, words: Vocabulary) -> tuple[Documents, Any]:
    """Some reviews with their labels."""
    array = reviews.tokens()
    chosen = reviews.sample(array, part, number)
    return reviews.encode(array, chosen, words), array.labels[chosen].astype(np.int64)


def our_training(
    case: Case,
    train: Documents,
    labels: Any,
    words: Vocabulary,
    device: torch.device,
    *,
    precision: Literal["fp32", "bf16"] = "fp32",
) -> Callable[[], float]:
    """Seconds of one epoch of ours."""
    keep_freed_memory()  # as `train_classifier` does
    task = ClassifierTask(
        random_encoder(case.sizes, words, seed=0),
        train,
        labels,
        None,
        replace(SETTINGS, precision=precision),
        num_classes=2,
        seed=0,
        device=device,
    )

    def epoch() -> float:
        begin = now(device)
        task.train_epoch(1)
        return now(device) - begin

    return epoch


def our_scoring(
    case: Case, documents: Documents, words: Vocabulary, device: torch.device
) -> Callable[[], float]:
    """Seconds of scoring by ours."""
    keep_freed_memory()
    encoder = random_encoder(case.sizes, words, seed=0)
    model = build_classifier(encoder, num_classes=2, settings=SETTINGS, seed=0).to(device)

    def score() -> float:
        begin = now(device)
        class_scores(model, documents)
        return now(device) - begin

    return score


def their_training(*arguments: Any, half: bool = False) -> Callable[[], float]:
    """Seconds of one epoch of fastai's."""
    learner = _learner(*arguments, batch=BATCH, half=half)
    learner.unfreeze()
    return partial(fastai_side.train_epoch, learner, RATE)


def their_scoring(*arguments: Any) -> Callable[[], float]:
    """Seconds of `validate`."""
    return partial(fastai_side.validate, _learner(*arguments, batch=SCORING_BATCH))


def _learner(
    case: Case,
    documents: Documents,
    labels: Any,
    words: Vocabulary,
    device: torch.device,
    *,
    batch: int,
    half: bool = False,
) -> Any:
    return fastai_side.classifier(
        documents,
        labels,
        words.words,
        case.sizes,
        batch=batch,
        bptt=BPTT,
        dropout=DROPOUT,
        device=device,
        half=half,
    )


def training(case: Case, device: torch.device) -> Iterator[Row]:
    """Training of one model in each precision that is fast, against fastai in fp32."""
    precisions: list[Literal["fp32", "bf16"]] = ["fp32", "bf16"]
    if not bf16_is_fast(device):
        precisions.remove("bf16")
    rates = [matrix_rate(device, DTYPES[name]) for name in precisions]  # before threads spin
    words = reviews.vocabulary(reviews.tokens(), case.words)
    train, labels = documents_of(Part.LABELLED, TRAINED[case.name], words)
    ratios = all_interleaved(
        [
            Side(partial(our_training, precision=name), case, train, labels, words, device)
            for name in precisions
        ],
        Side(their_training, case, train, labels, words, device),
        rounds=ROUNDS,
    )
    for name, rate, ratio in zip(precisions, rates, ratios, strict=True):
        share = 3 * operations(case) * len(train.ids) / rate / sorted(ratio.ours)[ROUNDS // 2]
        yield Row(
            what=f"classifier training, {case}, {name}, {len(train)} reviews",
            against="`text_classifier_learner` in fp32",
            reach="≥ 2 ×",
            measured=f"{ratio}, {share:.0%} of the matrix rate {rate / 1e9:.0f} GFLOP/s",
            reached=ratio.median >= 2,
        )


def scoring(case: Case, device: torch.device) -> Row:
    """Scoring by one model."""
    rate = matrix_rate(device, torch.float32)
    words = reviews.vocabulary(reviews.tokens(), case.words)
    number = SCORED[case.name]
    test, truth = documents_of(Part.TEST, number, words)
    ours = Side(our_scoring, case, test, words, device)
    theirs = Side(their_scoring, case, test, truth, words, device)
    ratio = interleaved(ours, theirs, rounds=ROUNDS)
    seconds = sorted(ratio.ours)[ROUNDS // 2]
    share = operations(case) * len(test.ids) / rate / seconds
    return Row(
        what=f"scoring, {case}, {number:,} test reviews",
        against="its `validate`",
        reach="≥ 3 ×",
        measured=f"{ratio}, {share:.0%} of the matrix rate, {number / seconds:,.0f} reviews/s",
        reached=ratio.median >= 3,
    )


def operations(case: Case) -> float:
    """Floating-point operations of a forward pass, for each token."""
    return 2.0 * sum(4 * o * (i + o) for i, o in case.sizes.layer_sizes)


def rows(cases: list[Case], device: torch.device) -> Iterator[Row]:
    """The rows of some models."""
    for case in cases:
        yield from training(case, device)
        yield scoring(case, device)


def main() -> None:
    """Print the rows that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=list(SCORED), nargs="*", default=list(SCORED))
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    print(machine("torch", "fastai", "numpy"), end="\n\n")
    cases = [case for case in CASES if case.name in arguments.only]
    print_table(rows(cases, torch.device(arguments.device)))


if __name__ == "__main__":
    main()
