"""Scores from a table, for tests: {(regime, size): accuracies by seed}."""

from dataclasses import replace

import numpy as np

from sweeps.answer.crossings import find_crossing
from sweeps.answer.extrapolation import extrapolate
from sweeps.answer.findings import find, make_sweep_scores
from sweeps.answer.results import ResultRow
from sweeps.answer.scores import make_scores
from sweeps.answer.search_curves import search_curve
from sweeps.answer.tried import SearchPanel, Tried
from sweeps.paths import SweepPaths
from sweeps.report.caveats import caveats
from sweeps.report.evidence import Evidence
from sweeps.spec.cells import Stage
from sweeps.spec.searches import Range
from tests.sweeps.example_sweep import replayed


def rows_of(table):
    """Finished rows; None is a cell that is not finished."""
    return [
        ResultRow(
            regime=regime,
            size=size,
            seed=seed,
            test_accuracy=value,
            status="unstarted" if value is None else "finished",
            cell=f"{regime}-{size}-{seed}",
        )
        for (regime, size), values in table.items()
        for seed, value in enumerate(values)
    ]


def scores_of(table, hits=None):
    """Their scores."""
    return make_scores(rows_of(table), hits)


def findings_of(spec, rows):
    """What the rows of a sweep show."""
    return find(spec, make_sweep_scores(spec, rows))


def evidence_of(spec, rows, hits=None, panels=(), **known):
    """All that is known where nothing but these rows is, and what is given by name."""
    scores = make_sweep_scores(spec, rows, hits)
    findings = find(spec, scores)
    lead = findings.lead
    evidence = Evidence(
        paths=SweepPaths(storage="nowhere", name=spec.name),
        ledger=replayed(spec, ()),
        rows=tuple(rows),
        scores=scores.settled(),
        findings=findings,
        model=None if lead is None else extrapolate(scores.settled(), lead.regime, spec.sizes),
        panels=panels,
        classes=None,
        unpredicted=(),
        search_curves=tuple(filter(None, map(search_curve, panels))),
        tokens=None,
        pool_documents=None,
        summary={},
    )
    return replace(evidence, **known)


def notes_of(spec, rows, **known):
    """What a reader of such a sweep is told to know."""
    return caveats(evidence_of(spec, rows, **known))


def curve(regime, accuracies, around=(0.0, 0.002, -0.002)):
    """A curve {size: mean}, the same scatter of seeds at every size."""
    return {(regime, size): [mean + a for a in around] for size, mean in accuracies.items()}


GRID = (500, 2000, 8000, 32_000)


def sweep_of(num_seeds=8, scatter=0.002, **means):
    """Every regime at every size, all seeds scattered alike but for a little of each cell's own.

    Args:
        num_seeds: Seeds.
        scatter: Standard deviation of a cell; seeds themselves have 0.005.
        means: Regime → mean, or one mean per size; `both` is `ulm+domain`.
    """
    rng = np.random.default_rng(0)
    shared, table = rng.normal(0, 0.005, num_seeds), {}
    for name, values in means.items():
        regime = "ulm+domain" if name == "both" else name
        sizes = GRID if isinstance(values, tuple) else (None,)
        for size, mean in zip(sizes, np.atleast_1d(values), strict=True):
            table[regime, size] = mean + shared + rng.normal(0, scatter, num_seeds)
    return table


def crossing_of(table, balance, sizes=GRID):
    """Where a balance of a table passes zero."""
    return find_crossing(scores_of(table), sizes, balance)


PASSES = sweep_of(
    bow=0.817, ulm=0.80, domain=(0.6, 0.75, 0.85, 0.90), both=(0.78, 0.79, 0.80, 0.805)
)
"""`domain` passes TF-IDF, `ulm+domain` does not."""
GENERAL = sweep_of(
    bow=0.817, ulm=0.85, domain=(0.6, 0.7, 0.75, 0.80), both=(0.80, 0.83, 0.86, 0.88)
)
"""`ulm` is above TF-IDF without domain text."""
SOONER = sweep_of(
    bow=0.817, ulm=0.80, domain=(0.6, 0.87, 0.89, 0.91), both=(0.80, 0.84, 0.86, 0.88)
)
"""`domain` needs less text than `ulm+domain` for a target, more to pass TF-IDF."""

TOO_SHORT = SearchPanel(
    regime="domain",
    stage=Stage.CLASSIFIER,
    searched=Range(low=1, high=2),
    num_held_out=1000,
    studies=2
    * (
        tuple(
            Tried(rate=rate, score=score, size=100, is_chosen=False, is_pruned=False)
            for rate, score in ((0.01, 60.0), (0.02, 70.0), (0.03, 80.0))
        ),
    ),
)
"""A search whose last trial still brought a gain."""
