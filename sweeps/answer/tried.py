"""Tried: what the search tried, score against learning rate (pure).

A ledger comes in; one panel per regime and stage goes out, which search curves and figures read
from. Classifier scores are in percent, as people read them.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import isfinite

from sweeps.answer.results import group_by_cell
from sweeps.search.ledger import Ledger
from sweeps.search.records import StudyKey, TrialRecord, TrialState
from sweeps.spec.cells import Cell, Stage
from sweeps.spec.searches import Range
from sweeps.spec.spaces import space_of
from ulm.regimes import Regime


@dataclass(frozen=True, kw_only=True, slots=True)
class Tried:
    """One trial of a search.

    Args:
        rate: Its learning rate, or C for `bow`.
        score: Validation loss, or validation accuracy in percent; None where it failed.
        size: Domain documents; None where the regime has no size axis.
        is_chosen: Whether later stages build on it.
        is_pruned: Whether it was stopped early; its score is then that of its last epoch.
    """

    rate: float
    score: float | None
    size: int | None
    is_chosen: bool
    is_pruned: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchPanel:
    """The trials of one regime and stage.

    Args:
        regime: The regime.
        stage: The stage.
        searched: Range of the searched value.
        num_held_out: Labels that a score of a classifier is a mean over; None for language models.
        studies: One tuple of `Tried` per study, ascending in rate.
    """

    regime: str
    stage: Stage
    searched: Range
    num_held_out: int | None
    studies: tuple[tuple[Tried, ...], ...]


def _rate_name(regime: str) -> str:
    return "inverse_regularization" if regime == Regime.BOW else "learning_rate"


def _score(record: TrialRecord, stage: Stage) -> float | None:
    value = None
    if record.state is TrialState.FINISHED and record.outcome is not None:
        value = record.outcome.value
    elif record.state is TrialState.PRUNED and record.progress:
        value = record.progress[-1].value
    if value is None or not isfinite(value):
        return None
    return value if stage is Stage.LANGUAGE_MODEL else 100 * value


def _tried(
    ledger: Ledger, cell: Cell, stage: Stage, records: Iterable[TrialRecord]
) -> tuple[Tried, ...]:
    chosen = ledger.chosen(StudyKey(cell_id=cell.id, stage=stage))
    name = _rate_name(cell.regime)
    tried = [
        Tried(
            rate=record.params[name],
            score=_score(record, stage),
            size=cell.size,
            is_chosen=chosen is not None and record.key == chosen.key,
            is_pruned=record.state is TrialState.PRUNED,
        )
        for record in records
        if record.key.study.stage is stage and record.state.counts and name in record.params
    ]
    return tuple(sorted(tried, key=lambda trial: trial.rate))


def search_panels(ledger: Ledger) -> tuple[SearchPanel, ...]:
    """Score against learning rate, one panel per regime and stage that searched more than one.

    A panel needs a study with two ended trials; `final` and fixed rates have nothing to show.
    """
    spec, groups = ledger.spec, group_by_cell(ledger.records)
    panels = []
    for stage in (Stage.LANGUAGE_MODEL, Stage.CLASSIFIER):
        num_held_out = spec.labels.num_held_out if stage is Stage.CLASSIFIER else None
        for regime in spec.regimes:
            own = [c for c in ledger.cells if c.regime == regime.value and stage in c.stages]
            studies = tuple(
                trials
                for cell in own
                if (trials := _tried(ledger, cell, stage, groups.get(cell.id, ())))
            )
            if any(len(trials) > 1 for trials in studies):
                searched = space_of(spec, own[0], stage)[_rate_name(regime.value)]
                panels.append(
                    SearchPanel(
                        regime=regime.value,
                        stage=stage,
                        searched=searched,
                        num_held_out=num_held_out,
                        studies=studies,
                    )
                )
    return tuple(panels)
