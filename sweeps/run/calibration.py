"""Calibration: how fast this machine trains a sweep's models, measured in seconds and kept.

A spec and its corpora's sizes come in, rates go out: a language model and a classifier of the
sweep's sizes are trained on random words for a moment, by the code that trains the real ones. What
was measured is kept below the storage, under everything it depends on, and is not measured again.
"""

import hashlib
import json
import math
import os
import platform
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from sweeps.paths import SweepPaths
from sweeps.record.environment import processor
from sweeps.spec.cost import (
    FORWARD_SHARE,
    VALIDATION_SHARE,
    language_model_flop_per_token,
    lstm_weights,
    vocabulary_size,
)
from sweeps.spec.rates import Rates
from sweeps.spec.values import SweepSpec
from sweeps.spec.volume import Volumes
from sweeps.storage import read_object, write_whole
from ulm.processors import has_gpu

if TYPE_CHECKING:
    from ulm.model.encoder import Encoder
    from ulm.text.tokens import Documents

SECONDS = 2.0  # for each of the two models
ROUNDS = 3
LONG_SECONDS = 3.0  # of a training that is not repeated
LENGTHS = 0.4, 1.6  # of documents, as shares of their mean
RATE = 1e-3  # small enough for any model; how fast one trains does not depend on it
BASIS = "measured on this machine"
Training: TypeAlias = Callable[[int], tuple[float, float]]
"""Of some steps; gives FLOP and seconds."""


def calibrated(spec: SweepSpec, volumes: Volumes, paths: SweepPaths) -> Rates | None:
    """Rates of this machine; None where a trial needs a GPU and none here can be used.

    Args:
        spec: The sweep.
        volumes: Sizes of its corpora.
        paths: Of its storage, where rates are kept.
    """
    if spec.resources.gpus > 0 and not has_gpu():
        return None
    shape = _shape(spec, volumes)
    key = hashlib.sha256(json.dumps(shape, sort_keys=True).encode()).hexdigest()[:16]
    kept = read_object(paths.rates_json)  # a damaged file costs seconds
    rates = _rates(kept.get(key))
    if rates is None:
        if spec.resources.gpus > 0 and not _can_use_gpu():
            return None
        rates = measure(spec, volumes)
        kept[key] = {"rates": asdict(rates), "of": shape}
        with suppress(OSError):  # a plan may be asked where nothing can be written
            paths.root.mkdir(parents=True, exist_ok=True)
            write_whole(paths.rates_json, json.dumps(kept, indent=1).encode())
    return rates


def _rates(kept: Any) -> Rates | None:
    """Those of an entry; None where there is none, or it is damaged."""
    try:
        rates = Rates(**kept["rates"])
        is_fast = rates.language_model > 0 and rates.classifier > 0
    except (KeyError, TypeError):
        return None
    return rates if is_fast else None


def _can_use_gpu() -> bool:
    """Whether torch can: a login node may have `nvidia-smi`, and no GPU."""
    import torch

    return torch.cuda.is_available()


def measure(spec: SweepSpec, volumes: Volumes) -> Rates:
    """Train both models for a moment."""
    import torch

    from sweeps.run.settings import architecture
    from ulm.model.encoder import random_encoder
    from ulm.text.vocabulary import SPECIAL_WORDS, Vocabulary

    torch.set_num_threads(spec.resources.cpus)
    size = max(len(SPECIAL_WORDS) + 1, _words(spec, volumes))
    numbers = range(size - len(SPECIAL_WORDS))
    encoder = random_encoder(
        architecture(spec),
        Vocabulary(words=(*SPECIAL_WORDS, *(f"w{number}" for number in numbers))),
        seed=0,
    )
    return Rates(
        language_model=_language_model_rate(spec, encoder),
        classifier=_classifier_rate(spec, encoder, volumes),
        basis=BASIS,
    )


def _language_model_rate(spec: SweepSpec, encoder: "Encoder") -> float:
    from sweeps.run.settings import device, language_model_settings
    from ulm.training.language_model import train_language_model

    shape, size = spec.language_model, len(encoder.vocabulary)
    settings = replace(
        language_model_settings(spec, {"learning_rate": RATE}, is_general=False),
        epochs=1,
        minimum_steps=0,
    )
    per_token = language_model_flop_per_token(spec, size)

    def train(steps: int) -> tuple[float, float]:
        tokens = steps * shape.batch * shape.bptt + shape.batch
        validation = math.ceil(tokens * VALIDATION_SHARE / (1 - VALIDATION_SHARE)) + shape.batch
        done = train_language_model(
            encoder,
            _random(size, 1, tokens),
            _random(size, 1, validation),
            settings,
            seed=0,
            device=device(spec),
        )
        flop = per_token * (done.summary.tokens + validation * FORWARD_SHARE)
        return flop, done.summary.seconds

    return _rate(train, on_gpu=spec.resources.gpus > 0)


