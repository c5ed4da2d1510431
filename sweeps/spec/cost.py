"""Cost: what one trial does, in steps, tokens, FLOP and seconds (pure).

A spec, a cell and a stage come in; a load and its seconds go out. Time is FLOP over a rate: a
language model costs 6 × (LSTM weights + embedding × vocabulary) FLOP a token, forward and backward,
a classifier 6 × LSTM weights (experiment.md: 265 MFLOP at 400/1152/3 and 60k words). The rates are
measured, else stated defaults; the same arithmetic orders the ledger's work, where only the ratios
matter.
"""

import itertools
import math
from dataclasses import dataclass
from typing import Self

from sweeps.spec.cells import Cell, Stage
from sweeps.spec.rates import Rates, default_rates
from sweeps.spec.values import SweepSpec
from sweeps.spec.volume import CorpusVolume, Volumes, published_volumes
from ulm.regimes import Regime
from ulm.text.subsets import VALIDATION_STRIDE
from ulm.training.batches import num_batches
from ulm.training.schedules import epochs_for

BOW_TOKENS_PER_SECOND = 1.8e6  # TF-IDF (1, 2): 25,000 reviews in 4 s
TRIAL_SECONDS = 0.2  # of a trial beside its training: request, data, record; plan_truth.py
VALIDATION_SHARE = (
    1 / VALIDATION_STRIDE
)  # of a cell's documents, kept back from its language models
FORWARD_SHARE = 1 / 3  # of the cost of forward and backward


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialLoad:
    """What one trial does.

    Args:
        steps: Optimiser steps.
        tokens: Tokens trained on.
        flop: Floating-point operations, validation and test included.
        seconds: Seconds that do not depend on the matrix rate.
        is_language_model: Whether the FLOP are those of a language model.
    """

    steps: int = 0
    tokens: int = 0
    flop: float = 0.0
    seconds: float = TRIAL_SECONDS
    is_language_model: bool = False


def lstm_weights(spec: SweepSpec) -> int:
    """Weights of the LSTM layers (biases left out)."""
    model = spec.model
    widths = [model.embedding, *[model.hidden] * (model.layers - 1), model.embedding]
    return sum(4 * o * (i + o) for i, o in itertools.pairwise(widths))


def language_model_flop_per_token(spec: SweepSpec, vocabulary: int | None = None) -> float:
    """FLOP of one training token of a language model, forward and backward.

    Args:
        spec: The sweep.
        vocabulary: Its words, where it is not full.
    """
    return 6.0 * (lstm_weights(spec) + spec.model.embedding * (vocabulary or spec.model.vocabulary))


def vocabulary_size(spec: SweepSpec, volume: CorpusVolume, tokens: int) -> int:
    """Words of the vocabulary that so many tokens of a corpus give."""
    return min(spec.model.vocabulary, volume.words(tokens, spec.model.minimum_count))


def _num_searched_on(spec: SweepSpec) -> int:
    """Labels that a classifier is trained on while its settings are searched."""
    labels = spec.labels
    share = 1 - labels.validation if labels.folds is None else 1 - 1 / labels.folds
    return int(labels.train * share)


def classifier_epochs(spec: SweepSpec) -> int:
    """Epochs of a classifier, whatever part of the labels it is trained on."""
    shape = spec.classifier
    return epochs_for(
        epochs=shape.epochs,
        minimum_steps=shape.minimum_steps,
        steps_per_epoch=num_batches(spec.labels.train, batch=shape.batch),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialCosts:
    """What the trials of a sweep cost.

    Args:
        spec: The sweep.
        volumes: Corpus sizes.
        rates: FLOP per second.
    """

    spec: SweepSpec
    volumes: Volumes
    rates: Rates

    @classmethod
    def of(
        cls, spec: SweepSpec, *, volumes: Volumes | None = None, rates: Rates | None = None
    ) -> Self:
        """Costs by published volumes and default rates where they are left out."""
        return cls(
            spec=spec,
            volumes=volumes or published_volumes(spec),
            rates=rates or default_rates(spec),
        )

    def load(self, cell: Cell, stage: Stage) -> TrialLoad:
        """What one trial of a cell and stage does."""
        if stage is Stage.LANGUAGE_MODEL:
            return self._language_model(cell)
        if cell.regime == Regime.BOW:
            return self._bow(stage)
        return self._classifier(stage)

    def seconds(self, cell: Cell, stage: Stage) -> float:
        """Estimated wall seconds of one trial of a cell and stage."""
        load = self.load(cell, stage)
        rate = self.rates.language_model if load.is_language_model else self.rates.classifier
        return load.seconds + load.flop / rate

    @property
    def documents_scored(self) -> int:
        """Documents that `final` scores."""
        return self.spec.test.documents or self.volumes.domain.test_documents or 25_000

    def _language_model(self, cell: Cell) -> TrialLoad:
        spec, shape, volumes = self.spec, self.spec.language_model, self.volumes
        if cell.is_general:
            assert volumes.general is not None, "a general cell has a corpus"
            volume, tokens = volumes.general, volumes.general.pool_tokens
            epochs, minimum_steps = spec.general.epochs, spec.general.minimum_steps
        else:
            assert cell.size is not None, "a language model has a size"
            volume, tokens = volumes.domain, int(cell.size * volumes.domain.tokens_per_document)
            epochs, minimum_steps = shape.epochs, shape.minimum_steps
        train = int(tokens * (1 - VALIDATION_SHARE))
        steps_per_epoch = max(1, math.ceil(train / (shape.batch * shape.bptt)))
        epochs = epochs_for(
            epochs=epochs, minimum_steps=minimum_steps, steps_per_epoch=steps_per_epoch
        )
        per_token = language_model_flop_per_token(spec, vocabulary_size(spec, volume, tokens))
        seen = epochs * (train + (tokens - train) * FORWARD_SHARE)
        return TrialLoad(
            steps=epochs * steps_per_epoch,
            tokens=epochs * train,
            flop=per_token * seen,
            is_language_model=True,
        )

    def _classifier(self, stage: Stage) -> TrialLoad:
        spec, shape, labels = self.spec, self.spec.classifier, self.spec.labels
        length = min(self.volumes.domain.tokens_per_document, shape.maximum_tokens)
        train, rounds = _num_searched_on(spec), labels.folds or 1
        if stage is Stage.FINAL:
            train, rounds = labels.train, shape.ensemble
        steps_per_epoch = num_batches(train, batch=shape.batch)
        epochs = classifier_epochs(spec)
        tokens = rounds * epochs * int(train * length)
        scored = rounds * epochs * (labels.train - train) * length
        if stage is Stage.FINAL:
            scored = rounds * self.documents_scored * self.volumes.domain.tokens_per_document
        flop = 6.0 * lstm_weights(spec) * (tokens + scored * FORWARD_SHARE)
        return TrialLoad(steps=rounds * epochs * steps_per_epoch, tokens=tokens, flop=flop)

    def _bow(self, stage: Stage) -> TrialLoad:
        labels = self.spec.labels
        documents = labels.train * (labels.folds or 1)
        if stage is Stage.FINAL:
            documents = labels.train + self.documents_scored
        tokens = documents * self.volumes.domain.tokens_per_document
        return TrialLoad(seconds=TRIAL_SECONDS + tokens / BOW_TOKENS_PER_SECOND)
