"""Scores from a table, for tests: {(regime, size): accuracies by seed}."""

from sweeps.answer.results import ResultRow
from sweeps.answer.scores import make_scores


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


def curve(regime, accuracies, around=(0.0, 0.002, -0.002)):
    """A curve {size: mean}, the same scatter of seeds at every size."""
    return {(regime, size): [mean + a for a in around] for size, mean in accuracies.items()}