def _classifier_rate(spec: SweepSpec, encoder: "Encoder", volumes: Volumes) -> float:
    from sweeps.run.settings import classifier_settings, device
    from ulm.training.classifier import train_classifier

    shape = spec.classifier
    length = max(1, int(min(volumes.domain.tokens_per_document, shape.maximum_tokens)))
    settings = classifier_settings(spec, {"learning_rate": RATE}, is_gradual=True)

    def train(steps: int) -> tuple[float, float]:
        epochs = min(steps, shape.epochs)  # of a step or more: layers thaw as in a real schedule
        documents = shape.batch * max(1, steps // epochs)
        done = train_classifier(
            encoder,
            _random(len(encoder.vocabulary), documents, length, shape.maximum_tokens),
            np.arange(documents) % 2,
            replace(settings, epochs=epochs),
            num_classes=2,
            seed=0,
            device=device(spec),
        )
        return 6.0 * lstm_weights(spec) * done.summary.tokens, done.summary.seconds

    return _rate(train, on_gpu=spec.resources.gpus > 0)


def _rate(train: Training, *, on_gpu: bool) -> float:
    """FLOP per second of `train(steps)`, with as many steps as fill the time in a few rounds.

    A first training loads libraries, which does not count; where it is long, one more tells enough.
    A GPU's builds kernels too, and each one records graphs, which takes as long as a hundred steps:
    neither counts.
    """
    is_slow = train(2)[1] >= LONG_SECONDS and not on_gpu
    started = _typical(train, 2) if on_gpu else (0.0, 0.0)
    steps, wanted = (20, SECONDS) if on_gpu else (2, SECONDS / ROUNDS)
    while True:
        found = train(steps) if is_slow else _typical(train, steps)
        flop, seconds = (of - less for of, less in zip(found, started, strict=True))
        if seconds >= wanted / 2:
            return float(flop / seconds)
        steps = math.ceil(steps * min(10.0, wanted / max(seconds, 1e-3)))


def _typical(train: Training, steps: int) -> tuple[float, float]:
    """The median of a few trainings: a machine may stall for a moment."""
    return sorted((train(steps) for _ in range(ROUNDS)), key=lambda found: found[1])[ROUNDS // 2]


def _random(words: int, documents: int, length: int, longest: float = math.inf) -> "Documents":
    """Random words; one document of a length, or several that differ as real ones do.

    Classifiers pay for that: windows are of the longest document of a batch (plan_truth.py).
    """
    from ulm.text.tokens import Documents
    from ulm.text.vocabulary import SPECIAL_WORDS

    draws = np.random.default_rng(0)
    parts = draws.uniform(*LENGTHS, documents) if documents > 1 else np.ones(1)
    lengths = np.clip(np.round(length * parts), 1, longest).astype(np.int64)
    offsets = np.concatenate([[0], lengths.cumsum()])
    ids = draws.integers(len(SPECIAL_WORDS), words, offsets[-1])
    return Documents(ids=ids.astype(np.int32), offsets=offsets)


def _words(spec: SweepSpec, volumes: Volumes) -> int:
    """Words of the vocabulary of a middle size."""
    size = spec.sizes[len(spec.sizes) // 2]
    tokens = int(size * volumes.domain.tokens_per_document)
    return vocabulary_size(spec, volumes.domain, tokens)


def _shape(spec: SweepSpec, volumes: Volumes) -> dict[str, Any]:
    """All that the rates depend on, as JSON."""
    return {
        "machine": [processor(), os.cpu_count(), platform.python_version(), version("torch")],
        "code": version("ulm-sweeps"),
        "resources": asdict(spec.resources),
        "model": asdict(spec.model),
        "words": _words(spec, volumes),
        "language_model": asdict(spec.language_model),
        "classifier": asdict(spec.classifier),
        "tokens_per_document": round(volumes.domain.tokens_per_document),
    }
