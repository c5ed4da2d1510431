"""Trial: the function that Ray Tune runs on a worker, around `sweeps.run.stages`.

A configuration with a request comes in; every epoch is reported, with a checkpoint on the sweep's
storage where one is due (`sweeps.run.pace`), so that a vanished worker or driver costs little, and
the last report carries the outcome. A diverged loss, too little memory and bad data are outcomes
too (`sweeps.run.ending`). Any other error is raised: Tune repeats the trial from its last
checkpoint.
"""

import os
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import lru_cache
from pathlib import Path
from typing import Any

from sweeps.errors import StorageError
from sweeps.garbage import collect_rarely
from sweeps.run.checkpoints import Note, checkpoint_at, identity_of, opened
from sweeps.run.context import TrialContext
from sweeps.run.ending import ending_of, give_back_memory
from sweeps.run.health import SET_UP_AGAIN, find_misfits
from sweeps.run.leftovers import temporary_files_in
from sweeps.run.pace import CheckpointPace
from sweeps.run.probe import find_versions
from sweeps.run.reporter import Reporter
from sweeps.search.messages import (
    AVOIDED,
    CHECKPOINT,
    CPUS,
    GPUS,
    MISFIT,
    NODE,
    PARTS,
    REQUEST,
    load_request,
)
from sweeps.search.records import Outcome
from sweeps.writable import check_place
from ulm.regimes import Regime

PAUSES_SECONDS = (2.0, 8.0, 30.0)
NODE_LABEL = "ray.io/node-id"  # every node has it

Trainable = Callable[[dict[str, Any]], None]
Versions = Mapping[str, str | None]


def make_trainable(context: TrialContext, versions: Versions | None = None) -> Trainable:
    """The function that Tune runs; the context travels with it to the workers.

    Args:
        context: What every trial of the sweep shares.
        versions: What another machine must have, from `find_versions`: one may join the cluster at
            any time. None where all is on one machine.
    """
    from ray.util import get_node_ip_address

    driver = get_node_ip_address()

    def train(config: dict[str, Any]) -> None:
        required = versions if get_node_ip_address() != driver else None
        misfit = None if required is None else find_misfit(required, context.encoders)
        if misfit is not None:
            from ray import tune

            tune.report({MISFIT: misfit, NODE: "this"})
            return
        run_on_worker(config, context)

    return train


def find_misfit(versions: Versions, place: str) -> str | None:
    """Why this machine must not train for a driver with these versions; None where it may.

    Args:
        versions: The driver's.
        place: Folder or URI where trials write.
    """
    misfits = find_misfits(_versions_here(), versions)
    reason = f"{', '.join(misfits)}: {SET_UP_AGAIN}" if misfits else _storage_error(place)
    if reason is None:
        return None
    from ray.util import get_node_ip_address

    return f"{socket.gethostname()} ({get_node_ip_address()}): {reason}"


def _storage_error(place: str) -> str | None:
    """Why a place can not be written, also not a little later: a bucket may be busy for a while."""
    error = None
    for pause_seconds in (0.0, *PAUSES_SECONDS):
        time.sleep(pause_seconds)
        try:
            _check_once(place)
        except StorageError as found:
            error = str(found)
        else:
            return None
    return error


@lru_cache(maxsize=1)
def _check_once(place: str) -> None:
    """Once in a process where it succeeds."""
    check_place(place)


@lru_cache(maxsize=1)
def _versions_here() -> Versions:
    """Read once in a process, when its code is loaded."""
    return find_versions()


def resources_of(config: dict[str, Any]) -> Any:
    """The placement group of one trial, from its configuration."""
    from ray.tune import PlacementGroupFactory

    bundle = {"CPU": float(config.get(CPUS, 1))}
    if config.get(GPUS):
        bundle["GPU"] = float(config[GPUS])
    if not config.get(AVOIDED):
        return PlacementGroupFactory([bundle])
    elsewhere = {NODE_LABEL: f"!in({config[AVOIDED]})"}
    return PlacementGroupFactory([bundle], bundle_label_selector=[elsewhere])


def run_on_worker(config: dict[str, Any], context: TrialContext) -> None:
    """Run the trial of a configuration in this process, and report to Tune."""
    collect_rarely()
    import torch
    from ray import tune

    from sweeps.run.encoders import EncoderStore
    from sweeps.run.stages import run_trial

    request = load_request(config[REQUEST])
    torch.set_num_threads(context.spec.resources.cpus)
    # before CUDA is used: with more work space cuDNN's LSTMs need not repeat to the last digit
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:2")
    if torch.cuda.is_available():  # a pruned trial ended in its report, with no line of ours after
        give_back_memory()
    store = EncoderStore(context.encoders)
    with ExitStack() as stack:
        # Tune makes this folder for the trial: what a killed worker leaves there, the next deletes.
        stack.enter_context(temporary_files_in(Path.cwd() / "temporary"))
        trial, checkpoint = identity_of(request, context), tune.get_checkpoint()
        inherited = checkpoint_at(config.get(CHECKPOINT)) if checkpoint is None else None
        folder = stack.enter_context(opened(checkpoint or inherited))
        note = None if folder is None else Note.read(folder)
        if note is None or note.trial != trial:
            # A damaged state is none: the trial starts anew, and comes to the same numbers.
            folder, note = None, Note(trial=trial)
        report = Reporter(note, checkpoint, CheckpointPace())
        if inherited is not None:
            report.tell_again()
        # more than one where memory did not suffice, in this run or before
        first_parts = max(note.parts, int(config.get(PARTS, 1)))

        def train(parts: int) -> Outcome:
            report.parts = parts
            # Where memory does not suffice now, all of it is trained in halves: so it would be in
            # a run that nobody stopped.
            resume_from = folder if parts == first_parts else None
            return run_trial(
                request, context, store, report, resume_from=resume_from, accumulation=parts
            )

        last = ending_of(
            train,
            place=context.encoders,
            has_batches=request.cell.regime != Regime.BOW,
            parts=first_parts,
        )
    tune.report(last)
