"""Decisions: the values a ledger answers with (pure).

`NextTrial` says what a study wants now and what it starts from; `CellStatus` where a cell stands.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from sweeps.search.records import TrialKey, TrialRecord


@dataclass(frozen=True, kw_only=True, slots=True)
class Basis:
    """What a trial of a study starts from: earlier choices of its own and the general cell."""

    encoder: str | None = None
    params: Mapping[str, float] | None = None

    @classmethod
    def of_final(cls, classifier: TrialRecord) -> "Basis":
        """What `final` starts from once a classifier is chosen."""
        return cls(encoder=classifier.encoder, params=dict(classifier.params))

    def carries(self, record: TrialRecord) -> bool:
        """Whether a record was made on this basis."""
        return record.encoder == self.encoder and (
            self.params is None or dict(record.params) == dict(self.params)
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class NextTrial:
    """The trial a study wants now.

    Args:
        key: Its number and attempt.
        basis: What it starts from.
        params: Its hyperparameters where they are settled: a repeated attempt, or `final`.
        history: Ended trials of the study with smaller numbers; suggestions depend on these alone.
    """

    key: TrialKey
    basis: Basis
    params: Mapping[str, float] | None
    history: tuple[TrialRecord, ...]


class CellState(StrEnum):
    """Where a cell stands."""

    WAITING = "waiting"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    UNSTARTED = "unstarted"


@dataclass(frozen=True, kw_only=True, slots=True)
class CellStatus:
    """Where a cell stands, with the reason for FAILED and UNSTARTED."""

    state: CellState
    reason: str | None = None

    def __str__(self) -> str:
        return self.state.value if self.reason is None else f"{self.state}: {self.reason}"
