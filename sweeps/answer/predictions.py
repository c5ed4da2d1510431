"""Predictions: which test documents each cell got right, from the files that `final` leaves.

A sweep's paths and rows come in; hits by cell go out. Where workers left the files in a bucket they
are fetched first. A cell without a readable file has none: the statistics then rest on the seeds
alone, and say so.
"""

from collections.abc import Sequence
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from sweeps.answer.results import ResultRow
from sweeps.paths import SweepPaths
from sweeps.storage import get_file, list_files, unreadable


def read_hits(path: Path) -> NDArray[np.bool_] | None:
    """Whether each test document, in order of its index, was classified correctly: bool [D].

    Args:
        path: An `.npz` with `labels` int [D] and `probabilities` float [D, C], and `documents`
            int [D] where the order is not that of the corpus.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            hits = file["probabilities"].argmax(axis=1) == file["labels"]
            order = np.argsort(file["documents"], kind="stable") if "documents" in file else ...
            return np.asarray(hits[order], dtype=np.bool_)
    except (OSError, KeyError, ValueError, IndexError, BadZipFile):
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


def load_hits(paths: SweepPaths, rows: Sequence[ResultRow]) -> dict[str, NDArray[np.bool_]]:
    """Cell id → hits, for finished cells whose predictions are there."""
    found = {row.cell: read_hits(paths.predictions(row.cell)) for row in rows if row.is_finished}
    return {cell: hits for cell, hits in found.items() if hits is not None}
