"""Classifiers: the stage that chooses a cell's classifier.

A job comes in. A classifier trains on part of the labels and is judged on the held-out rest, or on
folds; its curve is the mean over folds and its value the end of that curve. What it starts from and
how it trains is what `final` repeats on all labels.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from sweeps.run.draws import Indices
from sweeps.run.job import STATE_FILE, EpochTeller, Job, rate
from sweeps.run.settings import classifier_settings
from sweeps.search.records import Outcome
from sweeps.spec.cells import Stage
from sweeps.spec.spaces import starts_from_random_weights
from ulm.model.encoder import Encoder
from ulm.training.classifier import ClassifierSettings, train_classifier
from ulm.training.listener import EpochReport

FOLDS_FILE = "folds.json"
History = tuple[EpochReport, ...]


def run_classifier(job: Job) -> Outcome:
    """Train on part of the labels, once or for each fold.

    Returns:
        The validation accuracy after the last epoch, the mean over folds where there are any.
    """
    encoder = classifier_encoder(job)
    finished = _finished_folds(job)
    state = training_state(job)
    for train, validation in job.materials.label_splits[len(finished) :]:
        finished.append(_train_fold(job, encoder, train, validation, tuple(finished), state))
        state = None
    metrics = {**_curve_metrics(finished), "vocabulary": float(len(encoder.vocabulary))}
    return Outcome(value=metrics["validation_accuracy"], metrics=metrics)


def classifier_encoder(job: Job) -> Encoder:
    """The cell's own language model; else the general one or random weights."""
    if Stage.LANGUAGE_MODEL in job.request.cell.stages:
        assert job.request.encoder is not None, "a classifier follows its language model"
        return job.store.load(job.request.encoder)
    return job.starting_encoder(job.materials.labelled)


def training_state(job: Job) -> Path | None:
    """File that an earlier attempt saved its training in."""
    return None if job.resume_from is None else job.resume_from / STATE_FILE


def _train_fold(
    job: Job,
    encoder: Encoder,
    train: Indices,
    validation: Indices,
    finished: Sequence[History],
    state: Path | None,
) -> History:
    materials = job.materials
    trained = train_classifier(
        encoder,
        materials.encode(train, encoder.vocabulary),
        materials.labels(train),
        settings_of(job),
        num_classes=materials.num_classes,
        seed=materials.seed("classifier"),
        validation=(
            materials.encode(validation, encoder.vocabulary),
            materials.labels(validation),
        ),
        listener=EpochTeller(
            job,
            _accuracy,
            earlier=sum(len(history) for history in finished),
            num_folds=job.context.spec.labels.folds or 1,
            save_more=lambda folder: _save_folds(folder, finished),
        ),
        resume_from=state,
        device=job.device,
    )
    return trained.summary.history


def _accuracy(report: EpochReport) -> float:
    assert report.validation_accuracy is not None, "this stage has held-out labels"
    return report.validation_accuracy


def _loss(report: EpochReport) -> float:
    assert report.validation_loss is not None, "this stage has held-out labels"
    return report.validation_loss


def _save_folds(folder: Path, finished: Sequence[History]) -> None:
    folds = [[asdict(report) for report in history] for history in finished]
    (folder / FOLDS_FILE).write_text(json.dumps(folds), encoding="utf-8")


def _finished_folds(job: Job) -> list[History]:
    """Folds that an earlier attempt had finished when it saved its state."""
    if job.resume_from is None:
        return []
    folds = json.loads((job.resume_from / FOLDS_FILE).read_text(encoding="utf-8"))
    return [tuple(EpochReport(**report) for report in history) for history in folds]


def _curve_metrics(folds: Sequence[History]) -> dict[str, float]:
    """The end of the mean curve, where the schedule has come to rest.

    Not its best epoch: on the few labels held out that is mostly chance, and in the middle of the
    schedule, at a high rate (EXPERIMENTS.md). `final` trains the whole schedule too.
    """
    length = min(len(history) for history in folds)
    accuracy = np.mean([[_accuracy(r) for r in history[:length]] for history in folds], axis=0)
    loss = np.mean([[_loss(r) for r in history[:length]] for history in folds], axis=0)
    last = [history[-1] for history in folds]
    tokens, seconds = sum(r.tokens for r in last), sum(r.seconds for r in last)
    return {
        "epochs": float(length),
        "validation_accuracy": float(accuracy[-1]),
        "validation_loss": float(loss[-1]),
        "steps": float(sum(r.steps for r in last)),
        "tokens": float(tokens),
        "seconds": float(seconds),
        "tokens_per_second": rate(tokens, seconds),
    }


def settings_of(job: Job) -> ClassifierSettings:
    """How the classifiers of a job train."""
    return classifier_settings(
        job.context.spec,
        job.request.params,
        is_gradual=not starts_from_random_weights(job.request.cell, Stage.CLASSIFIER),
        accumulation=job.accumulation,
    )
