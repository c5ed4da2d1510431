"""Coverage: how often 95 % intervals hold the truth, in simulated sweeps whose truth is known.

Prints the tables of docs/statistics.md in Markdown:

    python benchmarks/coverage.py > docs/results/coverage.md

Each simulated sweep has the published grid, 500 to 64,000 documents, with growth such that 33 % of
the text gives 75 % of the gain; every cell is moved by its seed (shared by all points), by itself
(normal, standard deviations below) and by its test documents, whose difficulty all cells share.
What is asked of a curve is its log-linear interpolation, as the answer states it.
"""

import argparse
import math
import platform
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import scipy
from scipy.special import ndtri, stdtrit

from sweeps.advice.collecting import outlook_at
from sweeps.answer.crossings import find_crossing, overtaking, reaching
from sweeps.answer.estimates import LEVEL, NORMAL_QUANTILE, Interval
from sweeps.answer.extrapolation import extrapolate
from sweeps.answer.gain import share_of_gain
from sweeps.answer.scores import Point, Scores
from sweeps.answer.statistics import difference

SIZES = tuple(500 * 2**k for k in range(8))
LARGEST = SIZES[-1]
DRAWS = 1  # sweeps drawn with seed 0 were used to choose constants, these were not
SEED_SD, CELL_SD = 0.008, 0.008  # in accuracy; IMDB with 500 labels moves by about this much
ULM, BOW = 0.80, 0.817
GAIN = 0.09  # of 64,000 documents over `ulm`
PER_LOG = 0.25 / -math.log(0.33)  # share of the gain per unit of ln n: 75 % at 33 %
TARGET = 0.85
MIDDLE = 8000
TRUE_FORM = "logarithm"
EXTRAPOLATED = 4  # every so many sweeps: it takes as long as all else
# Three regimes by what they are above `ulm+domain` at each size. `domain` meets it at 32,000; the
# second is level with it at 500, as in the published figure, and passes it at 40,317; the third
# stays a little above.
FROM_A_TIE, JUST_ABOVE = "domain, from a tie", "domain, just above"
LEADS = {
    "domain": tuple(0.012 * math.log2(size / 32_000) for size in SIZES),
    FROM_A_TIE: (0.0, -0.03, -0.04, -0.035, -0.025, -0.012, -0.005, 0.01),
    JUST_ABOVE: (0.003,) * len(SIZES),
}
ONE_RUN = "one run more at the size advised for 85 % (97.5 %)"
SHARED_DIFFICULTY = 0.7  # share of a document's difficulty that all classifiers share


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """An interval that claims to hold the truth, and the truth; None where none is given."""

    name: str
    interval: Interval | None
    truth: float

    @property
    def is_open(self) -> bool:
        """Whether an end is not set by the data."""
        return self.interval is not None and (
            self.interval.high == math.inf or self.interval.low in (0.0, -math.inf)
        )


def true_accuracy(point: Point) -> float:
    """The accuracy that a point has on average over seeds and documents."""
    regime, size = point
    if size is None:
        return {"bow": BOW, "ulm": ULM}[regime]
    lead = LEADS[regime][SIZES.index(size)] if regime in LEADS else 0.0
    return ULM + GAIN * (1 + PER_LOG * math.log(size / LARGEST)) + lead


POINTS: tuple[Point, ...] = (
    ("bow", None),
    ("ulm", None),
    *((regime, size) for regime in ("ulm+domain", *LEADS) for size in SIZES),
)


def simulate(
    rng: np.random.Generator, num_seeds: int, num_documents: int, num_sampled: int = 0
) -> Scores:
    """One sweep; with 0 documents the test set is endless and predictions are unknown.

    Where some are sampled (`test.documents`) each seed is scored on so many of them.
    """
    truth = np.array([true_accuracy(point) for point in POINTS])[:, None]
    values = truth + rng.normal(0, SEED_SD, (1, num_seeds))
    values = values + rng.normal(0, CELL_SD, (len(POINTS), num_seeds))
    hits, seen = None, None
    if num_documents:
        shared = math.sqrt(SHARED_DIFFICULTY) * rng.standard_normal(num_documents)
        own = rng.standard_normal((*values.shape, num_documents), dtype=np.float32)
        hits = shared + math.sqrt(1 - SHARED_DIFFICULTY) * own < ndtri(values)[:, :, None]
        values = hits.mean(axis=2)
    if hits is not None and num_sampled:
        seen = rng.random((num_seeds, num_documents)).argsort(axis=1) < num_sampled
        hits = hits & seen
        values = hits.sum(axis=2) / num_sampled
    seeds = tuple(range(num_seeds))
    return Scores(points=POINTS, seeds=seeds, values=values, hits=hits, seen=seen)


