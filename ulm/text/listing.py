"""Parts of a corpus, and the listing that every reader hands over.

A reader (folders, tables, synthetic) turns a source into a `Listing`; `corpora` checks it and makes
a `Corpus`. A listing can say where a document came from, so that one check serves all formats and
still names the file and row.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray


class Part(IntEnum):
    """What a document may be used for."""

    LABELLED = 0
    UNLABELLED = 1
    TEST = 2


NO_LABEL = -1
"""The label of a document that has none."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Listing:
    """Documents as a reader found them, not yet checked.

    Args:
        texts: N documents.
        parts: uint8 [N], values of `Part`.
        labels: int16 [N], index into `label_names`, `NO_LABEL` for none.
        label_names: names of the classes, sorted.
        place: says where documents came from, as "file" or "file: rows 7, 8".
    """

    texts: Sequence[str]
    parts: NDArray[np.uint8]
    labels: NDArray[np.int16]
    label_names: tuple[str, ...]
    place: Callable[..., str]
