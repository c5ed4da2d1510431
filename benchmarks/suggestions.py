"""Suggestions: how far from the best rate a study of few trials stays, by who suggests its rates.

    python benchmarks/suggestions.py [--studies 1000]

Simulated studies whose best rate lies anywhere in the middle 85 % of the range. Ours are the
suggestions of a sweep; the others are Optuna's TPE as it comes (ten random trials first) and after
three, the middle of the range among them, as this project had it. Printed is what the chosen trial
loses against the best rate, without noise: nats, or points of accuracy.
"""

import argparse
import statistics
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import optuna
from table import Row, machine, print_table

from sweeps.search.records import Outcome, StudyKey, TrialKey, TrialRecord, TrialState
from sweeps.search.studies import OptunaStudies
from sweeps.search.suggestions import Question
from sweeps.spec.cells import Stage
from sweeps.spec.searches import Range

STUDY = StudyKey(cell_id="domain-n500-s0-00000000", stage=Stage.LANGUAGE_MODEL)
SPACE = {
    "learning_rate": Range(low=1e-3, high=1.0, log=True),
    "decay": Range(low=1.0, high=2.0),
}
TRIALS = (3, 4, 8, 16)
WITHOUT = 0.5  # lost where every trial diverged


@dataclass(frozen=True, kw_only=True, slots=True)
class Landscape:
    """What a place costs.

    Args:
        what: In words.
        best: Where the best rate lies, lowest and highest.
        loss: Of the distance of the rate and of the decay from the best.
        noise: Standard deviation of what a study sees.
        edge: Distance above the best at which trainings diverge.
        has_decay: Whether the decay is searched too.
    """

    what: str
    best: tuple[float, float]
    loss: Callable[[float, float], float]
    noise: float
    edge: float
    has_decay: bool = False


def _steep(distance: float, factor: float) -> float:
    return distance**2 * (1 if distance < 0 else factor)


def _nats(rate: float, decay: float) -> float:
    return 0.4 * (_steep(rate, 3) + 0.1 * decay**2)


def _points(rate: float, decay: float) -> float:
    return 25 * (1 - float(np.exp(-(_steep(rate, 2) + 0.1 * decay**2) / (2 * 0.35**2))))


LANDSCAPES = (
    Landscape(what="language model, nats", best=(0.1, 0.95), loss=_nats, noise=0.003, edge=0.3),
    Landscape(
        what="half of it diverges, nats", best=(0.05, 0.5), loss=_nats, noise=0.003, edge=0.1
    ),
    Landscape(what="classifier, points", best=(0.1, 0.95), loss=_points, noise=2.5, edge=9.0),
    Landscape(
        what="classifier with decay, points",
        best=(0.1, 0.95),
        loss=_points,
        noise=2.5,
        edge=9.0,
        has_decay=True,
    ),
)

Suggest = Callable[[Question], dict[str, float]]


def optuna_after(startup: int, *, has_middle: bool) -> Suggest:
    """TPE over a question's history after so many random trials."""

    def suggest(question: Question) -> dict[str, float]:
        if has_middle and question.number == 0:
            return {name: interval.at(0.5) for name, interval in question.space.items()}
        sampler = optuna.samplers.TPESampler(
            seed=question.seed, n_startup_trials=startup, multivariate=True, constant_liar=False
        )
        study = optuna.create_study(sampler=sampler)
        ranges = {
            name: optuna.distributions.FloatDistribution(each.low, each.high, log=each.log)
            for name, each in question.space.items()
        }
        for record in question.history:
            value = None if record.outcome is None else record.outcome.value
            is_lost = value is None  # told as the worst, as ours is
            state = optuna.trial.TrialState["PRUNED" if is_lost else "COMPLETE"]
            study.add_trial(
                optuna.trial.create_trial(
                    value=value, state=state, params=dict(record.params), distributions=ranges
                )
            )
        return dict(study.ask(ranges).params)

    return suggest


def lost(suggest: Suggest, landscape: Landscape, trials: int, seed: int) -> float:
    """What the trial that a study chooses loses against the best rate."""
    rng = np.random.default_rng(seed)
    best, decay = rng.uniform(*landscape.best), rng.uniform(0.1, 0.9)
    noise = rng.normal(0, landscape.noise, trials)
    space = {name: each for name, each in SPACE.items() if landscape.has_decay or name != "decay"}
    history: list[TrialRecord] = []
    seen: list[tuple[float, float]] = []
    for number in range(trials):
        params = suggest(
            Question(
                number=number,
                space=space,
                maximize=False,
                seed=1000 * seed + number,
                history=tuple(history),
            )
        )
        rate = float(np.log(params["learning_rate"] / 1e-3) / np.log(1e3)) - best
        loss = landscape.loss(rate, params.get("decay", 1 + decay) - 1 - decay)
        is_lost = rate > landscape.edge
        if not is_lost:
            seen.append((loss + noise[number], loss))
        history.append(
            TrialRecord(
                key=TrialKey(study=STUDY, number=number),
                params=params,
                state=TrialState.FAILED if is_lost else TrialState.FINISHED,
                started_at=0.0,
                outcome=None if is_lost else Outcome(value=loss + noise[number]),
            )
        )
    return min(seen)[1] if seen else WITHOUT


def rows(studies: int, ours: Suggest) -> Iterator[Row]:
    """A row for each landscape and number of trials."""
    before, stock = optuna_after(3, has_middle=True), optuna_after(10, has_middle=False)
    for landscape in LANDSCAPES:
        for trials in TRIALS:
            means = [
                statistics.mean(lost(each, landscape, trials, seed) for seed in range(studies))
                for each in (ours, before, stock)
            ]
            digits = 4 if "nats" in landscape.what else 2
            shown = [f"{mean:.{digits}f}" for mean in means]
            less = [f"{mean / means[0]:.1f} ×" for mean in means[1:]]
            yield Row(
                what=f"{landscape.what}, {trials} trials",
                against=f"TPE after 3: {shown[1]}; as it comes: {shown[2]}",
                reach="less",
                measured=f"{shown[0]}, {less[0]} and {less[1]} less",
                reached=means[0] < min(means[1:]),
            )


def main() -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=1000)
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    print(machine("optuna"), "\n")
    with tempfile.TemporaryDirectory() as folder:
        ours = OptunaStudies(f"sqlite:///{Path(folder) / 'ledger.db'}", "simulated")
        print_table(rows(arguments.studies, ours.suggest))
        ours.close()


if __name__ == "__main__":
    main()
