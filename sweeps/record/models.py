"""Models: fitted classifiers as a recorder is handed them (pure)."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True, slots=True)
class FittedModel:
    """The classifier of one cell, on this machine.

    Args:
        regime: Its regime.
        cell: Id of its cell.
        size: Domain documents; None where the regime has no size axis.
        seed: Seed of its cell.
        accuracy: On the test documents, 0 to 1.
        digest: Of its files.
        folder: Where they lie, as `ulm.labeller` reads them.
    """

    regime: str
    cell: str
    size: int | None
    seed: int
    accuracy: float
    digest: str
    folder: Path
