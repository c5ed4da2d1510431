"""Plan: what a sweep will cost before anything runs (pure).

A spec and corpus volumes come in; cells, trials, tokens, hours, storage and memory go out, per
regime and in all. Every number is arithmetic over `sweeps.spec.cost`, and the plan says what it
assumed, so that a reader can tell a measurement from a default.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sweeps.spec.cells import GENERAL, Cell, Stage, make_cells
from sweeps.spec.cost import TrialCosts, language_model_flop_per_token, lstm_weights
from sweeps.spec.rates import Rates
from sweeps.spec.spaces import accelerators, num_trials
from sweeps.spec.values import SweepSpec
from sweeps.spec.volume import Volumes, size_mistake
from ulm.regimes import Regime

BASE_GIB = 0.6  # a worker with torch imported
GIB = 2**30


@dataclass(frozen=True, kw_only=True, slots=True)
class RegimePlan:
    """The cells of one regime, added up.

    Args:
        regime: A `Regime` value or `general`.
        cells: Number of cells.
        trials: Number of trials by stage.
        language_model_tokens: Tokens its language models train on, all trials.
        steps: Optimiser steps of all trials.
        hours: Wall hours if one trial ran after the other.
        accelerator_hours: Hours × accelerators held (CPUs where `gpus` is 0).
    """

    regime: str
    cells: int
    trials: dict[Stage, int]
    language_model_tokens: int
    steps: int
    hours: float
    accelerator_hours: float


@dataclass(frozen=True, kw_only=True, slots=True)
class SweepPlan:
    """What a sweep will cost.

    Args:
        name: Name of the sweep.
        regimes: One row per regime, the general model first where it is trained.
        chain_hours: Hours of the longest chain of trials that wait for each other: no number of
            machines makes the sweep shorter.
        storage_gib: Token arrays, an encoder per language-model trial, predictions.
        peak_gib: Memory of the largest trial in training, GPU and host together. Scoring test
            documents on a GPU takes what there is, up to about 11 GiB, and halves where it must.
        assumptions: What the numbers rest on, a sentence each.
        warnings: What `run` would refuse.
    """

    name: str
    regimes: tuple[RegimePlan, ...]
    chain_hours: float
    storage_gib: float
    peak_gib: float
    assumptions: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def total(self) -> RegimePlan:
        """All rows added up."""
        return RegimePlan(
            regime="all",
            cells=sum(row.cells for row in self.regimes),
            trials={s: sum(row.trials.get(s, 0) for row in self.regimes) for s in Stage},
            language_model_tokens=sum(row.language_model_tokens for row in self.regimes),
            steps=sum(row.steps for row in self.regimes),
            hours=sum(row.hours for row in self.regimes),
            accelerator_hours=sum(row.accelerator_hours for row in self.regimes),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Rest:
    """What of a sweep is not recorded yet.

    Args:
        num_recorded: Trials that are recorded and count.
        num_left: Trials that a run would train.
        hours: Wall hours of these, one after the other.
    """

    num_recorded: int
    num_left: int
    hours: float


def plan_rest(
    spec: SweepSpec,
    num_recorded: Callable[[Cell, Stage], int],
    *,
    volumes: Volumes | None = None,
    rates: Rates | None = None,
) -> Rest:
    """Add up what a run would still train.

    Args:
        spec: The sweep.
        num_recorded: Trials of a cell and stage that are recorded and count.
        volumes: Corpus sizes; published ones where left out.
        rates: Measured ones; defaults where left out.
    """
    costs = TrialCosts.of(spec, volumes=volumes, rates=rates)
    recorded, left, seconds = 0, 0, 0.0
    for cell in make_cells(spec):
        for stage in cell.stages:
            wanted = num_trials(spec, cell, stage)
            count = min(wanted, num_recorded(cell, stage))
            recorded += count
            left += wanted - count
            seconds += (wanted - count) * costs.seconds(cell, stage)
    return Rest(num_recorded=recorded, num_left=left, hours=seconds / 3600)


def plan_sweep(
    spec: SweepSpec, *, volumes: Volumes | None = None, rates: Rates | None = None
) -> SweepPlan:
    """Add up what every trial of a sweep does.

    Args:
        spec: The sweep.
        volumes: Corpus sizes (`stored_volumes`); published ones where left out.
        rates: Measured ones; defaults where left out.
    """
    costs = TrialCosts.of(spec, volumes=volumes, rates=rates)
    cells = make_cells(spec)
    names = [name for name in (GENERAL, *spec.regimes) if any(c.regime == name for c in cells)]
    rows = tuple(
        _regime_plan(costs, [cell for cell in cells if cell.regime == name]) for name in names
    )
    chain_hours = _chain_seconds(costs, cells) / 3600
    return SweepPlan(
        name=spec.name,
        regimes=rows,
        chain_hours=chain_hours,
        storage_gib=_storage_bytes(costs, rows) / GIB,
        peak_gib=BASE_GIB + _peak_bytes(spec) / GIB,
        assumptions=(*_assumptions(costs), *_at_once(spec, chain_hours)),
        warnings=tuple(filter(None, [size_mistake(spec, costs.volumes)])),
    )


def budget_warnings(plan: SweepPlan, spec: SweepSpec, wall_hours: float) -> tuple[str, ...]:
    """What a budget will leave undone, a sentence each.

    Args:
        plan: The plan of the sweep.
        spec: The sweep.
        wall_hours: From the first trial to the last, where it is to run.
    """
    planned = {"hours": wall_hours, "accelerator_hours": plan.total.accelerator_hours}
    remedy = "raise it or plan less"
    if spec.order == "longest_first":
        remedy += ", or set order: smallest_first, which completes small sizes first"
    return tuple(
        f"budget.{name} is {limit:g}, {hours:,.2f} are planned: the run would end with cells "
        f"undone; {remedy}"
        for name, hours in planned.items()
        if (limit := getattr(spec.budget, name)) is not None and limit < hours
    )


def _regime_plan(costs: TrialCosts, cells: Sequence[Cell]) -> RegimePlan:
    trials = dict.fromkeys(Stage, 0)
    tokens, steps, seconds = 0, 0, 0.0
    for cell in cells:
        for stage in cell.stages:
            load, count = costs.load(cell, stage), num_trials(costs.spec, cell, stage)
            trials[stage] += count
            steps += count * load.steps
            tokens += count * load.tokens if stage is Stage.LANGUAGE_MODEL else 0
            seconds += count * costs.seconds(cell, stage)
    regime = cells[0].regime
    return RegimePlan(
        regime=regime,
        cells=len(cells),
        trials=trials,
        language_model_tokens=tokens,
        steps=steps,
        hours=seconds / 3600,
        accelerator_hours=seconds / 3600 * accelerators(costs.spec, regime),
    )


def _chain_seconds(costs: TrialCosts, cells: Sequence[Cell]) -> float:
    """The longest cell, its trials one after the other, behind the general model it waits for."""
    spec = costs.spec
    own = {
        cell.id: sum(
            math.ceil(num_trials(spec, cell, stage) / spec.search.parallel_trials)
            * costs.seconds(cell, stage)
            for stage in cell.stages
        )
        for cell in cells
    }
    return max(own[cell.id] + sum(own[needed] for needed in cell.needs) for cell in cells)


def _parameters(spec: SweepSpec) -> int:
    return lstm_weights(spec) + (spec.model.embedding + 1) * spec.model.vocabulary


def _storage_bytes(costs: TrialCosts, rows: Sequence[RegimePlan]) -> float:
    spec, volumes, test = costs.spec, costs.volumes, costs.documents_scored
    tokens = volumes.domain.pool_tokens + test * volumes.domain.tokens_per_document
    tokens += volumes.general.pool_tokens if volumes.general else 0
    encoders = sum(row.trials[Stage.LANGUAGE_MODEL] for row in rows) * _parameters(spec)
    predictions = sum(row.trials[Stage.FINAL] for row in rows) * test * 2
    best = len(spec.regimes) * spec.classifier.ensemble * _parameters(spec)
    models = 2 * best  # on the sweep's storage and in its record
    return 4.0 * (tokens + encoders + predictions + models)


def _peak_bytes(spec: SweepSpec) -> float:
    """Weights, gradients, two moments and best epoch; activations; logits and their gradient."""
    model, shape, classifier = spec.model, spec.language_model, spec.classifier
    units = 2 * model.embedding + model.hidden * (model.layers - 1)
    floats = [0.0]
    if any(regime != Regime.BOW for regime in spec.regimes):
        floats.append(classifier.batch * classifier.maximum_tokens * 20 * units)
    if any(Stage.LANGUAGE_MODEL in cell.stages for cell in make_cells(spec)):
        floats.append(shape.batch * shape.bptt * (2 * model.vocabulary + 12 * units))
    weights = 5 * _parameters(spec) if len(floats) > 1 else 0
    return 4.0 * (weights + max(floats))


def _assumptions(costs: TrialCosts) -> tuple[str, ...]:
    rates, volumes = costs.rates, costs.volumes
    lines = [
        f"{rates.language_model / 1e9:,.1f} GFLOP/s a language model, "
        f"{rates.classifier / 1e9:,.1f} a classifier, {rates.basis}"
    ]
    lines.append(
        f"{language_model_flop_per_token(costs.spec) / 1e6:,.1f} MFLOP per language-model token"
    )
    volume = volumes.domain
    lines.append(f"{volume.tokens_per_document:,.0f} tokens a domain document, {volume.basis}")
    if volumes.general:
        tokens = volumes.general.pool_tokens / 1e6
        lines.append(f"{tokens:,.1f} M tokens of general text, {volumes.general.basis}")
    lines.append("no trial is pruned: true costs are lower")
    return tuple(lines)


def _at_once(spec: SweepSpec, chain_hours: float) -> list[str]:
    """What trials of a study that run at once change: the longest chain, not the sum."""
    if spec.search.parallel_trials == 1:
        return []
    return [
        f"{spec.search.parallel_trials} trials of a study at once (`search.parallel_trials`) where "
        f"there is room: the longest chain of trials that wait for each other takes "
        f"{chain_hours:,.2f} h; hours one by one stay"
    ]
