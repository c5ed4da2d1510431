"""Language models: the stage that trains a cell's encoder, or finds it trained already.

A job comes in; the encoder goes into the store under the hash of all that determines it, its key
into the outcome. One that the store already holds is not trained again: its epochs are told anew,
so that pruning decides as it did, and its numbers are those of the training that made it.
"""

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from sweeps.run.context import hash_of
from sweeps.run.encoders import key_for
from sweeps.run.job import STATE_FILE, EpochTeller, Job, known, progress_of, rate
from sweeps.run.settings import language_model_settings
from sweeps.search.records import Outcome, Progress
from sweeps.spec.cells import Stage
from ulm.text.subsets import language_model_split
from ulm.text.token_folder import RULES_VERSION
from ulm.training import TRAINING_VERSION
from ulm.training.language_model import (
    LanguageModelSettings,
    TrainedLanguageModel,
    train_language_model,
)
from ulm.training.listener import EpochReport


def run_language_model(job: Job) -> Outcome:
    """Train a language model on the cell's documents, every tenth held out for validation.

    Returns:
        The validation loss of the best epoch, in nats, and the store key of its encoder.
    """
    key = key_for(_determinants(job))
    if job.store.has(key):
        return _reuse(job, key)
    trained = _train(job)
    metrics = {**_metrics(trained), **known({"general_coverage": job.general_coverage})}
    epochs = [
        asdict(progress_of(report, value=_loss(report))) for report in trained.summary.history
    ]
    provenance = {"key": key, "cell": job.request.cell.label, **_determinants(job)}
    encoder = replace(trained.encoder, provenance=provenance)
    job.store.save(key, encoder, {"metrics": metrics, "epochs": epochs})
    return _outcome(key, metrics)


def _train(job: Job) -> TrainedLanguageModel:
    documents = job.materials.documents
    train, validation = language_model_split(documents)
    start = job.starting_encoder(documents)
    return train_language_model(
        start,
        job.materials.encode(train, start.vocabulary),
        job.materials.encode(validation, start.vocabulary),
        _settings(job),
        seed=job.materials.seed("language model"),
        listener=EpochTeller(job, _loss),
        resume_from=None if job.resume_from is None else job.resume_from / STATE_FILE,
        device=job.device,
    )


def _reuse(job: Job, key: str) -> Outcome:
    summary = job.store.summary(key)
    for epoch in summary["epochs"]:
        job.report(Progress(**epoch), _save_nothing)
    return _outcome(key, {**summary["metrics"], "reused": 1.0})


def _save_nothing(folder: Path) -> None:
    """An encoder of the store needs no state to go on from."""


def _loss(report: EpochReport) -> float:
    assert report.validation_loss is not None, "language models have a validation part"
    return report.validation_loss


def _metrics(trained: TrainedLanguageModel) -> dict[str, float]:
    summary = trained.summary
    return known(
        {
            "best_epoch": summary.best_epoch,
            "epochs": summary.epochs,
            "steps": summary.steps,
            "tokens": summary.tokens,
            "seconds": summary.seconds,
            "tokens_per_second": rate(summary.tokens, summary.seconds),
            "validation_loss": summary.validation_loss,
            "validation_accuracy": summary.validation_accuracy,
            "vocabulary": len(trained.encoder.vocabulary),
        }
    )


def _outcome(key: str, metrics: Mapping[str, float]) -> Outcome:
    return Outcome(value=metrics["validation_loss"], metrics=metrics, artifacts={"encoder": key})


def _determinants(job: Job) -> dict[str, Any]:
    """All that determines a language model, as JSON."""
    model, settings = job.context.spec.model, asdict(_settings(job))
    del settings["accumulation"]  # changes no gradient
    return {
        "stage": Stage.LANGUAGE_MODEL.value,
        "version": TRAINING_VERSION,
        "corpus": job.materials.tokens.fingerprint,
        "tokeniser": RULES_VERSION,
        "documents": hash_of(job.materials.documents),
        "vocabulary": [model.vocabulary, model.minimum_count, model.vocabulary_rule],
        "architecture": asdict(job.architecture),
        "settings": settings,
        "seed": job.request.cell.seed,
        "start": job.request.encoder,
    }


def _settings(job: Job) -> LanguageModelSettings:
    return language_model_settings(
        job.context.spec,
        job.request.params,
        is_general=job.request.cell.is_general,
        accumulation=job.accumulation,
    )
