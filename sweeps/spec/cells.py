"""Cells: the points of size × regime × seed a sweep consists of, with stable identities (pure).

`make_cells` turns a SweepSpec into cells in canonical order. A cell whose axis does not apply
exists once per seed. The general language model, where it has to be trained, is a cell of one stage
that others wait for: so it goes through the same ledger, studies and records as everything else.
"""

import hashlib
from dataclasses import dataclass
from enum import StrEnum

from sweeps.spec.meaning import digest
from sweeps.spec.values import SweepSpec
from ulm.regimes import Regime


class Stage(StrEnum):
    """What a trial does for its cell, in the order a cell goes through them."""

    LANGUAGE_MODEL = "language_model"
    CLASSIFIER = "classifier"
    FINAL = "final"

    @property
    def words(self) -> str:
        """Its name for people, e.g. `language model`."""
        return self.replace("_", " ")


GENERAL = "general"


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """One point of size × regime × seed, or the general model the others start from.

    Args:
        id: Stable name, e.g. `ulm+domain-n4000-s0-1a2b3c4d`; studies, runs and paths derive
            from it.
        regime: A `Regime` value, or `general`.
        size: Domain documents; None where the regime has no size axis.
        seed: The sweep seed of its subset, labels and initial weights.
        stages: The stages it goes through.
        needs: Ids of cells whose stages must be finished first.
    """

    id: str
    regime: str
    size: int | None
    seed: int
    stages: tuple[Stage, ...]
    needs: tuple[str, ...] = ()

    @property
    def is_general(self) -> bool:
        """Whether this is the general model and not a point of the grid."""
        return self.regime == GENERAL

    @property
    def label(self) -> str:
        """Short name for people, e.g. `ulm+domain n=4000 seed 0`."""
        size = "" if self.size is None else f" n={self.size}"
        return self.regime + size + ("" if self.is_general else f" seed {self.seed}")


def _cell_id(meaning_digest: str, regime: str, size: int | None, seed: int) -> str:
    identity = hashlib.sha256(f"{meaning_digest}|{regime}|{size}|{seed}".encode()).hexdigest()[:8]
    parts = [regime, *([] if size is None else [f"n{size}"]), f"s{seed}", identity]
    return "-".join(parts)


def _stages(regime: Regime) -> tuple[Stage, ...]:
    if regime.trains_on_domain:
        return (Stage.LANGUAGE_MODEL, Stage.CLASSIFIER, Stage.FINAL)
    return (Stage.CLASSIFIER, Stage.FINAL)


def make_cells(spec: SweepSpec) -> tuple[Cell, ...]:
    """Every cell of the sweep, the general model first, then by regime, size, seed."""
    meaning = digest(spec)
    cells: list[Cell] = []
    needs_general = any(regime.starts_from_general for regime in spec.regimes)
    if needs_general and not spec.general.is_pretrained:
        cells.append(
            Cell(
                id=_cell_id(meaning, GENERAL, None, 0),
                regime=GENERAL,
                size=None,
                seed=0,
                stages=(Stage.LANGUAGE_MODEL,),
            )
        )
    general_ids = tuple(cell.id for cell in cells)
    for regime in spec.regimes:
        for size in spec.sizes if regime.trains_on_domain else (None,):
            cells += [
                Cell(
                    id=_cell_id(meaning, regime, size, seed),
                    regime=regime.value,
                    size=size,
                    seed=seed,
                    stages=_stages(regime),
                    needs=general_ids if regime.starts_from_general else (),
                )
                for seed in spec.seeds
            ]
    return tuple(cells)
