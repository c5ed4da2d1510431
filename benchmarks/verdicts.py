"""Verdicts: how often what a report says in words is right, in simulated sweeps of a known truth.

Prints the tables of docs/statistics.md in Markdown:

    python benchmarks/verdicts.py > docs/results/verdicts.md

Searches: each study draws its rates uniformly over the logarithm of the range; a trial is scored on
held-out labels of which a share is right, or wrong, for all trials of the study alike.

Claims: five regimes, one of them at two sizes, whose scores are drawn from one distribution; every
claim is wrong.
"""

import argparse
import platform
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import scipy
from scipy.stats import binom

from sweeps.answer.paired import POWER, noether_seeds
from sweeps.answer.scores import Point, Scores
from sweeps.answer.search_curves import Verdict, search_curve
from sweeps.answer.statistics import (
    Difference,
    difference,
    least_probability,
    win_interval,
)
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

TOP: Point = ("ulm+domain", 1600)
EQUALS: tuple[Point, ...] = (
    *((regime, None) for regime in ("bow", "scratch", "ulm")),
    ("domain", 1600),
    ("ulm+domain", 400),
    TOP,
)


def true_gain(landscape: str, trials: int) -> float:
    """Points that the last trial brings on average where scores have no noise."""
    rng = np.random.default_rng(0)
    accuracies = np.vectorize(LANDSCAPES[landscape])(rng.random((40_000, trials)))
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
                    size=None,
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


def claims_of_equals(num_sweeps: int, num_seeds: int, *, together: bool = True) -> float:
    """Share of sweeps of equal regimes in which the certainty table has a claim.

    Args:
        num_sweeps: Sweeps.
        num_seeds: Seeds of each.
        together: By the rule; else as if each comparison were the only one.
    """
    rng = np.random.default_rng([num_sweeps, num_seeds])
    count = 0
    for _ in range(num_sweeps):
        values = rng.normal(0.8, 0.01, (len(EQUALS), num_seeds))
        scores = Scores(points=EQUALS, seeds=tuple(range(num_seeds)), values=values)
        found = [difference(scores, TOP, other) for other in EQUALS if other != TOP]
        compared = [one if together else alone(one) for one in found if one is not None]
        count += any(one.is_claimed for one in compared)
    return count / num_sweeps


def alone(found: Difference) -> Difference:
    """The same with an interval of its own 95 %."""
    interval = win_interval(found.wins, found.num_seeds)
    return replace(found, probability=replace(found.probability, interval=interval))


def seeds_for_power(probability: float, num_comparisons: int) -> int:
    """The fewest seeds with which a win probability is claimed with a chance of 95 %."""
    return next(n for n in range(1, 1000) if power(probability, n, num_comparisons) >= POWER)


def power(probability: float, num_seeds: int, num_comparisons: int) -> float:
    """Chance of a claim."""
    wins = np.arange(num_seeds + 1, dtype=np.float64)
    is_claimed = least_probability(wins, num_seeds, num_comparisons) > 0.5
    return float(binom.pmf(wins, num_seeds, probability)[is_claimed].sum())


def print_claims(num_sweeps: int) -> None:
    """Print how often equal regimes are claimed to differ, and the seeds of true claims."""
    print("\n## Claims where all regimes are equal\n")
    print("| seeds | sweeps with a claim | each row by itself |")
    print("| ---: | ---: | ---: |")
    for num_seeds in (5, 6, 8, 10, 20):
        shares = [claims_of_equals(num_sweeps, num_seeds, together=flag) for flag in (True, False)]
        print(f"| {num_seeds} | {100 * shares[0]:.1f} % | {100 * shares[1]:.1f} % |")
    print("\n## Seeds for a claim with a chance of 95 %\n")
    print("| P(better) | one comparison | five | after Noether | its chance: one | five |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: |")
    for probability in (0.7, 0.75, 0.8, 0.9, 1.0):
        count = noether_seeds(probability)
        assert count is not None, "none of these is one half"
        one, five = (seeds_for_power(probability, compared) for compared in (1, 5))
        chances = (f"{100 * power(probability, count, compared):.0f} %" for compared in (1, 5))
        print(f"| {probability:.2f} | {one} | {five} | {count} | {' | '.join(chances)} |")


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
    print_claims(20 * chosen.sweeps)


if __name__ == "__main__":
    main()
