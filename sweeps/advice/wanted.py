"""Wanted: seeds and sizes that would answer what a sweep cannot yet (pure).

Intervals and a spec come in; a number of seeds and further sizes go out, and the spec that has them
and differs in nothing else, so that a run of it trains the difference alone.
"""

import json
from dataclasses import dataclass, replace
from itertools import pairwise
from math import sqrt
from pathlib import Path

import numpy as np
import yaml
from scipy.special import ndtri

from sweeps.answer.estimates import NORMAL_QUANTILE, Floats
from sweeps.answer.spread import Spread
from sweeps.errors import QuestionError
from sweeps.spec.load import spec_to_json
from sweeps.spec.values import SweepSpec
from sweeps.storage import write_whole

MOST_SEEDS = 29  # in all; more is not proposed
CHANCE = 0.8  # that seeds which are proposed decide
_ENDLESS = 10**6  # seeds that add nothing of their own to an interval
MARK = "# Written by `sweep advise`: "
HEADER = MARK + "the sweep {name}, {added}; `sweep run` trains the rest.\n"


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """Cells to add: seeds in all (0 asks for none more) and sizes."""

    num_seeds: int = 0
    sizes: tuple[int, ...] = ()

    def joined(self, other: "Wanted") -> "Wanted":
        """Both."""
        return Wanted(
            num_seeds=max(self.num_seeds, other.num_seeds),
            sizes=tuple(sorted({*self.sizes, *other.sizes})),
        )

    def beyond(self, spec: SweepSpec) -> "Wanted":
        """Without what the spec has already."""
        return Wanted(
            num_seeds=self.num_seeds if self.num_seeds > len(spec.seeds) else 0,
            sizes=tuple(size for size in self.sizes if size not in spec.sizes),
        )

    def describe(self, spec: SweepSpec) -> str:
        """In words, e.g. `5 seeds instead of 2 and 8,000 documents`."""
        parts = []
        if self.num_seeds:
            parts.append(f"{self.num_seeds} seeds instead of {len(spec.seeds)}")
        if self.sizes:
            parts.append(f"{', '.join(f'{size:,}' for size in self.sizes)} documents")
        return " and ".join(parts) or "nothing added"


def wanted_to_decide(
    spread: Spread, weights: Floats, distance: float, *, is_one_run: bool = False
) -> Wanted | None:
    """Seeds for an interval that leaves out a line with a chance of `CHANCE`.

    If the mean is where it is said to be, and they vary as those there are: the seeds to come move
    the mean of all, so that an interval just narrow enough would leave the line out every other
    time.

    Args:
        spread: That of the points, over two seeds or more.
        weights: float64 [P], of the points.
        distance: From the weighted sum of their means to the line.
        is_one_run: Whether the interval is to hold one run more, which varies with any number.

    Returns:
        None where more than `MOST_SEEDS` would be needed.
    """
    one_seed = spread.run_variances(weights[None, :])
    run = one_seed if is_one_run else None
    for count in range(spread.num_seeds + 1, MOST_SEEDS + 1):
        half = float(spread.with_seeds(count).half_widths(weights[None, :], run=run)[0])
        # how far seeds to come move the mean of all towards a line, in one of five cases or more
        moves = ndtri(CHANCE) * np.sqrt(one_seed[0] * (count - spread.num_seeds)) / count
        if half + float(moves) < distance:
            return Wanted(num_seeds=count)
    return None


def one_run_asks_for_documents(spread: Spread, distance: float) -> bool:
    """Whether one run would pass that line with seeds without end, but for its documents."""
    run = float(spread.run_variances(np.ones((1, 1)))[0])
    documents = float(spread.documents[0, 0])
    return NORMAL_QUANTILE * sqrt(run) < distance <= NORMAL_QUANTILE * sqrt(run + documents)


def asks_for_documents(spread: Spread, weights: Floats, distance: float) -> bool:
    """Whether the interval would hold that line with any number of seeds: for its documents."""
    return float(spread.with_seeds(_ENDLESS).half_widths(weights[None, :])[0]) >= distance > 0


def wanted_sizes(spec: SweepSpec, most_documents: int | None) -> Wanted:
    """A larger size, twice the largest within what can be had, or one in the widest gap."""
    larger = 2 * spec.sizes[-1]
    if most_documents is not None:
        larger = min(larger, most_documents)
    sizes = [larger] if larger > spec.sizes[-1] else []
    if len(spec.sizes) + len(sizes) < 4 and len(spec.sizes) > 1:
        ratio, low = max((b / a, a) for a, b in pairwise(spec.sizes))
        sizes.append(round(low * sqrt(ratio)))
    return Wanted(sizes=tuple(sorted(sizes)))


def extended(spec: SweepSpec, wanted: Wanted) -> SweepSpec:
    """The spec with the wanted seeds and sizes; nothing else differs."""
    free = (seed for seed in range(10**6) if seed not in spec.seeds)
    added = tuple(next(free) for _ in range(wanted.num_seeds - len(spec.seeds)))
    return replace(
        spec,
        seeds=(*spec.seeds, *added),
        sizes=tuple(sorted({*spec.sizes, *wanted.sizes})),
    )


def spec_text(spec: SweepSpec, wanted: Wanted) -> str:
    """The extended spec as YAML that `load_spec` reads."""
    text = yaml.safe_dump(
        json.loads(spec_to_json(extended(spec, wanted))), sort_keys=False, allow_unicode=True
    )
    return HEADER.format(name=spec.name, added=wanted.describe(spec)) + text


def check_writable(file: Path) -> None:
    """Ask whether a spec may be written to a file: a new one, or one that was written here.

    Raises:
        QuestionError: It holds something else, or its folder is not there.
    """
    if not file.parent.is_dir():
        raise QuestionError(
            f"--emit-spec must name a file in a folder that is there, found {file}; make the folder"
        )
    if file.exists() and not (file.is_file() and file.read_bytes().startswith(MARK.encode())):
        raise QuestionError(
            f"--emit-spec must name a new file, or one it wrote, found {file}; name another"
        )


def write_spec(spec: SweepSpec, wanted: Wanted, file: Path) -> None:
    """Write the extended spec; the file appears whole."""
    write_whole(file, spec_text(spec, wanted).encode())
