"""How often what is said beyond the largest size holds, for curves that do and do not level off.

    python benchmarks/beyond.py --sweeps 200 > docs/results/beyond.md

Simulated sweeps of one regime: seeds differ by 0.8 points at every size alike and by 0.4 at each.
Every curve rises by 6 points from the smallest to the largest size to 84 %; asked is twice the
largest size. Columns: how often the range of the accuracy and that of the gain hold the truth, how
wide they are on average, and in how many sweeps something is said at all.
"""

import argparse
import math
import platform
from collections.abc import Callable
from importlib.metadata import version
from statistics import fmean

import numpy as np

from sweeps.advice.collecting import Outlook, outlook_at
from sweeps.answer.extrapolation import extrapolate
from sweeps.answer.scores import Scores

Shape = Callable[[float], float]

TOP, RISE = 0.84, 0.06
SEED_SD, CELL_SD = 0.008, 0.004
GRIDS = ((500, 4000, 16_000), (500, 1000, 2000, 4000, 16_000))
SHAPES: dict[str, Shape] = {
    "logarithm": math.log,
    "power law with floor, a = 0.25": lambda n: -(n**-0.25),
    "power law with floor, a = 0.5": lambda n: -(n**-0.5),
    "power law with floor, a = 1": lambda n: -1 / n,
    "exponential with floor, B = 4,000": lambda n: -math.exp(-n / 4000),
    "exponential with floor, B = 2,000": lambda n: -math.exp(-n / 2000),
}
HEADER = "| curve | sizes | seeds | accuracy | width | gain | width | said |"
RULE = "| :--- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"


def truth(shape: Shape, sizes: tuple[int, ...]) -> Shape:
    """The accuracy at a size."""
    scale = RISE / (shape(sizes[-1]) - shape(sizes[0]))
    return lambda n: TOP + scale * (shape(n) - shape(sizes[-1]))


def outlooks(curve: Shape, sizes: tuple[int, ...], num_seeds: int, sweeps: int) -> list[Outlook]:
    """What is said at twice the largest size, in the sweeps where anything is."""
    rng, found = np.random.default_rng(0), []
    points = tuple(("domain", n) for n in sizes)
    means = np.array([curve(n) for n in sizes])[:, None]
    for _ in range(sweeps):
        of_seeds = rng.normal(0, SEED_SD, (1, num_seeds))
        values = means + of_seeds + rng.normal(0, CELL_SD, (len(sizes), num_seeds))
        scores = Scores(points=points, seeds=tuple(range(num_seeds)), values=values)
        model = extrapolate(scores, "domain", sizes)
        said = outlook_at((), scores, "domain", sizes, 2 * sizes[-1], model)
        if isinstance(said, Outlook):
            found.append(said)
    return found


def row(name: str, sizes: tuple[int, ...], num_seeds: int, sweeps: int) -> str:
    """One line of the table."""
    curve = truth(SHAPES[name], sizes)
    said = outlooks(curve, sizes, num_seeds, sweeps)
    at_twice = curve(2 * sizes[-1])
    cells = [name, str(len(sizes)), str(num_seeds)]
    for wanted, ranges in (
        (at_twice, [one.accuracy for one in said]),
        (at_twice - curve(sizes[-1]), [one.gain for one in said if one.gain is not None]),
    ):
        held = fmean(one.low <= wanted <= one.high for one in ranges)
        width = fmean(one.high - one.low for one in ranges)
        cells += [f"{held:.1%}", f"{100 * width:.1f} points"]
    return f"| {' | '.join([*cells, f'{len(said) / sweeps:.0%}'])} |"


def main() -> None:
    """Print the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sweeps", type=int, default=200)
    sweeps = parser.parse_args().sweeps
    print("# How often what is said beyond the largest size holds\n")
    print(
        f"`python benchmarks/beyond.py --sweeps {sweeps}` · python {platform.python_version()},",
        end=" ",
    )
    print(f"numpy {version('numpy')}\n\n{HEADER}\n{RULE}")
    for sizes in GRIDS:
        for name in SHAPES:
            for num_seeds in (3, 5):
                print(row(name, sizes, num_seeds, sweeps), flush=True)


if __name__ == "__main__":
    main()
