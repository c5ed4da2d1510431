"""Language models: train one from random weights, or fine-tune one that exists.

B batch, T time. An encoder and encoded documents go in; the encoder of the best epoch by validation
loss comes out. Schedule and regularisation are fastai's `fit_one_cycle` with its text learner's
activation regularisation (alpha 2, beta 1) and momenta (0.8, 0.7, 0.8).
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from ulm.errors import UlmError, require_at_least
from ulm.model.architecture import LANGUAGE_MODEL_DROPOUTS, LanguageModel, State, flat, paired
from ulm.model.encoder import Encoder, build_language_model, encoder_of
from ulm.model.precision import autocast, check_device
from ulm.seeding import seed_for
from ulm.text.tokens import Documents
from ulm.training.accumulation import join_states, row_parts, state_of_rows
from ulm.training.batches import num_windows, stream
from ulm.training.epochs import Epoch, TrainingSummary, Validation, run_epochs
from ulm.training.graphs import GraphedCalls
from ulm.training.listener import EpochListener, EpochReport, TrainingDiverged
from ulm.training.optimizer import GroupedAdamW
from ulm.training.regularisation import regularised
from ulm.training.schedules import (
    discriminative_rates,
    epochs_for,
    one_cycle,
    one_cycle_momentum,
)

STEPS_BETWEEN_CHECKS = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class LanguageModelSettings:
    """How a language model trains.

    Args:
        epochs: Passes over the documents.
        minimum_steps: Training lasts at least this many optimiser steps.
        batch: Parallel streams.
        bptt: Tokens per window.
        learning_rate: Peak rate of the last layer group.
        decay: Divisor of the rate from one layer group to the one below; 1 for random weights.
        dropout: Multiplier of fastai's language-model dropouts.
        weight_decay: Decoupled weight decay.
        clip: Largest norm of the gradient; None for no limit.
        precision: `fp32`, or `bf16` autocast; on a CPU not in validation.
        accumulation: Parts a step's streams are cut into to save memory; the gradient stays.
    """

    epochs: int = 8
    minimum_steps: int = 0
    batch: int = 64
    bptt: int = 70
    learning_rate: float = 4e-3
    decay: float = 1.0
    dropout: float = 0.5
    weight_decay: float = 0.01
    clip: float | None = None
    precision: Literal["fp32", "bf16"] = "fp32"
    accumulation: int = 1

    def __post_init__(self) -> None:
        require_at_least(1, self, "epochs", "batch", "bptt", "accumulation")
        if self.clip is not None and not 0 < self.clip < math.inf:
            raise UlmError(
                f"clip must be a number above 0, found {self.clip}; or None for no limit"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainedLanguageModel:
    """The encoder of the best epoch and what training did."""

    encoder: Encoder
    summary: TrainingSummary


class LanguageModelTask:
    """A language model in training, as `run_epochs` drives it.

    Args:
        model: The model; it is trained in place.
        train: Documents to train on.
        validation: Documents to validate on.
        settings: How to train.
        seed: Seeds the order of the documents.
        num_epochs: Epochs the schedule is laid out for.
        device: Where the model lies.
    """

    def __init__(
        self,
        model: LanguageModel,
        train: Documents,
        validation: Documents,
        settings: LanguageModelSettings,
        *,
        seed: int,
        num_epochs: int,
        device: torch.device,
    ) -> None:
        self.model = model
        self.settings = settings
        self.seed = seed
        self.num_epochs = num_epochs
        self.device = device
        self.documents = train
        self.validation = stream(validation, batch=settings.batch)
        groups = model.layer_groups()
        self.rates = discriminative_rates(
            settings.learning_rate, decay=settings.decay, num_groups=len(groups)
        )
        self.optimizer = GroupedAdamW(model, groups, weight_decay=settings.weight_decay)
        self._gradients = GraphedCalls(self._backward, model)
        self._scores = GraphedCalls(self._score_window, model)

    def train_epoch(self, epoch: int) -> Epoch:
        """One pass over the documents in a new order."""
        generator = np.random.default_rng(seed_for(self.seed, "order", epoch))
        order = generator.permutation(len(self.documents))
        tokens = torch.from_numpy(
            stream(self.documents, batch=self.settings.batch, order=order)
        ).to(self.device)
        windows = list(range(0, tokens.shape[1] - 1, self.settings.bptt))
        state = self.model.encoder.initial_state(tokens.shape[0])
        self.model.train()
        total = torch.zeros((), device=self.device)
        for step, begin in enumerate(windows):
            progress = (epoch - 1 + step / len(windows)) / self.num_epochs
            window = _window(tokens, begin, self.settings.bptt)
            loss, state = self.step(*window, state, progress)
            total += loss
            if step % STEPS_BETWEEN_CHECKS == STEPS_BETWEEN_CHECKS - 1:
                self._check(total, epoch)
        return Epoch(
            steps=len(windows),
            tokens=tokens.shape[0] * (tokens.shape[1] - 1),
            train_loss=float(total) / len(windows),
            learning_rate=self.rates[-1] * one_cycle(epoch / self.num_epochs),
        )

    def step(
        self, inputs: Tensor, targets: Tensor, state: State, progress: float
    ) -> tuple[Tensor, State]:
        """One optimiser step on a window.

        Args:
            inputs: Word ids [B, T].
            targets: Their next words [B, T].
            state: State after the window before.
            progress: Share of the training that is done, 0 to 1; sets rate and momentum.

        Returns:
            The mean cross-entropy, on the device, and the state after the window; on a GPU the
            next step overwrites both.
        """
        factor = one_cycle(progress)
        self.optimizer.set_rates(
            [rate * factor for rate in self.rates], momentum=one_cycle_momentum(progress)
        )
        loss, after = self._gradients(inputs, targets, *flat(state))
        if self.settings.clip is not None:
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.clip)
        self.optimizer.step()
        return loss, paired(after)

    def _backward(
        self, inputs: Tensor, targets: Tensor, *before: Tensor
    ) -> tuple[Tensor, list[Tensor]]:
        """Mean loss of a window; its gradient is added up over the parts of the streams."""
        total = torch.zeros((), device=self.device)
        states: list[State] = []
        state = paired(before)
        for rows in row_parts(len(inputs), self.settings.accumulation):
            share = (rows.stop - rows.start) / len(inputs)
            with autocast(self.settings.precision, self.device):
                raw, out, after = self.model(inputs[rows], state_of_rows(state, rows))
                loss = self.model.loss(out, targets[rows])
            (share * regularised(loss, raw, out)).backward()
            total += share * loss.detach()
            states.append(after)
        return total, flat(join_states(states))

    @property
    def _scoring_precision(self) -> str:
        """On a CPU scores are exact: they take little of the time."""
        return "fp32" if self.device.type == "cpu" else self.settings.precision

    def _check(self, total: Tensor, epoch: int) -> None:
        if not torch.isfinite(total):
            raise TrainingDiverged(
                f"the loss must stay finite, found {float(total)} in epoch {epoch} at peak "
                f"learning rate {self.settings.learning_rate:.2g}: lower the learning rate"
            )

    @torch.no_grad()
    def validate(self) -> Validation:
        """Loss and next-word accuracy over the validation documents."""
        self.model.eval()
        tokens = torch.from_numpy(self.validation).to(self.device)
        sums = [
            self._score(tokens[rows]) for rows in row_parts(len(tokens), self.settings.accumulation)
        ]
        count = tokens.shape[0] * (tokens.shape[1] - 1)
        loss, correct = (sum(part) for part in zip(*sums, strict=True))
        return Validation(loss=float(loss) / count, accuracy=float(correct) / count)

    def _score(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Summed loss and number of correct next words of some streams."""
        state = flat(self.model.encoder.initial_state(tokens.shape[0]))
        loss = torch.zeros((), device=self.device)
        correct = torch.zeros((), device=self.device)
        for begin in range(0, tokens.shape[1] - 1, self.settings.bptt):
            inputs, targets = _window(tokens, begin, self.settings.bptt)
            part_loss, part_correct, state = self._scores(inputs, targets, *state)
            loss += part_loss
            correct += part_correct
        return loss, correct

    def _score_window(
        self, inputs: Tensor, targets: Tensor, *before: Tensor
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        with autocast(self._scoring_precision, self.device):
            _, out, after = self.model(inputs, paired(before))
            return *self.model.score(out, targets), flat(after)


def _window(tokens: Tensor, begin: int, bptt: int) -> tuple[Tensor, Tensor]:
    end = min(begin + bptt, tokens.shape[1] - 1)
    return tokens[:, begin:end], tokens[:, begin + 1 : end + 1]


def _lower_loss(report: EpochReport, best: EpochReport) -> bool:
    assert report.validation_loss is not None
    assert best.validation_loss is not None
    return report.validation_loss < best.validation_loss


def train_language_model(
    encoder: Encoder,
    train: Documents,
    validation: Documents,
    settings: LanguageModelSettings,
    *,
    seed: int,
    listener: EpochListener | None = None,
    resume_from: str | Path | None = None,
    device: str = "cpu",
) -> TrainedLanguageModel:
    """Trains a language model from an encoder's weights.

    Args:
        encoder: Where to start: random, or pretrained and adapted to the documents' vocabulary.
        train: Documents to train on, encoded with the encoder's vocabulary.
        validation: Documents that choose the best epoch.
        settings: How to train.
        seed: Seeds order and dropout.
        listener: Told of every epoch, may stop the training.
        resume_from: State written by the `save` a listener was given.
        device: torch device name.

    Returns:
        The encoder of the epoch with the lowest validation loss, and the summary.

    Raises:
        TrainingDiverged: The loss is no longer finite.
        UlmError: There is no word to predict in one of the parts, or the device has no bf16.
    """
    for part, documents in (("train", train), ("validation", validation)):
        if len(documents.ids) < 2:
            raise UlmError(
                f"{part} documents must hold 2 tokens, one to predict, found {len(documents.ids)}"
            )
    where = torch.device(device)
    check_device(where, settings.precision)
    steps = num_windows(len(train.ids), batch=settings.batch, bptt=settings.bptt)
    num_epochs = epochs_for(
        epochs=settings.epochs, minimum_steps=settings.minimum_steps, steps_per_epoch=steps
    )
    model = build_language_model(encoder, LANGUAGE_MODEL_DROPOUTS.scaled(settings.dropout)).to(
        where
    )
    task = LanguageModelTask(
        model, train, validation, settings, seed=seed, num_epochs=num_epochs, device=where
    )
    summary = run_epochs(
        task,
        num_epochs=num_epochs,
        seed=seed,
        better=_lower_loss,
        listener=listener,
        resume_from=resume_from,
    )
    return TrainedLanguageModel(encoder=encoder_of(model, encoder), summary=summary)
