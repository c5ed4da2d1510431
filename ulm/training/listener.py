"""How training tells the world and is told to stop.

Training calls the listener after each epoch and obeys its answer; it knows nothing of who listens.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ulm.errors import UlmError


class TrainingDiverged(UlmError):
    """The loss is no longer a finite number: the learning rate is too high for this model."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EpochReport:
    """What one epoch did.

    Args:
        epoch: Epochs finished, from 1.
        num_epochs: Epochs this training has in all.
        steps: Optimiser steps so far.
        tokens: Training tokens so far.
        seconds: Seconds spent so far, earlier attempts included.
        train_loss: Mean cross-entropy of the epoch's batches, in nats.
        validation_loss: Cross-entropy on the validation part, in nats; None without one.
        validation_accuracy: Share of correct predictions (next words for a language model).
        learning_rate: Rate of the last layer group at the end of the epoch.
    """

    epoch: int
    num_epochs: int
    steps: int
    tokens: int
    seconds: float
    train_loss: float
    validation_loss: float | None
    validation_accuracy: float | None
    learning_rate: float


class EpochListener(Protocol):
    """Hears of every epoch."""

    def after_epoch(self, report: EpochReport, save: Callable[[Path], None]) -> bool:
        """Called after each epoch.

        Args:
            report: What the epoch did.
            save: Writes the state from which this training can go on into one file.

        Returns:
            True to go on, False to stop now; the best epoch so far is kept.
        """
        ...
