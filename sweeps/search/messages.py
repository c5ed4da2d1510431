"""Messages: requests, epochs and outcomes as JSON texts, as they cross processes (pure).

A request goes to a worker in a trial's configuration; epochs and the outcome come back as results.
Ray flattens nested dictionaries and keeps configurations on disk: a text passes through unchanged.
"""

import json
from dataclasses import asdict
from typing import Any

from sweeps.search.records import Outcome, Progress, StudyKey, TrialKey, TrialRequest
from sweeps.spec.cells import Cell, Stage

REQUEST, CPUS, GPUS = "request", "cpus", "gpus"
"""Keys of a trial's configuration."""
CHECKPOINT = "checkpoint"
"""Another, where an earlier run was stopped: the place of the checkpoint it left of this trial."""
PARTS, HALVES = "parts", 2
"""Another, where memory did not suffice: parts that a batch is computed in."""
AVOIDED = "avoided"
"""Another, where nodes are put out: their ids, with commas between."""
PROGRESS, OUTCOME, FAILURE = "progress", "outcome", "failure"
"""Keys of a trial's results: one of them, or of the next two, in each."""
BROKEN, MISFIT = "broken", "misfit"
"""Why a trial can not go on where it is, but may elsewhere; why no trial can."""
SAVED = "saved"
"""Beside PROGRESS: whether the trial can go on from this epoch."""
INHERITED = "inherited"
"""Beside PROGRESS: seconds of work of earlier attempts that the trial goes on from."""
NODE = "node"
"""Beside MISFIT: only this node is in the way, as far as is known."""
LOST_ENCODER = "lost_encoder"
"""Beside MISFIT: the store key of what the trial starts from; only that is in the way."""


def dump_request(request: TrialRequest) -> str:
    """A request as JSON."""
    return json.dumps(asdict(request))


def load_request(text: str) -> TrialRequest:
    """A request from `dump_request`."""
    told: dict[str, Any] = json.loads(text)
    cell, key = told["cell"], told["key"]
    stages = tuple(Stage(stage) for stage in cell["stages"])
    study = StudyKey(cell_id=key["study"]["cell_id"], stage=Stage(key["study"]["stage"]))
    return TrialRequest(
        key=TrialKey(study=study, number=key["number"], attempt=key["attempt"]),
        cell=Cell(**{**cell, "stages": stages, "needs": tuple(cell["needs"])}),
        params=told["params"],
        encoder=told["encoder"],
    )


def dump(message: Progress | Outcome) -> str:
    """An epoch or an outcome as JSON."""
    return json.dumps(asdict(message))


def load_progress(text: str) -> Progress:
    """An epoch from `dump`."""
    return Progress(**json.loads(text))


def load_outcome(text: str) -> Outcome:
    """An outcome from `dump`."""
    return Outcome(**json.loads(text))
