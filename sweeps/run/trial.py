"""Trial: the function that Ray Tune runs on a worker, around `sweeps.run.stages`.

A configuration with a request comes in; every epoch is reported, with a checkpoint on the sweep's
storage where one is due (`sweeps.run.pace`), so that a vanished worker costs little, and the last
report carries the outcome. A diverged loss, too little memory and bad data are outcomes too
(`sweeps.run.ending`). Any other error is raised: Tune repeats the trial from its last checkpoint.
"""

import os
import socket
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from sweeps.garbage import collect_rarely
from sweeps.run.context import TrialContext
from sweeps.run.ending import ending_of
from sweeps.run.health import SET_UP_AGAIN, find_misfits
from sweeps.run.leftovers import temporary_files_in
from sweeps.run.pace import CheckpointPace
from sweeps.run.probe import find_versions
from sweeps.run.shared_folder import is_sealed, seal
from sweeps.search.messages import (
    CPUS,
    GPUS,
    MISFIT,
    PARTS,
    PROGRESS,
    REQUEST,
    SAVED,
    dump,
    load_request,
)
from sweeps.search.records import Progress, TrialRequest
from ulm.regimes import Regime

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
        misfit = None if required is None else find_misfit(required)
        if misfit is not None:
            from ray import tune

            tune.report({MISFIT: misfit})
            return
        run_on_worker(load_request(config[REQUEST]), context, int(config.get(PARTS, 1)))

    return train


def find_misfit(versions: Versions) -> str | None:
    """Why this machine must not train for a driver with these versions; None where it may."""
    misfits = find_misfits(_versions_here(), versions)
    if not misfits:
        return None
    from ray.util import get_node_ip_address

    return (
        f"{socket.gethostname()} ({get_node_ip_address()}): {', '.join(misfits)}: {SET_UP_AGAIN}; "
        "no trial was started since, run again to go on"
    )


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
    return PlacementGroupFactory([bundle])


def run_on_worker(request: TrialRequest, context: TrialContext, parts: int) -> None:
    """Run a trial in this process, with batches in this many parts, and report to Tune."""
    collect_rarely()
    import torch
    from ray import tune

    from sweeps.run.encoders import EncoderStore
    from sweeps.run.stages import run_trial

    torch.set_num_threads(context.spec.resources.cpus)
    # before CUDA is used: with more work space cuDNN's LSTMs need not repeat to the last digit
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:2")
    store = EncoderStore(context.encoders)
    with ExitStack() as stack:
        # Tune makes this folder for the trial: what a killed worker leaves there, the next deletes.
        stack.enter_context(temporary_files_in(Path.cwd() / "temporary"))
        checkpoint = tune.get_checkpoint()
        folder = None if checkpoint is None else stack.enter_context(checkpoint.as_directory())
        # A damaged state is none: the trial starts anew, and comes to the same numbers.
        resume_from = Path(folder) if folder is not None and is_sealed(Path(folder)) else None
        report = reporter(checkpoint, CheckpointPace())
        last = ending_of(
            lambda parts: run_trial(
                request, context, store, report, resume_from=resume_from, accumulation=parts
            ),
            place=context.encoders,
            has_batches=request.cell.regime != Regime.BOW,
            parts=parts,
        )
    tune.report(last)


def reporter(
    resumed: Any, pace: CheckpointPace
) -> Callable[[Progress, Callable[[Path], None]], bool]:
    """Tells Tune of an epoch, with a checkpoint if one is due, and then deletes the one before.

    Tune would delete them itself (`num_to_keep`), but then it also writes the state of the whole
    experiment whenever a trial has made so many: with thousands of trials, its driver does nothing
    else (docs/results/scale.md). The checkpoint the trial was resumed from stays: it may be needed
    for another try.

    Args:
        resumed: The checkpoint the trial started from, or None.
        pace: Says when one is due.
    """
    from ray import tune

    def report(progress: Progress, save: Callable[[Path], None]) -> bool:
        # Tune ends the trial inside its `report`, so whoever gets an answer goes on.
        begin, before = time.monotonic(), tune.get_checkpoint()
        with tempfile.TemporaryDirectory(prefix="epoch-") as folder:
            if pace.is_due():
                save(Path(folder))
            is_saved = any(Path(folder).iterdir())
            if is_saved:
                seal(Path(folder))
            checkpoint = tune.Checkpoint.from_directory(folder) if is_saved else None
            tune.report({PROGRESS: dump(progress), SAVED: is_saved}, checkpoint=checkpoint)
        (pace.written if is_saved else pace.answered)(time.monotonic() - begin)
        if is_saved and before is not None and (resumed is None or before.path != resumed.path):
            with suppress(OSError):  # left to the end of the sweep, which deletes them all
                before.filesystem.delete_dir(before.path)
        return True

    return report
