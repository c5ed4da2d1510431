"""Stages: what a trial does for its cell, from a request to an outcome; no Ray here.

A request, the sweep's context and an encoder store come in. Each epoch is told through `report`; an
`Outcome` goes out. The same request gives the same numbers on the same machine: every seed derives
from the cell's.
"""

import socket
import time
from dataclasses import replace
from pathlib import Path

from sweeps.run.bow import run_bow_classifier, run_bow_final
from sweeps.run.classifiers import run_classifier
from sweeps.run.context import Materials, TrialContext
from sweeps.run.encoders import EncoderStore
from sweeps.run.final import run_final
from sweeps.run.job import Job, Report
from sweeps.run.language_models import run_language_model
from sweeps.search.records import Outcome, TrialRequest
from sweeps.spec.cells import Stage
from sweeps.spec.spaces import accelerators
from ulm.peak_memory import peak_memory_bytes
from ulm.regimes import Regime

_NEURAL = {
    Stage.LANGUAGE_MODEL: run_language_model,
    Stage.CLASSIFIER: run_classifier,
    Stage.FINAL: run_final,
}
_BOW = {Stage.CLASSIFIER: run_bow_classifier, Stage.FINAL: run_bow_final}

GIB = 2**30


def run_trial(
    request: TrialRequest,
    context: TrialContext,
    store: EncoderStore,
    report: Report,
    *,
    resume_from: Path | None = None,
    accumulation: int = 1,
) -> Outcome:
    """Run one trial to its end.

    Args:
        request: What is asked.
        context: What every trial of the sweep shares.
        store: Trained encoders.
        report: Hears of every epoch; what it raises ends the trial.
        resume_from: Folder that an earlier attempt's `Save` wrote.
        accumulation: Parts that batches are computed in to save memory.

    Returns:
        The outcome, with `peak_gib` of this process, `accelerator_seconds` of this attempt, and the
        name of the `node` it ran on; `accumulation` where batches were computed in parts.

    Raises:
        TrainingDiverged: A loss is no longer finite.
    """
    begin = time.perf_counter()
    job = Job(
        request=request,
        context=context,
        store=store,
        materials=Materials(context, request.cell),
        report=report,
        resume_from=resume_from,
        accumulation=accumulation,
    )
    stages = _BOW if request.cell.regime == Regime.BOW else _NEURAL
    outcome = stages[request.key.study.stage](job)
    held_seconds = (time.perf_counter() - begin) * accelerators(context.spec, request.cell.regime)
    metrics = {"peak_gib": peak_memory_bytes() / GIB, "accelerator_seconds": held_seconds}
    if accumulation > 1:
        metrics["accumulation"] = float(accumulation)
    node = {"node": socket.gethostname()}
    return replace(
        outcome,
        metrics={**outcome.metrics, **metrics},
        artifacts={**outcome.artifacts, **node},
    )
