"""Regimes: where the encoder of a classifier comes from.

No torch here: plans, ledgers and reports reason about regimes without loading it.
"""

from enum import StrEnum


class Regime(StrEnum):
    """Where the encoder comes from; the values are the names used in specs and reports."""

    BOW = "bow"
    SCRATCH = "scratch"
    ULM = "ulm"
    DOMAIN = "domain"
    ULM_DOMAIN = "ulm+domain"

    @property
    def starts_from_general(self) -> bool:
        """Whether the general language model is the starting point."""
        return self in (Regime.ULM, Regime.ULM_DOMAIN)

    @property
    def trains_on_domain(self) -> bool:
        """Whether a language model is trained on the cell's domain documents.

        Only these regimes have a size axis; the others exist once per seed.
        """
        return self in (Regime.DOMAIN, Regime.ULM_DOMAIN)
