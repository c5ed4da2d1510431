"""Straight: what intervals between measured sizes are worth where the true curve is not straight.

Prints docs/results/straight.md:

    python benchmarks/straight.py > docs/results/straight.md

Curves count as straight over the logarithm of size between measured sizes. Simulated sweeps have
three sizes and a truth that grows with the logarithm of size, as a power law levels off, or with
size itself; every cell is moved by its seed and by itself, as in coverage.py. Counted is how often
the interval of the size that reaches 85 % holds the truth, whether its upper end is enough, and
whether the next measured size is.
"""

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sweeps.answer.crossings import find_crossing, reaching
from sweeps.answer.scores import Scores

SIZES = (500, 4000, 16_000)
LOWEST, HIGHEST, TARGET = 0.80, 0.87, 0.85
SEED_SD, CELL_SD = 0.008, 0.008
SEEDS, SWEEPS = (2, 3, 5, 10), 1000
SHAPES: dict[str, Callable[[float], float]] = {
    "the logarithm of size": math.log,
    "a power law, -size^-0.5": lambda size: -(size**-0.5),
    "the root of size": math.sqrt,
    "size": lambda size: size,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Held:
    """Shares of the sweeps that give an interval with an upper end: what of it holds."""

    given: float
    interval: float
    end: float
    measured: float


def truth(shape: Callable[[float], float]) -> tuple[dict[int, float], float]:
    """The mean at each size, and the size that reaches the target."""
    low, high = shape(SIZES[0]), shape(SIZES[-1])
    means = {n: LOWEST + (HIGHEST - LOWEST) * (shape(n) - low) / (high - low) for n in SIZES}
    sizes = np.geomspace(SIZES[0], SIZES[-1], 100_001)
    share = (TARGET - LOWEST) / (HIGHEST - LOWEST)
    values = np.array([(shape(float(n)) - low) / (high - low) for n in sizes])
    return means, float(sizes[np.searchsorted(values, share)])


def held(shape: Callable[[float], float], num_seeds: int) -> Held:
    """Simulate sweeps and count."""
    rng = np.random.default_rng(1)
    means, right = truth(shape)
    rows = []
    for _ in range(SWEEPS):
        shared = rng.normal(0, SEED_SD, num_seeds)
        values = np.array([m + shared + rng.normal(0, CELL_SD, num_seeds) for m in means.values()])
        points = tuple(("ulm+domain", size) for size in SIZES)
        scores = Scores(points=points, seeds=tuple(range(num_seeds)), values=values)
        crossing = find_crossing(scores, SIZES, reaching("ulm+domain", TARGET))
        assert crossing is not None
        assert crossing.interval is not None
        interval = crossing.interval
        if interval.high < math.inf:
            above = next(size for size in SIZES if size >= interval.high)
            is_in = interval.low <= right <= interval.high
            rows.append((is_in, interval.high >= right, above >= right))
    counts = np.array(rows, dtype=np.float64).mean(axis=0) if rows else np.full(3, np.nan)
    return Held(
        given=len(rows) / SWEEPS,
        interval=float(counts[0]),
        end=float(counts[1]),
        measured=float(counts[2]),
    )


def main() -> None:
    """Print the table."""
    print("# Intervals between measured sizes where the true curve is not straight\n")
    print(
        f"`python benchmarks/straight.py`: {SWEEPS:,} simulated sweeps a line, sizes "
        f"{', '.join(f'{n:,}' for n in SIZES)}, accuracy {LOWEST:.0%} to {HIGHEST:.0%}, target "
        f"{TARGET:.0%}; seeds move all cells by {100 * SEED_SD:g} points, cells by "
        f"{100 * CELL_SD:g}. Of the sweeps whose interval has an upper end: how often it holds the "
        "truth, whether its upper end is enough, and the next measured size.\n"
    )
    print("| accuracy grows with | truth | seeds | have an end | holds | end | measured |")
    print("| :--- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for name, shape in SHAPES.items():
        for num_seeds in SEEDS:
            found = held(shape, num_seeds)
            cells = (found.given, found.interval, found.end, found.measured)
            shown = " | ".join(f"{100 * share:.1f} %" for share in cells)
            print(f"| {name} | {truth(shape)[1]:,.0f} | {num_seeds} | {shown} |")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