def claims(scores: Scores) -> Iterator[Claim]:
    """What the answer would say about one sweep."""
    top, bow = ("ulm+domain", MIDDLE), ("bow", None)
    truth = true_accuracy(top)
    yield Claim(name="curve mean", interval=scores.contrast([top], [1.0]).interval, truth=truth)
    found = difference(scores, top, bow)
    assert found is not None, "every point is there"
    yield Claim(name="paired difference", interval=found.accuracy.interval, truth=truth - BOW)
    gain = share_of_gain(scores, SIZES, (0.75,))
    share = dict(gain.shares).get(MIDDLE)
    yield Claim(
        name="share of the gain",
        interval=None if share is None else share.interval,
        truth=(truth - ULM) / GAIN,
    )
    needed = gain.needed[0].crossing.interval if gain.needed else None
    yield Claim(name="documents for 75 %", interval=needed, truth=0.33 * LARGEST)
    target = find_crossing(scores, SIZES, reaching("ulm+domain", TARGET))
    at = LARGEST * math.exp(((TARGET - ULM) / GAIN - 1) / PER_LOG)
    yield Claim(name="documents for 85 %", interval=target.interval if target else None, truth=at)
    yield from crossing_claims(scores)


def crossing_claims(scores: Scores) -> Iterator[Claim]:
    """Where regimes pass `ulm+domain`: 0 is from the smallest size on, infinity not within them."""
    plain, tied, close = (overtaking(regime, "ulm+domain") for regime in LEADS)
    for name, balance, truth in (
        ("crossing of regimes", plain, 32_000.0),
        ("crossing after a tie at 500", tied, 32_000 * 2 ** (1 / 3)),
        ("not within the sizes", replace(plain, constant=-0.024), math.inf),
        ("0.3 points above at every size", close, 0.0),
    ):
        found = find_crossing(scores, SIZES, balance)
        yield Claim(name=name, interval=found.interval if found else None, truth=truth)


def bootstrap_claim(scores: Scores, rng: np.random.Generator) -> Claim:
    """The percentile bootstrap over seeds of one mean, for comparison: not used."""
    top = ("ulm+domain", MIDDLE)
    values = scores.paired(top)[0]
    means = values[rng.integers(len(values), size=(1000, len(values)))].mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    interval = Interval(low=float(low), high=float(high))
    return Claim(
        name="curve mean, percentile bootstrap (not used)",
        interval=interval,
        truth=true_accuracy(top),
    )


def one_run_claims(scores: Scores, rng: np.random.Generator) -> Iterator[Claim]:
    """Where one run more is, and whether with 97.5 % it reaches a target as it is advised to."""
    scatter = rng.normal(0, math.hypot(SEED_SD, CELL_SD))
    top = ("ulm+domain", MIDDLE)
    truth = true_accuracy(top) + scatter
    yield Claim(name="one run more", interval=scores.one_run(top), truth=truth)
    found = find_crossing(scores, SIZES, reaching("ulm+domain", TARGET))
    enough = math.inf if found is None or found.for_one_run is None else found.for_one_run
    truth = ULM + GAIN * (1 + PER_LOG * math.log(min(enough, LARGEST) / LARGEST)) + scatter
    promised = Interval(low=TARGET, high=1.0) if enough < math.inf else None
    yield Claim(name=ONE_RUN, interval=promised, truth=truth)


def extrapolation_claims(scores: Scores) -> Iterator[Claim]:
    """Accuracy and gain at twice the largest size: by the form that is true, and over all."""
    size = 2 * LARGEST
    truth = true_accuracy(("ulm+domain", size))
    model = extrapolate(scores, "ulm+domain", SIZES)
    assert model is not None, "every point is there"
    (true_form,) = (found for found in model.fitted if found.form.name == TRUE_FORM)
    interval = true_form.predict(size).interval
    yield Claim(name=f"accuracy at {size:,}, by the true form", interval=interval, truth=truth)
    outlook = outlook_at((), scores, "ulm+domain", SIZES, size, model)
    accuracy, gain = (None, None) if isinstance(outlook, str) else (outlook.accuracy, outlook.gain)
    yield Claim(name=f"accuracy at {size:,}, range over forms", interval=accuracy, truth=truth)
    doubling = truth - true_accuracy(("ulm+domain", LARGEST))
    yield Claim(name=f"gain at {size:,}, range over forms", interval=gain, truth=doubling)


