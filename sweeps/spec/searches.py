"""Searches: how the stages of a cell are searched, as frozen, self-checking values.

A sweep's `search` section comes in, ranges and numbers of trials go out, one search per stage and
kind of regime. A fixed value is a range of one point, so that nothing downstream tells them apart.
"""

from dataclasses import dataclass
from typing import Literal

from sweeps.spec.rules import require
from ulm.errors import require_at_least


@dataclass(frozen=True, kw_only=True, slots=True)
class Range:
    """An interval a hyperparameter is searched in; `low == high` is a fixed value.

    Args:
        low: Smallest value.
        high: Largest value.
        log: Whether the search is uniform in the logarithm.
    """

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        ends = f"[{self.low}, {self.high}]"
        require(self.low <= self.high, f"low must not exceed high, found {ends}")
        require(not self.log or self.low > 0, f"a log range starts above 0, found {self.low}")

    @property
    def is_fixed(self) -> bool:
        """Whether there is nothing to search."""
        return self.low == self.high

    def at(self, share: float) -> float:
        """The value a share of the way up, in the logarithm where `log`; 0 is `low`, 1 `high`."""
        if self.log:
            return float(self.low * (self.high / self.low) ** share)
        return self.low + (self.high - self.low) * share


def _check_rate(rate: Range) -> None:
    require(rate.low > 0, f"learning_rate must be above 0, found {rate.low}")


def _check_warmup(epochs: int | None) -> None:
    require(epochs is None or epochs >= 0, f"warmup_epochs must be >= 0, found {epochs}")


@dataclass(frozen=True, kw_only=True, slots=True)
class GeneralSearch:
    """Search of the general model's pretraining; all its layers start anew and share one rate.

    Args:
        trials: Learning rates tried.
        learning_rate: Peak learning rate.
    """

    trials: int = 1
    learning_rate: Range = Range(low=1e-3, high=2e-2, log=True)

    def __post_init__(self) -> None:
        require_at_least(1, self, "trials")
        _check_rate(self.learning_rate)

    @property
    def space(self) -> dict[str, Range]:
        """Hyperparameter name → range, in canonical order."""
        return {"learning_rate": self.learning_rate}


@dataclass(frozen=True, kw_only=True, slots=True)
class NeuralSearch:
    """Search of one stage of the neural regimes.

    Args:
        trials: Learning-rate settings tried in each cell.
        learning_rate: Peak learning rate of the last layer group.
        decay: Divisor of the learning rate from one layer group to the one below (ULMFiT: 2.6).
        warmup_epochs: Epochs before which none of them is pruned; None for `search.warmup_epochs`.
    """

    trials: int = 4
    learning_rate: Range = Range(low=1e-3, high=2e-2, log=True)
    decay: Range = Range(low=2.6, high=2.6)
    warmup_epochs: int | None = None

    def __post_init__(self) -> None:
        require_at_least(1, self, "trials")
        _check_rate(self.learning_rate)
        _check_warmup(self.warmup_epochs)
        require(self.decay.low >= 1, f"decay must be at least 1, found {self.decay.low}")

    @property
    def space(self) -> dict[str, Range]:
        """Hyperparameter name → range, in canonical order."""
        return {"learning_rate": self.learning_rate, "decay": self.decay}


@dataclass(frozen=True, kw_only=True, slots=True)
class BagOfWordsSearch:
    """Search of the `bow` regime.

    Args:
        trials: Values tried in each cell.
        inverse_regularization: C of its logistic regression.
    """

    trials: int = 4
    inverse_regularization: Range = Range(low=0.1, high=1000.0, log=True)

    def __post_init__(self) -> None:
        require_at_least(1, self, "trials")
        low = self.inverse_regularization.low
        require(low > 0, f"inverse_regularization must be above 0, found {low}")

    @property
    def space(self) -> dict[str, Range]:
        """Hyperparameter name → range, in canonical order."""
        return {"inverse_regularization": self.inverse_regularization}


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchSpec:
    """One Optuna study per cell and stage; what each may spend and where it may look.

    Args:
        general: Pretraining of the general model.
        language_model: Language models of `domain` and `ulm+domain`.
        classifier: Classifiers of every neural regime.
        bow: The `bow` line.
        pruner: `median` stops a trial below its study's median at the same epoch; `none` never.
        warmup_epochs: Epochs before which nothing is pruned.
        parallel_trials: Trials of one study that may run at once. Above 1 pruning depends on
            timing, and so does what is suggested once a rate diverged or from the eleventh trial
            on: a resumed sweep need not give the same table.
    """

    general: GeneralSearch = GeneralSearch()
    language_model: NeuralSearch = NeuralSearch()
    classifier: NeuralSearch = NeuralSearch()
    bow: BagOfWordsSearch = BagOfWordsSearch()
    pruner: Literal["median", "none"] = "median"
    warmup_epochs: int = 2
    parallel_trials: int = 1

    def __post_init__(self) -> None:
        _check_warmup(self.warmup_epochs)
        require_at_least(1, self, "parallel_trials")

    def warmup_of(self, search: GeneralSearch | NeuralSearch | BagOfWordsSearch) -> int:
        """Epochs before which no trial of one of these searches is pruned."""
        own = search.warmup_epochs if isinstance(search, NeuralSearch) else None
        return self.warmup_epochs if own is None else own
