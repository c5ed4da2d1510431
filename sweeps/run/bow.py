"""Bow: the stages of the TF-IDF line, which has no encoder and no epochs.

A job comes in. `classifier` fits on part of the labels and is judged on the rest, or on folds;
`final` fits on all labels with the chosen regularisation and scores the test documents.
"""

import time

import numpy as np
from numpy.typing import NDArray

from sweeps.run.draws import Indices
from sweeps.run.job import Job, rate
from sweeps.run.predictions import predict_test, score_test, test_blocks
from sweeps.run.shelf import description, keep_model
from sweeps.search.records import Outcome
from ulm.labeller import save_bag_of_words
from ulm.text.vocabulary import Vocabulary
from ulm.training.bag_of_words import BagOfWords, train_bag_of_words

SMALLEST_PROBABILITY = 1e-12


def run_bow_classifier(job: Job) -> Outcome:
    """Fit on part of the labels, once or for each fold; the value is the validation accuracy."""
    begin = time.perf_counter()
    materials = job.materials
    words = materials.every_word(materials.labelled)
    accuracies, losses, tokens = [], [], 0
    for train, validation in materials.label_splits:
        model, seen = _fit(job, train, words)
        probabilities = model.predict(materials.encode(validation, words))
        labels = materials.labels(validation)
        accuracies.append(float(np.mean(probabilities.argmax(1) == labels)))
        losses.append(_log_loss(probabilities, labels))
        tokens += seen
    metrics = {
        "validation_accuracy": float(np.mean(accuracies)),
        "validation_loss": float(np.mean(losses)),
        "vocabulary": float(len(words)),
        **_cost(tokens, time.perf_counter() - begin),
    }
    return Outcome(value=metrics["validation_accuracy"], metrics=metrics)


def run_bow_final(job: Job) -> Outcome:
    """Fit on all labels and score the test documents; the value is the test accuracy."""
    begin = time.perf_counter()
    materials = job.materials
    words = materials.every_word(materials.labelled)
    model, tokens = _fit(job, materials.labelled, words)
    probabilities = predict_test(
        job, lambda documents: model.predict(materials.encode(documents, words))
    )
    scored = score_test(job, probabilities, words)
    known = sum(int(model.knows(materials.encode(d, words)).sum()) for d in test_blocks(job))
    about = description(job, words, scored.value)
    kept = keep_model(job, scored.value, lambda folder: save_bag_of_words(folder, model, **about))
    cost = _cost(tokens, time.perf_counter() - begin)
    unseen = {"unseen_documents": float(len(materials.test) - known)}
    metrics = {**scored.metrics, **unseen, **cost}
    return Outcome(value=scored.value, metrics=metrics, artifacts={**scored.artifacts, **kept})


def _fit(job: Job, documents: Indices, words: Vocabulary) -> tuple[BagOfWords, int]:
    encoded = job.materials.encode(documents, words)
    model = train_bag_of_words(
        encoded,
        job.materials.labels(documents),
        vocabulary=words,
        inverse_regularization=job.request.params["inverse_regularization"],
    )
    return model, len(encoded.ids)


def _log_loss(probabilities: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    true = probabilities[np.arange(len(labels)), labels]
    return float(-np.log(np.maximum(true.astype(np.float64), SMALLEST_PROBABILITY)).mean())


def _cost(tokens: int, seconds: float) -> dict[str, float]:
    return {
        "steps": 0.0,
        "tokens": float(tokens),
        "seconds": seconds,
        "tokens_per_second": rate(tokens, seconds),
    }
