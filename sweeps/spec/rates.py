"""Rates: how fast a trial computes, measured or assumed (pure).

FLOP per second of the arithmetic in `sweeps.spec.cost`, whatever a machine really computes for it:
what is measured with that arithmetic and used with it again comes out right.
"""

from dataclasses import dataclass

from sweeps.spec.values import SweepSpec

# fp32: half of what a T4 has; 16 bits: fastai reports 55,000 tokens/s at 265 MFLOP, GPU not named
GPU_FLOP_PER_SECOND = {"fp32": 4e12, "bf16": 14.6e12}
CPU_FLOP_PER_SECOND = 50e9  # a core in fp32: 27e9 measured for small models, 86e9 for 400/1152/3


@dataclass(frozen=True, kw_only=True, slots=True)
class Rates:
    """FLOP per second of one trial.

    Args:
        language_model: Of language models.
        classifier: Of classifiers, in the search and in `final`.
        basis: Where the numbers are from.
    """

    language_model: float
    classifier: float
    basis: str


def default_rates(spec: SweepSpec) -> Rates:
    """Of one trial with what the spec gives it, where nothing was measured."""
    where, rate = "CPU", CPU_FLOP_PER_SECOND * spec.resources.cpus
    if spec.resources.gpus > 0:
        precision = spec.language_model.precision
        where = f"GPU in {precision}"
        rate = GPU_FLOP_PER_SECOND[precision] * spec.resources.gpus
    basis = f"for this share of a {where}, not measured"
    return Rates(language_model=rate, classifier=rate, basis=basis)
