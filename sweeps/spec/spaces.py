"""Spaces: what the study of a cell and stage searches, how often and towards what (pure).

A spec, a cell and a stage come in; ranges, a number of trials and a direction go out.
A space whose ranges are all fixed needs one trial only: a second would repeat the first. Where
training starts from random weights (`scratch`, language models of `domain` and `general`) there is
nothing in lower layers to protect: all layers share one rate and `decay` is not searched.
"""

from sweeps.spec.cells import Cell, Stage
from sweeps.spec.searches import BagOfWordsSearch, GeneralSearch, NeuralSearch, Range
from sweeps.spec.values import SweepSpec
from ulm.regimes import Regime


def search_of(
    spec: SweepSpec, cell: Cell, stage: Stage
) -> GeneralSearch | NeuralSearch | BagOfWordsSearch:
    """The part of the spec that a stage of a cell is searched by (`final`: its classifier's)."""
    if stage is Stage.LANGUAGE_MODEL:
        return spec.search.general if cell.is_general else spec.search.language_model
    return spec.search.bow if cell.regime == Regime.BOW else spec.search.classifier


def starts_from_random_weights(cell: Cell, stage: Stage) -> bool:
    """Whether the neural training of a stage has no pretrained encoder to start from."""
    if stage is Stage.LANGUAGE_MODEL:
        return cell.is_general or cell.regime == Regime.DOMAIN
    return cell.regime == Regime.SCRATCH


def space_of(spec: SweepSpec, cell: Cell, stage: Stage) -> dict[str, Range]:
    """Hyperparameter name → range; empty for `final`, whose settings are chosen already."""
    if stage is Stage.FINAL:
        return {}
    space = search_of(spec, cell, stage).space
    if starts_from_random_weights(cell, stage):
        space.pop("decay", None)  # `general` has none
    return space


def num_trials(spec: SweepSpec, cell: Cell, stage: Stage) -> int:
    """Trials a study may spend."""
    space = space_of(spec, cell, stage)
    if all(interval.is_fixed for interval in space.values()):
        return 1
    return search_of(spec, cell, stage).trials


def maximizes(stage: Stage) -> bool:
    """Whether larger values are better: accuracies are maximised, losses minimised."""
    return stage is not Stage.LANGUAGE_MODEL


def accelerator(spec: SweepSpec) -> str:
    """What trials are counted in: `GPU`, or `CPU` where the spec asks for no GPU."""
    return "GPU" if spec.resources.gpus > 0 else "CPU"


def accelerators(spec: SweepSpec, regime: str) -> float:
    """Accelerators one trial of a cell holds; CPUs where the spec asks for no GPU."""
    if spec.resources.gpus == 0:
        return float(spec.resources.cpus)
    return 0.0 if regime == Regime.BOW else spec.resources.gpus
