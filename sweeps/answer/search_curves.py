"""Search curves: was the search of learning rates enough, and how much do they matter (pure).

The panels of the search figure come in; per regime and stage the expected best validation score
after k trials goes out, and per size the rates that are as good as the best. Scores are in percent
for classifiers and in nats per token for language models, as in the panels. Of trials that differ
by nothing but their held-out labels one is best too: what chance brings is not called a gain.
A trial without a score, diverged or broken, was asked and brought nothing: it counts as one, with
the worst score of its study.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import comb, exp, log, sqrt
from typing import Self

import numpy as np
from scipy.special import stdtrit

from sweeps.answer.estimates import LEVEL, Estimate, Interval
from sweeps.answer.tried import SearchPanel, Tried
from sweeps.spec.cells import Stage
from sweeps.spec.searches import Range

ENOUGH = {Stage.LANGUAGE_MODEL: 0.01, Stage.CLASSIFIER: 0.5}  # nats per token, points
EDGE = 0.03  # share of a range, at either end, that counts as its edge
FEWEST_TRIALS = 3
NOISE_LEVEL = 0.99  # a search of equal rates is called not enough once in a hundred
_NUM_DRAWS = 2000


class Verdict(StrEnum):
    """Whether the last trial brought a gain; `cannot tell` where neither can be said."""

    ENOUGH = "enough"
    NOT_ENOUGH = "not enough"
    CANNOT_TELL = "cannot tell"


def expected_best(scores: Sequence[float]) -> tuple[float, ...]:
    """Expected best of k = 1 .. B scores drawn from these B without replacement.

    The unbiased estimator sum of v(j) C(j-1, k-1) / C(B, k) over ascending v (Tang et al. 2020,
    section 3; Dodge et al. 2019 draw with replacement, which is biased).
    """
    ordered, count = sorted(scores), len(scores)
    return tuple(
        sum(value * comb(j, k - 1) for j, value in enumerate(ordered)) / comb(count, k)
        for k in range(1, count + 1)
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Leaning:
    """The best rate is the highest, or the lowest, that was tried, more often than by chance.

    Args:
        end: `highest` or `lowest`.
        num_studies: Studies of which it is.
        of: Studies of at least two scored trials.
    """

    end: str
    num_studies: int
    of: int


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchCurve:
    """Expected best validation score of one regime and stage, mean over its studies.

    Args:
        regime: The regime.
        stage: The stage.
        num_studies: Studies of at least two scored trials.
        num_untold: Studies of two trials or more, fewer than two of them scored: not in the mean.
        expected: After k = 1 .. trials; percent, or nats where lower is better.
        last_gain: What the last trial brought, positive is better; its interval is Student's t
            over studies.
        verdict: `enough` where that interval is below half a point of accuracy or 0.01 nats, and
            every study tells; `not enough` where its value is above both that and what held-out
            labels bring by chance; `cannot tell` otherwise, and below three trials.
        leaning: Where the best rates lie of those that were tried; None where chance may have
            put them there.
    """

    regime: str
    stage: Stage
    num_studies: int
    num_untold: int
    expected: tuple[float, ...]
    last_gain: Estimate
    verdict: Verdict
    leaning: Leaning | None


@dataclass(frozen=True, kw_only=True, slots=True)
class _Study:
    """Scores of one study, turned so that higher is better, and how many trials were asked."""

    scores: tuple[float, ...]
    trials: int

    @classmethod
    def of(cls, study: Sequence[Tried], sign: float) -> Self:
        scores = tuple(sign * trial.score for trial in study if trial.score is not None)
        return cls(scores=scores, trials=len(study))

    @property
    def counted(self) -> list[float]:
        """One score for every trial: of one that has none, the worst."""
        return [*self.scores, *[min(self.scores)] * (self.trials - len(self.scores))]


def search_curve(panel: SearchPanel) -> SearchCurve | None:
    """The curve of one panel, up to the trials that all its studies have; None below two."""
    sign = -1.0 if panel.stage is Stage.LANGUAGE_MODEL else 1.0
    begun = [_Study.of(study, sign) for study in panel.studies if len(study) > 1]
    studies = [study for study in begun if len(study.scores) > 1]
    if not studies:
        return None
    trials = min(study.trials for study in studies)
    curves = np.array([expected_best(study.counted)[:trials] for study in studies])
    gains = curves[:, -1] - curves[:, -2]
    last_gain = _mean_of(gains)
    chance = _gain_by_chance(studies, trials, panel.num_held_out)
    verdict = _verdict(last_gain, trials, ENOUGH[panel.stage], chance)
    num_untold = len(begun) - len(studies)
    if num_untold and verdict is Verdict.ENOUGH:
        verdict = Verdict.CANNOT_TELL
    return SearchCurve(
        regime=panel.regime,
        stage=panel.stage,
        num_studies=len(studies),
        num_untold=num_untold,
        expected=tuple(float(sign * value) for value in curves.mean(axis=0)),
        last_gain=last_gain,
        verdict=verdict,
        leaning=_leaning(panel.studies, sign),
    )


def _leaning(studies: Iterable[Sequence[Tried]], sign: float) -> Leaning | None:
    """Where rates do not matter, each of B that were tried is the best of its study once in B."""
    for end, place in (("highest", -1), ("lowest", 0)):
        hits, chances = 0, []
        for study in studies:
            scores = [-np.inf if t.score is None else sign * t.score for t in study]
            if np.isfinite(scores).sum() < 2:
                continue
            chances.append(1 / len(study))
            others = scores[:-1] if place else scores[1:]
            hits += scores[place] > max(others)
        if hits and _at_least(hits, chances) < (1 - NOISE_LEVEL) / 2:
            return Leaning(end=end, num_studies=hits, of=len(chances))
    return None


def _at_least(hits: int, chances: Sequence[float]) -> float:
    """Probability of so many hits or more of independent tries, each with a chance of its own."""
    distribution = np.ones(1)
    for chance in chances:
        distribution = np.convolve(distribution, [1 - chance, chance])
    return float(distribution[hits:].sum())


def _mean_of(values: np.ndarray) -> Estimate:
    count, interval = len(values), None
    mean = float(values.mean())
    if count > 1:
        half = float(stdtrit(count - 1, LEVEL) * values.std(ddof=1) / sqrt(count))
        interval = Interval(low=mean - half, high=mean + half)
    return Estimate(value=mean, interval=interval, num_seeds=count)


def _gain_by_chance(studies: Sequence[_Study], trials: int, num_held_out: int | None) -> float:
    """What the last trial brings, at most, where all rates that have a score are equally good.

    The 99 % quantile over searches whose scores differ by their held-out labels alone, each trial
    having labels of its own: trials of one study share them, so they differ by less. 0 for language
    models: trials of a study share thousands of held-out tokens.
    """
    if num_held_out is None:
        return 0.0
    means = (sum(study.scores) / len(study.scores) for study in studies)
    errors = [_binomial_error(mean, num_held_out) for mean in means]
    rng = np.random.default_rng(0)
    scores = rng.standard_normal((_NUM_DRAWS, len(studies), trials)) * np.array(errors)[:, None]
    for index, study in enumerate(studies):
        num_scored = max(2, round(trials * len(study.scores) / study.trials))
        scores[:, index, num_scored:] = -np.inf
    scores.sort(axis=-1)
    gains = (scores[..., -1] - scores[..., -2]) / trials  # `expected_best` of B less that of B - 1
    return float(np.quantile(gains.mean(axis=1), NOISE_LEVEL))


def _binomial_error(score: float, num_held_out: int) -> float:
    """Standard error of an accuracy in percent."""
    share = min(max(score / 100, 0.0), 1.0)
    return 100 * sqrt(share * (1 - share) / num_held_out)


def _verdict(last_gain: Estimate, trials: int, least: float, chance: float) -> Verdict:
    if trials < FEWEST_TRIALS:
        return Verdict.CANNOT_TELL
    if last_gain.interval is not None and last_gain.interval.high < least:
        return Verdict.ENOUGH
    if last_gain.value >= max(least, chance):
        return Verdict.NOT_ENOUGH
    return Verdict.CANNOT_TELL


def at_edge(value: float, searched: Range) -> bool:
    """Whether a value lies within 3 % of an end of its searched range."""
    if searched.is_fixed:
        return False
    position = (value - searched.low) / (searched.high - searched.low)
    if searched.log:
        position = log(value / searched.low) / log(searched.high / searched.low)
    return not EDGE < position < 1 - EDGE


@dataclass(frozen=True, kw_only=True, slots=True)
class RateSensitivity:
    """Which rates are as good as the best, for one regime, stage and size.

    Args:
        regime: The regime.
        stage: The stage.
        size: Domain documents; None where the regime has no size axis.
        best: Median over studies of the best rate (C for `bow`).
        low: Median over studies of the smallest rate that is as good as the best.
        high: Median of the largest such rate.
        tolerance: How much worse than its study's best a score may be: one standard error of the
            held-out labels for classifiers, 0.01 nats for language models.
        num_studies: Studies behind it, one per seed.
        num_at_edge: Studies whose best rate lies at the edge of the searched range.
    """

    regime: str
    stage: Stage
    size: int | None
    best: float
    low: float
    high: float
    tolerance: float
    num_studies: int
    num_at_edge: int


def rate_sensitivities(panels: Iterable[SearchPanel]) -> tuple[RateSensitivity, ...]:
    """One line per regime, stage and size that has a scored trial."""
    lines = []
    for panel in panels:
        by_size: dict[int | None, list[list[Tried]]] = {}
        for study in panel.studies:
            scored = [trial for trial in study if trial.score is not None]
            if scored:
                by_size.setdefault(scored[0].size, []).append(scored)
        lines += [
            _sensitivity(panel, size, studies)
            for size, studies in sorted(by_size.items(), key=lambda pair: pair[0] or 0)
        ]
    return tuple(lines)


def _gain(trial: Tried, stage: Stage) -> float:
    """The score, turned so that higher is better."""
    assert trial.score is not None, "unscored trials are left out"
    return -trial.score if stage is Stage.LANGUAGE_MODEL else trial.score


def _sensitivity(
    panel: SearchPanel, size: int | None, studies: Sequence[Sequence[Tried]]
) -> RateSensitivity:
    best = [max(study, key=lambda trial: _gain(trial, panel.stage)) for study in studies]
    tops = [_gain(trial, panel.stage) for trial in best]
    tolerance = _tolerance(panel, tops)
    as_good = [
        [trial.rate for trial in study if _gain(trial, panel.stage) >= top - tolerance]
        for study, top in zip(studies, tops, strict=True)
    ]
    return RateSensitivity(
        regime=panel.regime,
        stage=panel.stage,
        size=size,
        best=_median([trial.rate for trial in best]),
        low=_median([min(rates) for rates in as_good]),
        high=_median([max(rates) for rates in as_good]),
        tolerance=tolerance,
        num_studies=len(studies),
        num_at_edge=sum(at_edge(trial.rate, panel.searched) for trial in best),
    )


def _tolerance(panel: SearchPanel, tops: Sequence[float]) -> float:
    """What two rates may differ by and count as equally good, in the score's unit."""
    if panel.num_held_out is None:
        return ENOUGH[panel.stage]
    return _binomial_error(sum(tops) / len(tops), panel.num_held_out)


def _median(rates: Sequence[float]) -> float:
    """The median of rates on their logarithmic scale."""
    return exp(float(np.median(np.log(rates))))
