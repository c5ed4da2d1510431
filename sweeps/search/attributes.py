"""Attributes: a trial record as named JSON values, as a storage keeps it (pure).

A record goes in as it grows (asked, epochs, end), each part under a name of its own, so that every
part is written once; the names and values that were kept come back as a record.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from sweeps.search.records import (
    Outcome,
    Progress,
    StudyKey,
    TrialKey,
    TrialRecord,
    TrialState,
)
from sweeps.spec.cells import Stage

TRIAL, EPOCH, END, WAIT = "trial", "epoch ", "end", "wait"


def asked_attributes(record: TrialRecord) -> dict[str, Any]:
    """What is known when a trial is handed out."""
    key = record.key
    return {
        "key": str(key),
        TRIAL: {
            "cell": key.study.cell_id,
            "stage": key.study.stage.value,
            "number": key.number,
            "attempt": key.attempt,
            "encoder": record.encoder,
            "started_at": record.started_at,
            "accelerators": record.accelerators,
        },
        WAIT: wait_attributes(record),
    }


def wait_attributes(record: TrialRecord) -> dict[str, Any]:
    """Since when a trial waits, what earlier waits cost, what it inherits; kept under `WAIT`."""
    return {
        "since": record.waiting_since,
        "seconds": record.waited_seconds,
        "repeated": record.repeated_seconds,
        "inherited": record.inherited_seconds,
    }


def epoch_attribute(progress: Progress, at: float) -> tuple[str, dict[str, Any]]:
    """Name and value of one epoch, heard of at a time in unix seconds."""
    return f"{EPOCH}{progress.epoch}", {**asdict(progress), "at": at}


def end_attributes(record: TrialRecord) -> dict[str, Any]:
    """What is known when a trial has ended; kept under `END`."""
    return {
        "state": record.state.value,
        "outcome": None if record.outcome is None else asdict(record.outcome),
        "failure": record.failure,
        "retryable": record.retryable,
        "ended_at": record.ended_at,
    }


def is_trial(attributes: Mapping[str, Any]) -> bool:
    """Whether attributes are those of a trial kept here."""
    return TRIAL in attributes


def last_heard_of(attributes: Mapping[str, Any]) -> float:
    """Unix seconds of the last epoch, or of the start."""
    started_at = float(attributes[TRIAL]["started_at"])
    return max([started_at, *(float(epoch["at"]) for epoch in _epochs(attributes))])


def record_from(attributes: Mapping[str, Any], params: Mapping[str, float]) -> TrialRecord:
    """The record that was kept; RUNNING where no end was."""
    told = attributes[TRIAL]
    end, wait = attributes.get(END, {}), attributes.get(WAIT, {})
    outcome, epochs = end.get("outcome"), _epochs(attributes)
    last_told_at = max((float(epoch["at"]) for epoch in epochs), default=None)
    study = StudyKey(cell_id=told["cell"], stage=Stage(told["stage"]))
    return TrialRecord(
        key=TrialKey(study=study, number=told["number"], attempt=told["attempt"]),
        params=dict(params),
        encoder=told["encoder"],
        state=TrialState(end.get("state", TrialState.RUNNING)),
        progress=tuple(
            Progress(**{name: value for name, value in epoch.items() if name != "at"})
            for epoch in epochs
        ),
        outcome=None if outcome is None else Outcome(**outcome),
        failure=end.get("failure"),
        retryable=bool(end.get("retryable", False)),
        started_at=told["started_at"],
        ended_at=end.get("ended_at"),
        waiting_since=wait.get("since"),
        waited_seconds=float(wait.get("seconds", 0.0)),
        told_at=None if END in attributes else last_told_at,
        repeated_seconds=float(wait.get("repeated", 0.0)),
        inherited_seconds=float(wait.get("inherited", 0.0)),
        accelerators=told.get("accelerators"),
    )


def _epochs(attributes: Mapping[str, Any]) -> list[dict[str, Any]]:
    epochs = [value for name, value in attributes.items() if name.startswith(EPOCH)]
    return sorted(epochs, key=lambda epoch: int(epoch["epoch"]))
