"""Parts of a corpus, and the listing that every reader hands over.

A reader (folders, tables, synthetic) turns a source into a `Listing`; `corpora` checks it and makes
a `Corpus`.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from ulm.errors import CorpusError
from ulm.text.texts import visible


class Part(IntEnum):
    """What a document may be used for."""

    LABELLED = 0
    UNLABELLED = 1
    TEST = 2


WHOLE = re.compile(r"^(\d+)\.0+$")  # as pandas writes whole numbers where some are missing

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
    """

    texts: Sequence[str]
    parts: NDArray[np.uint8]
    labels: NDArray[np.int16]
    label_names: tuple[str, ...]


def check_spelling(place: str, counts: Mapping[str, int]) -> None:
    """Refuse labels that are one to people: in capitals, by a mark or a blank more, 1 and 1.0.

    Args:
        place: where they stand, for the message.
        counts: label -> its documents.

    Raises:
        CorpusError: two are alike but for that.
    """
    first_of: dict[str, str] = {}
    for name in sorted(counts, key=lambda name: (-counts[name], name)):
        composed = unicodedata.normalize("NFC", name)
        first = first_of.setdefault(_as_read(composed), name)
        if first != name:
            look_alike = visible(composed) == visible(unicodedata.normalize("NFC", first))
            shown = ascii if look_alike else repr
            raise CorpusError(
                f"{place} must not hold labels that differ in case, in blanks or unseen marks, or "
                f"in how accents or whole numbers are written alone, found {counts[name]} of "
                f"{shown(name)} beside {counts[first]} of {shown(first)}; write them alike, or "
                f"name the classes apart"
            )


def _as_read(label: str) -> str:
    return WHOLE.sub(r"\1", " ".join(visible(label).split()).casefold())
