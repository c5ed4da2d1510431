"""Records: what is known of a trial, in values that ledger, studies, recorder and answer share.

A `TrialRequest` goes out to a worker; `Progress` comes back after each epoch and an `Outcome` at
the end; a `TrialRecord` is what remains. All are plain: no Ray, Optuna or MLflow types.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from sweeps.spec.cells import Cell, Stage

DRIVER_STOPPED = "the driver stopped while it ran"


class TrialState(StrEnum):
    """Where a trial stands."""

    RUNNING = "running"
    FINISHED = "finished"
    PRUNED = "pruned"  # stopped by its study's pruner; counts against the budget of trials
    FAILED = "failed"  # diverged or broken for good; counts, and is never chosen
    LOST = "lost"  # worker or driver vanished; does not count, the same trial is asked again

    @property
    def counts(self) -> bool:
        """Whether the trial uses up one of its study's trials once it has ended."""
        return self in (TrialState.FINISHED, TrialState.PRUNED, TrialState.FAILED)


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyKey:
    """One study: a cell and a stage."""

    cell_id: str
    stage: Stage

    def __str__(self) -> str:
        return f"{self.cell_id}/{self.stage}"


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialKey:
    """One trial of a study.

    Args:
        study: The study it belongs to.
        number: Its place among the trials that count, from 0.
        attempt: How often it was asked before: after a loss, or on a choice that was replaced.
    """

    study: StudyKey
    number: int
    attempt: int = 0

    def __str__(self) -> str:
        return f"{self.study}/{self.number}" + (f".{self.attempt}" if self.attempt else "")

    @property
    def place(self) -> str:
        """Cell, stage and number, which all attempts share, as one name of a folder."""
        return f"{self.study.cell_id}-{self.study.stage}-{self.number}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """One epoch of a running trial.

    Args:
        epoch: Epochs finished, from 1 (folds count on: fold 2 of 8-epoch training starts at 9).
        num_epochs: Epochs the trial will have in all.
        value: What the study minimises or maximises, at this epoch.
        metrics: Everything else worth a curve, e.g. train_loss, tokens_per_second.
    """

    epoch: int
    num_epochs: int
    value: float
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """The end of a trial that ran through.

    Args:
        value: Validation loss of the best epoch (language_model), validation accuracy after the
            last epoch (classifier), test accuracy (final).
        metrics: Numbers by name: `validation_loss`, `validation_accuracy`, `test_accuracy`,
            `test_documents`, `steps`, `tokens`, `seconds`, `peak_gib`, `best_epoch`
            (language_model), ...
        artifacts: Keys by name: `encoder` (store key), `predictions` (path below the sweep folder),
            `node` (host name of the machine it ran on), `no_model` (why its model is not kept).
    """

    value: float
    metrics: Mapping[str, float] = field(default_factory=dict)
    artifacts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialRequest:
    """What a worker is asked to do.

    Args:
        key: Which trial this is.
        cell: The cell it works for.
        params: Hyperparameters of this stage.
        encoder: Store key of the encoder to start from; None for random weights or `bow`.
    """

    key: TrialKey
    cell: Cell
    params: Mapping[str, float]
    encoder: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialRecord:
    """Everything the ledger remembers of a trial.

    Args:
        key: Which trial this is.
        params: Hyperparameters of its stage.
        encoder: Store key of the encoder it was started from, as in its request.
        state: Where it stands.
        progress: Its epochs so far.
        outcome: Its end, for FINISHED.
        failure: The reason, for FAILED and LOST.
        retryable: FAILED only: it broke (workers vanished more often than `retries`) rather than
            diverged, so that the next `run` asks it again.
        started_at: Unix seconds when it was asked.
        ended_at: Unix seconds when it ended; None while running.
        waiting_since: Unix seconds since when it waits for a node; None while a worker has it.
        waited_seconds: Seconds of earlier waits.
        told_at: Unix seconds of the last epoch, or since when its worker has it. None where neither
            is known, and once it has ended.
        saved_at: The same of the last epoch whose state was saved: work after that vanishes with
            the worker.
        repeated_seconds: Seconds that vanished so and were worked again.
        inherited_seconds: Seconds of earlier attempts, whose run was stopped, that it goes on from.
        accelerators: Accelerators it holds while a worker has it, whatever the spec says later;
            None in older ledgers.
    """

    key: TrialKey
    params: Mapping[str, float]
    encoder: str | None = None
    state: TrialState = TrialState.RUNNING
    progress: tuple[Progress, ...] = ()
    outcome: Outcome | None = None
    failure: str | None = None
    retryable: bool = False
    started_at: float = 0.0
    ended_at: float | None = None
    waiting_since: float | None = None
    waited_seconds: float = 0.0
    told_at: float | None = None
    saved_at: float | None = None
    repeated_seconds: float = 0.0
    inherited_seconds: float = 0.0
    accelerators: float | None = None

    @property
    def is_over(self) -> bool:
        """Whether no run asks it again."""
        return self.state.counts and not self.retryable

    def held_seconds(self, now: float) -> float:
        """Seconds a worker had it, up to its end or `now`; waiting for a node costs nothing."""
        end = now if self.ended_at is None else self.ended_at
        waiting = 0.0 if self.waiting_since is None else max(0.0, end - self.waiting_since)
        return max(0.0, end - self.started_at - self.waited_seconds - waiting)

    def worked_seconds(self, now: float) -> float:
        """Seconds that went into it: held by this attempt, and those it goes on from."""
        return self.held_seconds(now) + self.inherited_seconds