def coverage(found: list[Claim]) -> tuple[float, float, float]:
    """Share of intervals that hold the truth, share given, share of these with an open end."""
    given = [claim for claim in found if claim.interval is not None]
    if not given:
        return math.nan, 0.0, math.nan
    held = sum(c.interval.low <= c.truth <= c.interval.high for c in given if c.interval)
    return held / len(given), len(given) / len(found), sum(c.is_open for c in given) / len(given)


def simulated_claims(
    num_sweeps: int,
    num_seeds: int,
    num_documents: int,
    num_sampled: int = 0,
    *,
    seed: int = 0,
    every: int = 0,
) -> dict[str, list[Claim]]:
    """Claims by name over many sweeps; every so many of them is extrapolated too (0: none)."""
    rng = np.random.default_rng([seed, num_seeds, num_documents])
    by_name: dict[str, list[Claim]] = {}
    for index in range(num_sweeps):
        scores = simulate(rng, num_seeds, num_documents, num_sampled)
        found = [bootstrap_claim(scores, rng), *claims(scores)]
        found += one_run_claims(scores, rng)
        if every and index % every == 0:
            found.extend(extrapolation_claims(scores))
        for claim in found:
            by_name.setdefault(claim.name, []).append(claim)
    return by_name


def quantile_coverage(num_seeds: int, ratio: float) -> tuple[float, float, float]:
    """How often q1, q2 and their mean hold (docs/statistics.md), seeds' variance / documents'."""
    rng = np.random.default_rng(0)
    size, freedom = 400_000, num_seeds - 1
    seeds = ratio / (1 + ratio) * rng.chisquare(freedom, size) / freedom
    total = seeds + 1 / (1 + ratio)
    share, error = seeds / total, np.abs(rng.standard_normal(size))
    wide = share * stdtrit(freedom, LEVEL) + (1 - share) * NORMAL_QUANTILE
    narrow = stdtrit(freedom / np.maximum(share, 1e-6) ** 2, LEVEL)
    first, second, both = (
        float((error <= quantile * np.sqrt(total)).mean())
        for quantile in (wide, narrow, (wide + narrow) / 2)
    )
    return first, second, both


def print_quantiles() -> None:
    """Print how often each quantile holds what it claims."""
    print("\n| seeds | variance of seeds / documents | q1 | q2 | mean |")
    print("| ---: | ---: | ---: | ---: | ---: |")
    for num_seeds in (2, 3, 5, 10):
        for ratio in (0.1, 1, 3, 10):
            held = " | ".join(f"{100 * h:.1f} %" for h in quantile_coverage(num_seeds, ratio))
            print(f"| {num_seeds} | {ratio:g} | {held} |")


def main() -> None:
    """Print the tables."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--sweeps", type=int, default=4000)
    chosen = arguments.parse_args()
    print("# How often 95 % intervals hold the truth\n")
    print(
        f"`python benchmarks/coverage.py --sweeps {chosen.sweeps}` · python "
        f"{platform.python_version()}, numpy {np.__version__}, scipy {scipy.__version__}\n"
    )
    print("| estimator | seeds | test documents | sweeps | covers | given | open end |")
    print("| :--- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for num_seeds, num_documents, num_sampled in (
        (2, 0, 0),
        (3, 0, 0),
        (5, 0, 0),
        (10, 0, 0),
        (2, 1000, 0),
        (3, 1000, 0),
        (5, 1000, 0),
        (3, 1000, 500),
        (5, 1000, 500),
    ):
        found = simulated_claims(
            chosen.sweeps, num_seeds, num_documents, num_sampled, seed=DRAWS, every=EXTRAPOLATED
        )
        for name, of_name in found.items():
            held, given, is_open = coverage(of_name)
            documents = f"{num_documents:,}" if num_documents else "endless"
            documents = f"{num_sampled:,} of {documents}" if num_sampled else documents
            print(
                f"| {name} | {num_seeds} | {documents} | {len(of_name):,} | "
                f"{100 * held:.1f} % | {100 * given:.0f} % | {100 * is_open:.0f} % |"
            )
        sys.stdout.flush()
    print_quantiles()


if __name__ == "__main__":
    main()
