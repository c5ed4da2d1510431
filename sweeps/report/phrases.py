"""Phrases: numbers, intervals and names as the answer says them (pure).

Values come in, text goes out, the same in sentences, tables and advice.
"""

from collections.abc import Iterable
from math import ceil, inf, isinf

from sweeps.answer.crossings import Crossing
from sweeps.answer.estimates import Estimate, Interval
from sweeps.answer.gain import Needed
from sweeps.answer.scores import Point
from sweeps.answer.statistics import ERROR, Difference
from sweeps.answer.targets import Reach

LONGEST_NAME = 60  # characters
NONE = "–"
"""A number that is missing."""


def number(count: float) -> str:
    """A count with thousands separated."""
    return f"{count:,.0f}"


def percent(share: float) -> str:
    """A share as percent with one digit."""
    return f"{100 * share:.1f} %"


def digits(value: float) -> str:
    """A value with two significant digits and no exponent, e.g. `0.0043`, `130`."""
    return f"{float(f'{value:.2g}'):,.12g}"


def plain(name: str) -> str:
    """A name from a corpus on one line, without backticks, between which it is to stand.

    One that is long is cut in the middle: names that begin alike end otherwise.
    """
    line = " ".join(name.replace("`", "'").split())
    half = LONGEST_NAME // 2
    return line if len(line) <= LONGEST_NAME else f"{line[:half].rstrip()}…{line[-half:].lstrip()}"


def joined(parts: Iterable[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    listed = list(parts)
    if len(listed) < 2:
        return "".join(listed)
    return f"{', '.join(listed[:-1])} and {listed[-1]}"


def counted(count: int, noun: str) -> str:
    """`1 seed`, `2 seeds`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def point_name(point: Point) -> str:
    """A point in words, e.g. `domain` at 400."""
    regime, size = point
    return f"`{regime}`" if size is None else f"`{regime}` at {number(size)}"


def grouped(points: Iterable[Point]) -> str:
    """Points by regime: `domain` at 100 and 400, `ulm`."""
    sizes: dict[str, list[int]] = {}
    for regime, size in points:
        sizes.setdefault(regime, []).extend([] if size is None else [size])
    return joined(
        f"`{regime}`" + (f" at {joined(map(number, sorted(own)))}" if own else "")
        for regime, own in sizes.items()
    )


def with_interval(estimate: Estimate, unit: str = "") -> str:
    """A share in hundredths, e.g. `81.5 [80.9, 82.1]`; without interval where there is none."""
    value = f"{_hundredths(estimate.value)}{unit}"
    if estimate.interval is not None:
        value += f" [{_hundredths(estimate.interval.low)}, {_hundredths(estimate.interval.high)}]"
    return value


def _hundredths(share: float) -> str:
    if isinf(share):
        return "∞" if share > 0 else "-∞"
    return f"{round(100 * share, 1) + 0.0:.1f}"  # 0.0 for what rounds to -0.0


def plus(share: float) -> str:
    """A difference in hundredths with its sign, e.g. `+2.1`; `0.0` for what rounds to nothing."""
    value = round(100 * share, 1)
    return f"{value:+.1f}" if value else "0.0"


def signed(difference: Estimate) -> str:
    """A difference, e.g. `+2.1 points [+1.5, +2.7]`."""
    value = f"{plus(difference.value)} points"
    if difference.interval is not None:
        value += f" [{plus(difference.interval.low)}, {plus(difference.interval.high)}]"
    return value


def points_text(found: Difference) -> str:
    """A difference as `+2.1 points [+1.5, +2.7] (above in 2 of 2 seeds)`."""
    equal = f", equal in {found.ties}," if found.ties else ""
    seeds = counted(found.num_seeds, "seed")
    return f"{signed(found.accuracy)} (above in {found.wins}{equal} of {seeds})"


def win_chance(found: Difference) -> str:
    """The probability that the first is above at a new seed, e.g. `0.67 [0.09, 0.99]`."""
    chance = found.probability
    if chance.interval is None:
        return f"{chance.value:.2f}"
    return f"{chance.value:.2f} [{chance.interval.low:.2f}, {chance.interval.high:.2f}]"


def reached_without_text(found: Reach) -> str:
    """`reached without domain text, by ...`, where an accuracy is."""
    scored = (f"`{regime}` with {with_interval(e, unit=' %')}" for regime, e in found.without_text)
    return f"reached without domain text, by {joined(scored)}"


READ_OFF = "read off between measured sizes"
"""What a value between sizes rests on: a curve that is straight there over the log of size."""


def forms_used(num_forms: int) -> str:
    """How many forms of a curve something rests on."""
    return "one form alone" if num_forms == 1 else f"{num_forms} forms"


def each_of(num_comparisons: int) -> str:
    """How sure the interval of each of so many win probabilities is."""
    return percent(1 - ERROR / num_comparisons)


def together(num_comparisons: int) -> str:
    """How sure the intervals of win probabilities are, each and all of a sweep together."""
    if num_comparisons == 1:
        return percent(1 - ERROR)
    return f"{each_of(num_comparisons)} for each of {num_comparisons}, 95 % for all together"


def rounded(documents: float) -> str:
    """Documents in two digits, as they are said: 2,638 is 2,600."""
    if documents < 10:
        return number(documents)
    step = _step(documents)
    return number(round(documents / step) * step)


def rounded_up(documents: float, most: float = inf) -> str:
    """No fewer documents, in two digits: 2,638 is 2,700; or the most that there are."""
    step = _step(documents)
    return number(min(ceil(documents / step - 1e-9) * step, most))


def _step(documents: float) -> float:
    return max(1.0, 10.0 ** (len(str(int(documents))) - 2))


def span(interval: Interval) -> str:
    """An interval of documents, e.g. `1,900–3,700`, with its open ends in words."""
    if interval.low == 0 and interval.high == inf:
        return "anywhere"
    if interval.low == 0:
        return f"below {rounded(interval.high)}"
    if interval.high == inf:
        return f"{rounded(interval.low)} or more"
    return f"{rounded(interval.low)}–{rounded(interval.high)}"


def crossing_span(crossing: Crossing, interval: Interval) -> str:
    """The interval of a crossing; without an end it may not be within the sizes at all."""
    if crossing.is_throughout:
        return "at every measured size"
    if interval.high < inf:
        return span(interval)
    if crossing.is_beyond:
        return "beyond it or not at all"
    start = "anywhere" if interval.low == 0 else f"from {rounded(interval.low)} on"
    return f"{start} or not at all"


def needed_text(needed: Needed) -> str:
    """Documents for a share of the gain, with interval."""
    about, interval = "at most" if needed.crossing.is_at_most else "about", needed.crossing.interval
    text = f"{about} {rounded(needed.documents)} domain documents"
    if interval is not None:
        text += f" [{span(interval)}]"
    return text


def duration(seconds: float | None) -> str:
    """`12 s`, `3.4 min` or `1.7 h`."""
    if seconds is None:
        return NONE
    if seconds < 120:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
