"""Models: fitted classifiers as they are kept, and as a recorder is handed them (pure)."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True, slots=True)
class Card:
    """What is known of a kept model.

    Args:
        regime: Its regime.
        cell: Id of its cell.
        size: Domain documents of its cell; None where the regime has no size axis.
        seed: Seed of its cell.
        accuracy: On the test documents, 0 to 1: a label, never a reason to keep it.
    """

    regime: str
    cell: str
    size: int | None
    seed: int
    accuracy: float

    @property
    def rank(self) -> tuple[int, int]:
        """The largest of a regime stays."""
        return self.size or 0, -self.seed


@dataclass(frozen=True, kw_only=True, slots=True)
class FittedModel(Card):
    """The classifier of one cell, on this machine.

    Args:
        digest: Of its files.
        folder: Where they lie, as `ulm.labeller` reads them.
    """

    digest: str
    folder: Path
