"""Predictions: what each cell said of every test document, from the files that `final` leaves.

A sweep's paths and rows come in; predictions by cell go out. Where workers left the files in a
bucket they are fetched first. A cell without a readable file has none: what the statistics do
then is in docs/statistics.md, and the report names it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sweeps.answer.results import ResultRow
from sweeps.paths import SweepPaths
from sweeps.storage import get_file, list_files, unreadable


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Predicted:
    """What one cell predicted.

    Args:
        documents: int64 [D], their indices in the corpus, ascending.
        labels: int64 [D].
        probabilities: float32 [D, C].
    """

    documents: NDArray[np.int64]
    labels: NDArray[np.int64]
    probabilities: NDArray[np.float32]

    @property
    def hits(self) -> NDArray[np.bool_]:
        """Bool [D], which documents were classified correctly."""
        return np.asarray(self.probabilities.argmax(axis=1) == self.labels)


def read_predictions(path: Path) -> Predicted | None:
    """What a cell predicted; None where the file is missing or damaged.

    Args:
        path: An `.npz` with `documents` and `labels` int [D] and `probabilities` float [D, C].
    """
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            documents = file["documents"]
            order = np.argsort(documents, kind="stable")
            return Predicted(
                documents=documents[order],
                labels=file["labels"][order],
                probabilities=file["probabilities"][order],
            )
    except Exception:  # whatever numpy, zipfile and zlib make of bytes that are damaged
        return None


def fetch_predictions(paths: SweepPaths) -> None:
    """Fetch the files of all cells from a bucket, those that are here with the same time left out.

    Raises:
        StorageError: One can not be read or written.
    """
    if not paths.is_remote:
        return
    from pyarrow import ArrowException

    place = paths.shared(paths.predictions_folder)
    try:
        for info in list_files(place):
            file = paths.predictions_folder / info.base_name
            if not (file.is_file() and file.stat().st_mtime_ns == info.mtime_ns):
                get_file(paths.shared(file), file)
    except (OSError, ArrowException) as error:
        raise unreadable(place, error) from error


def load_predictions(paths: SweepPaths, rows: Sequence[ResultRow]) -> dict[str, Predicted]:
    """Cell id → predictions, of finished cells that have them."""
    cells = [row.cell for row in rows if row.is_finished]
    found = {cell: read_predictions(paths.predictions(cell)) for cell in cells}
    return {cell: predicted for cell, predicted in found.items() if predicted is not None}
