"""Cost: what one trial does, in steps, tokens, FLOP and seconds (pure).

A spec, a cell and a stage come in; a load and its seconds go out. Time is FLOP over a rate: a
language model costs 6 × (LSTM weights + embedding × vocabulary) FLOP a token, forward and backward,
a classifier 6 × LSTM weights (experiment.md: 265 MFLOP at 400/1152/3 and 60k words). The rate is
what was measured in this sweep, else a stated default; the same arithmetic orders the ledger's
work, where only the ratios matter.
"""

import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass

from sweeps.spec.cells import Cell, Stage
from sweeps.spec.values import SweepSpec
from sweeps.spec.volume import Volumes, published_volumes
from ulm.regimes import Regime

GPU_FLOP_PER_SECOND = 14.6e12  # fastai reports 55,000 tokens/s at 265 MFLOP in fp16; GPU not named
CPU_FLOP_PER_SECOND = 50e9  # a core in fp32: 27e9 measured for small models, 86e9 for 400/1152/3
BOW_TOKENS_PER_SECOND = 1.8e6  # TF-IDF (1, 2): 25,000 reviews in 4 s
TRIAL_SECONDS = 1.0  # start of a trial: request, data, record
VALIDATION_SHARE = 0.1  # of a cell's documents, kept back from its language models
FORWARD_SHARE = 1 / 3  # of the cost of forward and backward


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialLoad:
    """What one trial does.

    Args:
        steps: Optimiser steps.
        tokens: Tokens trained on.
        flop: Floating-point operations, validation and test included.
        seconds: Seconds that do not depend on the matrix rate.
    """

    steps: int = 0
    tokens: int = 0
    flop: float = 0.0
    seconds: float = TRIAL_SECONDS


def lstm_weights(spec: SweepSpec) -> int:
    """Weights of the LSTM layers (biases left out)."""
    model = spec.model
    widths = [model.embedding, *[model.hidden] * (model.layers - 1), model.embedding]
    return sum(4 * o * (i + o) for i, o in itertools.pairwise(widths))


def language_model_flop_per_token(spec: SweepSpec) -> float:
    """FLOP of one training token of a language model, forward and backward."""
    return 6.0 * (lstm_weights(spec) + spec.model.embedding * spec.model.vocabulary)


def trial_load(
    spec: SweepSpec, cell: Cell, stage: Stage, volumes: Volumes | None = None
) -> TrialLoad:
    """What one trial of a cell and stage does.

    Args:
        spec: The sweep.
        cell: One of its cells.
        stage: One of the cell's stages.
        volumes: Corpus sizes; published ones where left out.
    """
    volumes = volumes or published_volumes(spec)
    if stage is Stage.LANGUAGE_MODEL:
        return _language_model_load(spec, cell, volumes)
    if cell.regime == Regime.BOW:
        return _bow_load(spec, stage, volumes)
    return _classifier_load(spec, stage, volumes)


def _language_model_load(spec: SweepSpec, cell: Cell, volumes: Volumes) -> TrialLoad:
    shape = spec.language_model
    if cell.is_general:
        assert volumes.general is not None, "a general cell has a corpus"
        tokens = volumes.general.pool_tokens
        epochs, minimum_steps = spec.general.epochs, spec.general.minimum_steps
    else:
        assert cell.size is not None, "a language model has a size"
        tokens = int(cell.size * volumes.domain.tokens_per_document)
        epochs, minimum_steps = shape.epochs, shape.minimum_steps
    train = int(tokens * (1 - VALIDATION_SHARE))
    steps_per_epoch = max(1, math.ceil(train / (shape.batch * shape.bptt)))
    epochs = max(epochs, math.ceil(minimum_steps / steps_per_epoch))
    per_token = language_model_flop_per_token(spec)
    seen = epochs * (train + (tokens - train) * FORWARD_SHARE)
    return TrialLoad(steps=epochs * steps_per_epoch, tokens=epochs * train, flop=per_token * seen)


def _classifier_load(spec: SweepSpec, stage: Stage, volumes: Volumes) -> TrialLoad:
    shape, labels = spec.classifier, spec.labels
    length = min(volumes.domain.tokens_per_document, shape.maximum_tokens)
    share, rounds = 1 - labels.validation, 1
    if labels.folds is not None:
        share, rounds = 1 - 1 / labels.folds, labels.folds
    if stage is Stage.FINAL:
        share, rounds = 1.0, shape.ensemble
    train = int(labels.train * share)
    steps_per_epoch = max(1, train // shape.batch)
    epochs = max(shape.epochs, math.ceil(shape.minimum_steps / steps_per_epoch))
    tokens = rounds * epochs * int(train * length)
    scored = rounds * epochs * (labels.train - train) * length
    if stage is Stage.FINAL:
        scored = rounds * documents_scored(spec, volumes) * volumes.domain.tokens_per_document
    flop = 6.0 * lstm_weights(spec) * (tokens + scored * FORWARD_SHARE)
    return TrialLoad(steps=rounds * epochs * steps_per_epoch, tokens=tokens, flop=flop)


def _bow_load(spec: SweepSpec, stage: Stage, volumes: Volumes) -> TrialLoad:
    documents = spec.labels.train * (spec.labels.folds or 1)
    if stage is Stage.FINAL:
        documents = spec.labels.train + documents_scored(spec, volumes)
    tokens = documents * volumes.domain.tokens_per_document
    return TrialLoad(seconds=TRIAL_SECONDS + tokens / BOW_TOKENS_PER_SECOND)


def documents_scored(spec: SweepSpec, volumes: Volumes) -> int:
    """Documents that `final` scores."""
    return spec.test.documents or volumes.domain.test_documents or 25_000


def default_rate(spec: SweepSpec) -> float:
    """FLOP per second of one trial with what the spec gives it."""
    if spec.resources.gpus > 0:
        return GPU_FLOP_PER_SECOND * spec.resources.gpus
    return CPU_FLOP_PER_SECOND * spec.resources.cpus


def measured_rate(spec: SweepSpec, trained: Iterable[tuple[float, float]]) -> float | None:
    """FLOP per second of finished language models, from (tokens, seconds) of each; None of none."""
    pairs = [(tokens, seconds) for tokens, seconds in trained if seconds > 0]
    if not pairs:
        return None
    tokens = sum(pair[0] for pair in pairs)
    return language_model_flop_per_token(spec) * tokens / sum(pair[1] for pair in pairs)


def trial_seconds(spec: SweepSpec, load: TrialLoad, rate: float | None = None) -> float:
    """Estimated wall seconds of a trial at a rate in FLOP/s, the default one where left out."""
    return load.seconds + load.flop / (rate or default_rate(spec))


def trial_cost(spec: SweepSpec, cell: Cell, stage: Stage) -> float:
    """Estimated seconds of one trial; the ledger orders work by it, so ratios matter most."""
    return trial_seconds(spec, trial_load(spec, cell, stage))
