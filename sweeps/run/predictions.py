"""Predictions: scores the test documents once and keeps what was predicted for each.

A function that predicts class probabilities comes in; an outcome and one file per cell go out:
`documents` int64 [N], `labels` int64 [N] and `probabilities` float32 [N, C] in numpy's `.npz`, no
pickle. Paired tests and error analysis need no rerun.
"""

import io
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from sweeps.paths import below
from sweeps.run.draws import Indices
from sweeps.run.job import Job
from sweeps.search.records import Outcome
from sweeps.storage import put_bytes
from ulm.text.vocabulary import Vocabulary

FOLDER = "predictions"
BLOCK_DOCUMENTS = 4096  # scored at a time, so that encoding them takes little memory


def test_blocks(job: Job) -> Iterator[Indices]:
    """The cell's test documents in their order, as many at a time as take little memory."""
    documents = job.materials.test
    for start in range(0, len(documents), BLOCK_DOCUMENTS):
        yield documents[start : start + BLOCK_DOCUMENTS]


def predict_test(
    job: Job, predict: Callable[[Indices], NDArray[np.float32]]
) -> NDArray[np.float32]:
    """Class probabilities of the cell's test documents, [N, C], in their order.

    Args:
        job: The trial.
        predict: Class probabilities [n, C] of document indices [n].
    """
    return np.concatenate([predict(documents) for documents in test_blocks(job)])


def score_test(job: Job, probabilities: NDArray[np.float32], vocabulary: Vocabulary) -> Outcome:
    """Score the cell's test documents and keep the predictions.

    Args:
        job: The trial.
        probabilities: Of `predict_test`, [N, C].
        vocabulary: The words that the classifier knows.

    Returns:
        The test accuracy; `predictions` names the file below the sweep's folder.
    """
    documents = job.materials.test
    labels = job.materials.labels(documents)
    name = f"{job.request.cell.id}.npz"
    packed = io.BytesIO()
    np.savez_compressed(
        packed,
        allow_pickle=False,
        documents=documents,
        labels=labels,
        probabilities=probabilities.astype(np.float32),
    )
    put_bytes(packed.getvalue(), below(job.context.predictions, name))
    accuracy = float(np.mean(probabilities.argmax(1) == labels))
    metrics = {
        "test_accuracy": accuracy,
        "test_documents": float(len(documents)),
        "coverage": job.materials.coverage(vocabulary, documents),
        "vocabulary": float(len(vocabulary)),
    }
    return Outcome(value=accuracy, metrics=metrics, artifacts={FOLDER: f"{FOLDER}/{name}"})
