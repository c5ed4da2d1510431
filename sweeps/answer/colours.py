"""Colours: one for each regime, in figures and tracking servers alike.

Okabe & Ito's, told apart by colour-blind readers; two of them darker, so that thin text is legible.
"""

from ulm.regimes import Regime

COLOURS = {
    Regime.BOW.value: "#1a1a1a",
    Regime.SCRATCH.value: "#a2588a",  # Okabe & Ito's #cc79a7
    Regime.ULM.value: "#007a59",  # their #009e73
    Regime.DOMAIN.value: "#0072b2",
    Regime.ULM_DOMAIN.value: "#d55e00",
}
