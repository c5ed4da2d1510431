"""Final: the stage that fits the chosen classifier on all labels and scores the test set once.

A job comes in; an outcome with the test accuracy goes out, the predictions are kept. Where the spec
asks for an ensemble, several classifiers are fitted that differ in head, order and dropout, and
their mean probability is scored. A fitted member leaves its predictions and weights in the state
that the next one saves, so a vanished worker costs little here too.
"""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from sweeps.run.classifiers import classifier_encoder, settings_of, training_state
from sweeps.run.job import EpochTeller, Job, known, rate
from sweeps.run.predictions import predict_test, score_test
from sweeps.run.shelf import description, keep_model
from sweeps.search.records import Outcome
from sweeps.spec.cells import Stage
from ulm.labeller import save_classifiers
from ulm.model.encoder import Encoder
from ulm.model.text_classifier import TextClassifier, fitted_classifier
from ulm.training.classifier import train_classifier

ENSEMBLE_FILE = "ensemble.pt"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Cost:
    """What fitting one member took; scoring is part of `seconds`, not of `training_seconds`."""

    epochs: int
    steps: int
    tokens: int
    training_seconds: float
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Member:
    """One fitted classifier: its probabilities for the test documents, [N, C], model and cost."""

    probabilities: NDArray[np.float32]
    cost: _Cost
    model: TextClassifier


def run_final(job: Job) -> Outcome:
    """Train on all labels with the chosen settings and score the test documents once.

    Returns:
        The test accuracy, and where the predictions lie.
    """
    encoder = classifier_encoder(job)
    members, state = _left(job, encoder)
    while len(members) < job.context.spec.classifier.ensemble:
        members.append(_fit(job, encoder, tuple(members), state))
        state = None
    probabilities = np.mean([member.probabilities for member in members], axis=0)
    scored = score_test(job, probabilities, encoder.vocabulary)
    about = description(job, encoder.vocabulary, scored.value)
    models = [member.model for member in members]
    kept = keep_model(job, scored.value, lambda folder: save_classifiers(folder, models, **about))
    metrics = {**scored.metrics, **_numbers(members)}
    if Stage.LANGUAGE_MODEL not in job.request.cell.stages:
        metrics |= known({"general_coverage": job.general_coverage})
    return Outcome(value=scored.value, metrics=metrics, artifacts={**scored.artifacts, **kept})


def _fit(job: Job, encoder: Encoder, earlier: Sequence[_Member], state: Path | None) -> _Member:
    materials, settings = job.materials, settings_of(job)
    trained = train_classifier(
        encoder,
        materials.encode(materials.labelled, encoder.vocabulary),
        materials.labels(materials.labelled),
        settings,
        num_classes=materials.num_classes,
        seed=materials.seed(f"classifier {len(earlier)}" if earlier else "classifier"),
        listener=EpochTeller(
            job,
            lambda report: report.train_loss,
            earlier=sum(member.cost.epochs for member in earlier),
            num_folds=job.context.spec.classifier.ensemble,
            save_more=lambda folder: _save_members(folder, earlier),
        ),
        resume_from=state,
        device=job.device,
    )
    begin = time.perf_counter()
    probabilities = predict_test(
        job, lambda documents: trained.predict(materials.encode(documents, encoder.vocabulary))
    )
    summary = trained.summary
    cost = _Cost(
        epochs=summary.epochs,
        steps=summary.steps,
        tokens=summary.tokens,
        training_seconds=summary.seconds,
        seconds=summary.seconds + time.perf_counter() - begin,
    )
    return _Member(probabilities=probabilities, cost=cost, model=trained.model)


def _numbers(members: Sequence[_Member]) -> dict[str, float]:
    """Epochs of one member, and what all of them took."""
    costs = [member.cost for member in members]
    tokens = sum(cost.tokens for cost in costs)
    return {
        "epochs": float(costs[-1].epochs),
        "steps": float(sum(cost.steps for cost in costs)),
        "tokens": float(tokens),
        "seconds": sum(cost.seconds for cost in costs),
        "tokens_per_second": rate(tokens, sum(cost.training_seconds for cost in costs)),
    }


def _save_members(folder: Path, members: Sequence[_Member]) -> None:
    saved = [
        {
            "probabilities": torch.from_numpy(member.probabilities),
            "cost": asdict(member.cost),
            "weights": member.model.state_dict(),
        }
        for member in members
    ]
    torch.save(saved, folder / ENSEMBLE_FILE)


def _left(job: Job, encoder: Encoder) -> tuple[list[_Member], Path | None]:
    """Members that an earlier attempt had fitted, and the state of the one it was at.

    Neither where an earlier version saved them: the trial then begins anew.
    """
    if job.resume_from is None or not (job.resume_from / ENSEMBLE_FILE).is_file():
        return [], None
    settings = settings_of(job)
    members = [
        _Member(
            probabilities=saved["probabilities"].numpy(),
            cost=_Cost(**saved["cost"]),
            model=fitted_classifier(
                saved["weights"],
                encoder.architecture,
                num_words=len(encoder.vocabulary),
                num_classes=job.materials.num_classes,
                bptt=settings.bptt,
                maximum_tokens=settings.maximum_tokens,
            ),
        )
        for saved in torch.load(
            job.resume_from / ENSEMBLE_FILE, map_location="cpu", weights_only=True
        )
    ]
    return members, training_state(job)
