"""Estimates: values with their 95 % intervals."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]

LEVEL = 0.975  # two-sided 95 %
NORMAL_QUANTILE = 1.959963984540054


@dataclass(frozen=True, kw_only=True, slots=True)
class Interval:
    """A 95 % interval; an end may be infinite where the data set no limit."""

    low: float
    high: float

    @property
    def includes_zero(self) -> bool:
        """Whether zero is inside or on its edge."""
        return self.low <= 0 <= self.high


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """A value with its interval; None with one seed and no per-document hits."""

    value: float
    interval: Interval | None
    num_seeds: int

    def is_above(self, line: float = 0.0) -> bool:
        """Whether the whole interval, over two seeds or more, is above a line."""
        return self.num_seeds > 1 and self.interval is not None and self.interval.low > line

    def is_below(self, line: float = 0.0) -> bool:
        """Whether it is below."""
        return self.num_seeds > 1 and self.interval is not None and self.interval.high < line
