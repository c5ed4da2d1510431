"""Verdicts: how often what a report says in words is right, in simulated sweeps of a known truth.

Prints the tables of docs/statistics.md in Markdown:

    python benchmarks/verdicts.py > docs/results/verdicts.md

Searches: each study draws its rates uniformly over the logarithm of the range; a trial is scored on
held-out labels of which a share is right, or wrong, for all trials of the study alike.
"""

import argparse
import platform
from collections import Counter
from collections.abc import Callable, Iterator

import numpy as np
import scipy

from sweeps.answer.search_curves import Verdict, search_curve
from sweeps.answer.tried import SearchPanel, Tried
from sweeps.spec.cells import Stage
from sweeps.spec.searches import Range

RANGE = Range(low=1e-3, high=2e-2, log=True)
SHARED = 0.7  # share of the held-out labels that all trials of a study have right or wrong alike

LANDSCAPES: dict[str, Callable[[float], float]] = {
    "all rates equal": lambda place: 0.8,
    "smooth, 3 points lost at an end": lambda place: 0.85 - 0.08 * ((place - 0.6) / 0.5) ** 2,
    "half of the range fails": lambda place: 0.85 if place < 0.5 else 0.5,
    "good in 15 % of the range": lambda place: 0.88 if abs(place - 0.6) < 0.075 else 0.7,
}
"""Accuracy at a place in the range, from 0 to 1 on its logarithmic scale."""


def true_gain(landscape: str, trials: int, draws: int = 40_000) -> float:
    """Points that the last trial brings on average where scores have no noise."""
    rng = np.random.default_rng(0)
    accuracies = np.vectorize(LANDSCAPES[landscape])(rng.random((draws, trials)))
    accuracies.sort(axis=1)
    return float(100 * (accuracies[:, -1] - accuracies[:, -2]).mean() / trials)


def simulated_panel(
    rng: np.random.Generator,
    landscape: str,
    *,
    trials: int,
    num_held_out: int,
    num_studies: int,
    shared: float = SHARED,
) -> SearchPanel:
    """The classifier searches of one regime."""
    num_shared = round(shared * num_held_out)
    studies = []
    for _ in range(num_studies):
        places = np.sort(rng.random(trials))
        accuracies = [LANDSCAPES[landscape](place) for place in places]
        alike = rng.random(num_shared)  # difficulties that all trials see
        hits = [
            (alike < accuracy).sum() + rng.binomial(num_held_out - num_shared, accuracy)
            for accuracy in accuracies
        ]
        studies.append(
            tuple(
                Tried(
                    rate=RANGE.low * (RANGE.high / RANGE.low) ** float(place),
                    score=float(100 * right / num_held_out),
                    size_index=0,
                    is_chosen=False,
                    is_pruned=False,
                )
                for place, right in zip(places, hits, strict=True)
            )
        )
    return SearchPanel(
        regime="domain",
        stage=Stage.CLASSIFIER,
        searched=RANGE,
        num_held_out=num_held_out,
        studies=tuple(studies),
    )


def search_verdicts(
    landscape: str, num_sweeps: int, *, shared: float = SHARED, **shape: int
) -> dict[Verdict, float]:
    """Share of sweeps with each verdict."""
    rng = np.random.default_rng([num_sweeps, *shape.values()])
    counts: Counter[Verdict] = Counter()
    for _ in range(num_sweeps):
        curve = search_curve(simulated_panel(rng, landscape, shared=shared, **shape))
        assert curve is not None, "every study has trials"
        counts[curve.verdict] += 1
    return {verdict: counts[verdict] / num_sweeps for verdict in Verdict}


def _shapes() -> Iterator[tuple[str, float, dict[str, int]]]:
    for landscape in LANDSCAPES:
        for num_held_out in (30, 100, 500):
            for trials in (3, 8):
                for num_studies in (2, 6):
                    shape = {
                        "trials": trials,
                        "num_held_out": num_held_out,
                        "num_studies": num_studies,
                    }
                    if landscape == "all rates equal":
                        yield landscape, 0.0, shape
                    yield landscape, SHARED, shape


def print_searches(num_sweeps: int) -> None:
    """Print how often a search is called enough, and how often not."""
    print("\n## Was the search enough?\n")
    print(
        "| rates | labels alike | held-out labels | trials | studies | last trial brings | "
        "enough | not enough | cannot tell |"
    )
    print("| :--- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for landscape, shared, shape in _shapes():
        found = search_verdicts(landscape, num_sweeps, shared=shared, **shape)
        shares = " | ".join(f"{100 * share:.0f} %" for share in found.values())
        print(
            f"| {landscape} | {100 * shared:.0f} % | {shape['num_held_out']} | {shape['trials']} | "
            f"{shape['num_studies']} | {true_gain(landscape, shape['trials']):.2f} | {shares} |"
        )


def main() -> None:
    """Print the tables."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--sweeps", type=int, default=500)
    chosen = arguments.parse_args()
    print("# How often verdicts are right\n")
    print(
        f"`python benchmarks/verdicts.py --sweeps {chosen.sweeps}` · python "
        f"{platform.python_version()}, numpy {np.__version__}, scipy {scipy.__version__}"
    )
    print_searches(chosen.sweeps)


if __name__ == "__main__":
    main()
