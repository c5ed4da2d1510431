"""Shelf: one classifier of each regime, kept on the sweep's storage to be served.

`final` offers what it has fitted. The one of the largest size stays, of its seeds the first: a rule
that asks for no score, so that the test accuracy a model carries is none chosen for being high. (A
few held-out labels would not choose better: 100 of them are ± 8 points.) The order is total, so the
same one stays whichever came first. A model appears whole: its card, `<cell>.json`, is written last
and removed first.
"""

import json
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pyarrow import ArrowException

from sweeps.answer.results import ResultRow
from sweeps.disk import is_full
from sweeps.errors import StorageError, describe_error
from sweeps.paths import below, is_uri
from sweeps.record.models import Card, FittedModel
from sweeps.run.job import Job, Save
from sweeps.run.shared_folder import find_contents, get_folder, put_folder
from sweeps.storage import (
    list_files,
    put_bytes,
    read_bytes,
    remove_file,
    remove_folder,
    told_when_unreadable,
    unreadable,
)
from ulm.text.vocabulary import Vocabulary

CARD = ".json"


class ModelShelf:
    """Kept models in a folder, or under an s3:// or gs:// URI.

    Args:
        root: Absolute path or URI; made when first written to.
    """

    def __init__(self, root: str) -> None:
        self._root = root

    def cards(self) -> tuple[Card, ...]:
        """Every model that is there whole."""
        names = [info.base_name for info in list_files(self._root)]
        cards = []
        for name in names:
            if name.endswith(CARD):
                # another worker has put a larger one there, or it is damaged
                with suppress(FileNotFoundError, ValueError, TypeError):
                    cards.append(Card(**json.loads(read_bytes(below(self._root, name)))))
        return tuple(cards)

    def offer(self, card: Card, save: Save) -> bool:
        """Keep a model if it is first in rank of its regime.

        Args:
            card: What is known of it.
            save: Writes its files into a folder.

        Returns:
            Whether it was kept.
        """
        self._remove(card)  # of an earlier attempt of the same cell
        rivals = [other for other in self.cards() if other.regime == card.regime]
        if any(rival.rank > card.rank for rival in rivals):
            return False
        with tempfile.TemporaryDirectory(prefix="model-") as folder:
            save(Path(folder))
            put_folder(Path(folder), below(self._root, card.cell))
        put_bytes(json.dumps(asdict(card)).encode(), self._card(card))
        for rival in rivals:
            self._remove(rival)
        return True

    def kept(self, rows: Iterable[ResultRow], folder: Path) -> tuple[FittedModel, ...]:
        """The model of each regime, on this machine.

        Args:
            rows: Results of the sweep; a model of a score that was replaced is left out.
            folder: Where the files of a bucket are fetched to.

        Raises:
            StorageError: The storage can not be read.
        """
        scores = {row.cell: row.test_accuracy for row in rows if row.is_finished}
        with told_when_unreadable(self._root):
            cards = [card for card in self.cards() if scores.get(card.cell) == card.accuracy]
        first = {card.regime: card for card in sorted(cards, key=lambda card: card.rank)}
        return tuple(self._fitted(first[regime], folder) for regime in sorted(first))

    def _fitted(self, card: Card, folder: Path) -> FittedModel:
        place = below(self._root, card.cell)
        contents = find_contents(place)
        if contents is None:
            raise unreadable(place, FileNotFoundError("a model without contents"))
        here = folder / card.cell if is_uri(self._root) else Path(place)
        if is_uri(self._root):
            get_folder(place, here, contents)
        return FittedModel(**asdict(card), digest=contents.digest, folder=here)

    def _card(self, card: Card) -> str:
        return below(self._root, card.cell + CARD)

    def _remove(self, card: Card) -> None:
        remove_file(self._card(card))
        remove_folder(below(self._root, card.cell))


def keep_model(job: Job, accuracy: float, save: Save) -> Mapping[str, str]:
    """Offer the model that a `final` trial has fitted; its score counts whether it is kept or not.

    Args:
        job: The trial.
        accuracy: On the test documents, 0 to 1.
        save: Writes the model's files into a folder.

    Returns:
        For the trial's outcome: `no_model`, why it can not be kept, where that is so.

    Raises:
        OSError, StorageError: A disk is full.
    """
    cell = job.request.cell
    card = Card(regime=cell.regime, cell=cell.id, size=cell.size, seed=cell.seed, accuracy=accuracy)
    try:
        ModelShelf(job.context.models).offer(card, save)
    except (OSError, ArrowException, StorageError, ValueError, TypeError) as error:
        if is_full(error):
            raise
        return {"no_model": describe_error(error)}
    return {}


def description(job: Job, vocabulary: Vocabulary, accuracy: float) -> Mapping[str, Any]:
    """What `ulm.labeller` keeps beside the weights of a trial's model."""
    cell, tokens = job.request.cell, job.materials.tokens
    provenance = {
        "cell": cell.id,
        "regime": cell.regime,
        "documents": cell.size,
        "seed": cell.seed,
        "corpus": tokens.name,
        "fingerprint": tokens.fingerprint,
        "settings": dict(job.request.params),
        "test_accuracy": accuracy,
    }
    return {"vocabulary": vocabulary, "labels": tokens.label_names, "provenance": provenance}
