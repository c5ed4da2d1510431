"""The loop over epochs that language models and classifiers share.

A task trains and validates one epoch; the loop keeps the best epoch, tells the listener, writes the
state to resume from and ends. Random numbers are seeded anew for each epoch from (seed, epoch), so
training resumed after an epoch gives the same numbers as training that was never interrupted.
"""

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from ulm.files import part_of
from ulm.seeding import seed_for
from ulm.training.listener import EpochListener, EpochReport, TrainingDiverged
from ulm.training.memory import keep_freed_memory
from ulm.training.optimizer import GroupedAdamW


@dataclass(frozen=True, kw_only=True, slots=True)
class Epoch:
    """What a task says of one epoch: its steps and tokens, mean train loss and last rate."""

    steps: int
    tokens: int
    train_loss: float
    learning_rate: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Validation:
    """Loss in nats and share of correct predictions on the validation part."""

    loss: float
    accuracy: float


class Task(Protocol):
    """What the loop trains."""

    @property
    def model(self) -> nn.Module:
        """The model that trains."""
        ...

    @property
    def optimizer(self) -> GroupedAdamW:
        """Its optimiser."""
        ...

    def train_epoch(self, epoch: int) -> Epoch:
        """Trains one epoch, counted from 1."""
        ...

    def validate(self) -> Validation | None:
        """Scores the validation part; None where there is none."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingSummary:
    """What a finished training did.

    Args:
        best_epoch: Epoch whose weights were kept, from 1.
        epochs: Epochs trained.
        steps: Optimiser steps.
        tokens: Training tokens seen.
        seconds: Wall seconds, earlier attempts included.
        validation_loss: Of the best epoch, in nats; None without a validation part.
        validation_accuracy: Of the best epoch.
        history: Every epoch.
    """

    best_epoch: int
    epochs: int
    steps: int
    tokens: int
    seconds: float
    validation_loss: float | None
    validation_accuracy: float | None
    history: tuple[EpochReport, ...]


def run_epochs(
    task: Task,
    *,
    num_epochs: int,
    seed: int,
    better: Callable[[EpochReport, EpochReport], bool],
    listener: EpochListener | None = None,
    resume_from: str | Path | None = None,
) -> TrainingSummary:
    """Trains a task and leaves its model with the weights of the best epoch.

    Args:
        task: What to train.
        num_epochs: Epochs the schedule is laid out for.
        seed: Seeds the dropout of every epoch.
        better: Whether the first report is better than the second.
        listener: Told of every epoch, may stop the training.
        resume_from: File written by the `save` a listener was given.

    Returns:
        The summary.

    Raises:
        TrainingDiverged: A loss is not finite.
    """
    keep_freed_memory()
    run = _Run(task) if resume_from is None else _Run.restored(task, resume_from)
    for epoch in range(len(run.history) + 1, num_epochs + 1):
        begin = time.perf_counter()
        torch.manual_seed(seed_for(seed, "epoch", epoch))
        trained = task.train_epoch(epoch)
        report = _report(epoch, num_epochs, trained, task.validate(), run.last)
        report = replace(report, seconds=report.seconds + time.perf_counter() - begin)
        run.keep(report, better)
        if listener is not None and not listener.after_epoch(report, run.save):
            break
    task.model.load_state_dict(run.best_weights)
    return run.summary()


class _Run:
    """The state of one training between epochs."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.history: list[EpochReport] = []
        self.best: EpochReport | None = None
        self.best_weights: dict[str, Tensor] = {}

    @classmethod
    def restored(cls, task: Task, path: str | Path) -> "_Run":
        """Goes on from a saved state."""
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        run = cls(task)
        run.history = [EpochReport(**report) for report in state["history"]]
        run.best = run.history[state["best_epoch"] - 1]
        run.best_weights = state["best_weights"]
        task.model.load_state_dict(state["weights"])
        task.optimizer.load_state_dict(state["optimizer"])
        return run

    @property
    def last(self) -> EpochReport | None:
        return self.history[-1] if self.history else None

    def keep(self, report: EpochReport, better: Callable[[EpochReport, EpochReport], bool]) -> None:
        """Remembers an epoch, and its weights where it is the best so far."""
        self.history.append(report)
        if self.best is None or better(report, self.best):
            self.best = report
            self.best_weights = _copy(self.task.model)

    def save(self, path: Path) -> None:
        """Writes the state from which this training can go on."""
        assert self.best is not None
        state = {
            "history": [asdict(report) for report in self.history],
            "best_epoch": self.best.epoch,
            "best_weights": self.best_weights,
            "weights": self.task.model.state_dict(),
            "optimizer": self.task.optimizer.state_dict(),
        }
        with part_of(path) as part:
            torch.save(state, part)

    def summary(self) -> TrainingSummary:
        """The summary after the last epoch."""
        assert self.best is not None
        last = self.history[-1]
        return TrainingSummary(
            best_epoch=self.best.epoch,
            epochs=last.epoch,
            steps=last.steps,
            tokens=last.tokens,
            seconds=last.seconds,
            validation_loss=self.best.validation_loss,
            validation_accuracy=self.best.validation_accuracy,
            history=tuple(self.history),
        )


def _copy(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def _report(
    epoch: int,
    num_epochs: int,
    trained: Epoch,
    validation: Validation | None,
    last: EpochReport | None,
) -> EpochReport:
    losses = [trained.train_loss, *([] if validation is None else [validation.loss])]
    if not all(map(math.isfinite, losses)):
        raise TrainingDiverged(
            f"the loss must stay finite, found {losses[-1]} in epoch {epoch} "
            f"at learning rate {trained.learning_rate:.2g}: lower the learning rate"
        )
    return EpochReport(
        epoch=epoch,
        num_epochs=num_epochs,
        steps=trained.steps + (last.steps if last else 0),
        tokens=trained.tokens + (last.tokens if last else 0),
        seconds=last.seconds if last else 0.0,
        train_loss=trained.train_loss,
        validation_loss=None if validation is None else validation.loss,
        validation_accuracy=None if validation is None else validation.accuracy,
        learning_rate=trained.learning_rate,
    )
