"""The spec as frozen, self-checking values: what a sweep is asked to do.

Built by `sweeps.spec.load` from YAML or directly in Python; every value checks itself when made, so
nothing downstream checks again. Defaults are ULMFiT's (Howard & Ruder 2018) and fastai's.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ulm.regimes import Regime
from ulm.text.corpora import TABLE_KINDS, CorpusSource


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


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
        _require(self.low <= self.high, f"low must not exceed high, found {ends}")
        _require(not self.log or self.low > 0, f"a log range starts above 0, found {self.low}")

    @property
    def is_fixed(self) -> bool:
        """Whether there is nothing to search."""
        return self.low == self.high

    @property
    def middle(self) -> float:
        """Centre of the interval, geometric where `log`; the first suggestion of every study."""
        return (self.low * self.high) ** 0.5 if self.log else (self.low + self.high) / 2


def fixed(value: float) -> Range:
    """A range of one value."""
    return Range(low=value, high=value)


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelSpec:
    """The label budget.

    Args:
        train: Labelled documents of the budget, all regimes alike.
        validation: Stratified share of them held out to choose classifiers (ignored with `folds`).
        folds: Choose by k-fold cross-validation instead of one held-out share.
    """

    train: int = 500
    validation: float = 0.2
    folds: int | None = None

    def __post_init__(self) -> None:
        _require(self.train >= 4, f"train must be at least 4 labels, found {self.train}")
        _require(
            0 < self.validation < 1,
            f"validation must be a share between 0 and 1, found {self.validation}",
        )
        _require(
            self.folds is None or self.folds >= 2,
            f"folds must be at least 2, found {self.folds}",
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class TestSpec:
    """Which test documents `final` scores: `documents: null` is all, else a seeded sample."""

    __test__ = False

    documents: int | None = None

    def __post_init__(self) -> None:
        _require(
            self.documents is None or self.documents >= 1,
            f"documents must be at least 1, found {self.documents}",
        )


GENERAL_ENCODERS = ("wikitext-103", "encoder")
WIKITEXT103_SIZES = (400, 1152, 3)  # embedding, hidden, layers of fastai's weights


@dataclass(frozen=True, kw_only=True, slots=True)
class GeneralSpec:
    """The general language model: fastai's WikiText-103 weights, a saved encoder, or a corpus.

    Args:
        kind: `wikitext-103` (fastai's pretrained weights), `encoder` (a folder saved by
            `ulm.Encoder.save`), or any corpus kind, which is pretrained on once.
        path: Folder or file, for the kinds that need one.
        text_column: Column with the text, for csv, parquet and jsonl.
        documents: Documents to generate, for `synthetic-general`.
        epochs: Pretraining epochs over the general corpus.
        minimum_steps: Pretraining lasts at least this many optimiser steps.
    """

    kind: str = "wikitext-103"
    path: Path | None = None
    text_column: str = "text"
    documents: int | None = None
    epochs: int = 10
    minimum_steps: int = 0

    def __post_init__(self) -> None:
        _require(
            (self.path is None) or self.kind != "wikitext-103",
            "path has no effect with kind wikitext-103; use kind encoder to load a folder",
        )
        _require(
            self.kind != "encoder" or self.path is not None,
            "path is needed with kind encoder: the folder a saved encoder lies in",
        )
        _require(self.epochs >= 1, f"epochs must be at least 1, found {self.epochs}")
        _require(self.minimum_steps >= 0, f"minimum_steps must be >= 0, found {self.minimum_steps}")
        self.source  # noqa: B018  checks kind and path

    @property
    def is_pretrained(self) -> bool:
        """Whether the weights exist already, so that nothing is trained."""
        return self.kind in GENERAL_ENCODERS

    @property
    def source(self) -> CorpusSource | None:
        """The corpus to pretrain on; None where the weights exist already."""
        if self.is_pretrained:
            return None
        return CorpusSource(
            kind=self.kind,
            path=self.path,
            text_column=self.text_column,
            label_column=None if self.kind in TABLE_KINDS else "label",
            documents=self.documents,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelSpec:
    """AWD-LSTM sizes and the vocabulary rule of every cell.

    Args:
        embedding: Units of the embedding and of the last layer.
        hidden: Units of the other layers.
        layers: Number of LSTM layers.
        vocabulary: Largest vocabulary, special tokens included.
        minimum_count: A word enters when the cell's documents hold it this often.
        vocabulary_rule: `union` fills the room that is left with the general model's words;
            `subset` keeps to the cell's own words, as the published experiment did.
    """

    embedding: int = 400
    hidden: int = 1152
    layers: int = 3
    vocabulary: int = 60_000
    minimum_count: int = 2
    vocabulary_rule: Literal["union", "subset"] = "union"

    def __post_init__(self) -> None:
        for name in ("embedding", "hidden", "layers", "minimum_count"):
            value = getattr(self, name)
            _require(value >= 1, f"{name} must be at least 1, found {value}")
        _require(self.vocabulary >= 20, f"vocabulary must be at least 20, found {self.vocabulary}")


@dataclass(frozen=True, kw_only=True, slots=True)
class LanguageModelSpec:
    """How long and in what shape language models train.

    Args:
        epochs: Passes over the cell's documents.
        minimum_steps: A run lasts at least this many optimiser steps, so that small sizes are not
            starved of compute; the best epoch by validation loss is kept.
        batch: Parallel streams.
        bptt: Tokens per truncated back-propagation window.
        dropout: Multiplier of ULMFiT's dropouts (fastai's `drop_mult`).
        weight_decay: AdamW's decoupled weight decay.
        precision: `fp32`, or `bf16` where the hardware has it.
    """

    epochs: int = 8
    minimum_steps: int = 400
    batch: int = 64
    bptt: int = 70
    dropout: float = 0.5
    weight_decay: float = 0.01
    precision: Literal["fp32", "bf16"] = "fp32"

    def __post_init__(self) -> None:
        for name in ("epochs", "batch", "bptt"):
            value = getattr(self, name)
            _require(value >= 1, f"{name} must be at least 1, found {value}")
        _require(self.minimum_steps >= 0, f"minimum_steps must be >= 0, found {self.minimum_steps}")
        _require(self.dropout >= 0, f"dropout must be >= 0, found {self.dropout}")


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassifierSpec:
    """How long and in what shape classifiers train.

    Args:
        epochs: Passes over the labelled documents.
        minimum_steps: A run lasts at least this many optimiser steps.
        batch: Documents per step.
        bptt: Tokens per window of BPT3C.
        maximum_tokens: Pooling and gradients see at most this many last tokens of a document.
        dropout: Multiplier of the encoder's dropouts.
        weight_decay: AdamW's decoupled weight decay.
    """

    epochs: int = 8
    minimum_steps: int = 0
    batch: int = 32
    bptt: int = 70
    maximum_tokens: int = 1400
    dropout: float = 0.5
    weight_decay: float = 0.01

    def __post_init__(self) -> None:
        for name in ("epochs", "batch", "bptt", "maximum_tokens"):
            value = getattr(self, name)
            _require(value >= 1, f"{name} must be at least 1, found {value}")
        _require(self.minimum_steps >= 0, f"minimum_steps must be >= 0, found {self.minimum_steps}")
        _require(self.dropout >= 0, f"dropout must be >= 0, found {self.dropout}")


@dataclass(frozen=True, kw_only=True, slots=True)
class NeuralSearch:
    """Search of one stage of the neural regimes.

    Args:
        trials: Learning-rate settings tried in each cell.
        learning_rate: Peak learning rate of the last layer group.
        decay: Divisor of the learning rate from one layer group to the one below (ULMFiT: 2.6).
    """

    trials: int = 4
    learning_rate: Range = Range(low=1e-3, high=2e-2, log=True)
    decay: Range = Range(low=2.6, high=2.6)

    def __post_init__(self) -> None:
        _require(self.trials >= 1, f"trials must be at least 1, found {self.trials}")
        low = self.learning_rate.low
        _require(low > 0, f"learning_rate must be above 0, found {low}")
        _require(self.decay.low >= 1, f"decay must be at least 1, found {self.decay.low}")

    @property
    def space(self) -> dict[str, Range]:
        """Hyperparameter name → range, in canonical order."""
        return {"learning_rate": self.learning_rate, "decay": self.decay}


@dataclass(frozen=True, kw_only=True, slots=True)
class BagOfWordsSearch:
    """Search of the `bow` regime: the inverse regularisation C of its logistic regression."""

    trials: int = 4
    inverse_regularization: Range = Range(low=0.1, high=1000.0, log=True)

    def __post_init__(self) -> None:
        _require(self.trials >= 1, f"trials must be at least 1, found {self.trials}")
        low = self.inverse_regularization.low
        _require(low > 0, f"inverse_regularization must be above 0, found {low}")

    @property
    def space(self) -> dict[str, Range]:
        """Hyperparameter name → range, in canonical order."""
        return {"inverse_regularization": self.inverse_regularization}


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchSpec:
    """One Optuna study per cell and stage; what each may spend and where it may look.

    Args:
        general: Pretraining of the general model (one trial by default).
        language_model: Language models of `domain` and `ulm+domain`.
        classifier: Classifiers of every neural regime.
        bow: The `bow` line.
        pruner: `median` stops a trial below its study's median at the same epoch; `none` never.
        warmup_epochs: Epochs before which nothing is pruned.
        parallel_trials: Trials of one study that may run at once. Above 1 a suggestion depends on
            timing and a resumed sweep need not give the same table.
    """

    general: NeuralSearch = NeuralSearch(trials=1, decay=fixed(1.0))
    language_model: NeuralSearch = NeuralSearch()
    classifier: NeuralSearch = NeuralSearch(decay=Range(low=1.5, high=4.0))
    bow: BagOfWordsSearch = BagOfWordsSearch()
    pruner: Literal["median", "none"] = "median"
    warmup_epochs: int = 2
    parallel_trials: int = 1

    def __post_init__(self) -> None:
        _require(self.warmup_epochs >= 0, f"warmup_epochs must be >= 0, found {self.warmup_epochs}")
        _require(
            self.parallel_trials >= 1,
            f"parallel_trials must be at least 1, found {self.parallel_trials}",
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class ResourceSpec:
    """What one trial holds; `gpus` may be fractional. `bow` holds CPUs only."""

    cpus: int = 1
    gpus: float = 0.0

    def __post_init__(self) -> None:
        _require(self.cpus >= 1, f"cpus must be at least 1, found {self.cpus}")
        _require(self.gpus >= 0, f"gpus must be >= 0, found {self.gpus}")


@dataclass(frozen=True, kw_only=True, slots=True)
class BudgetSpec:
    """When to stop starting trials; null is without limit.

    Args:
        hours: Wall hours of one `run`.
        accelerator_hours: Sum over trials of seconds × accelerators (CPUs where `gpus` is 0).
    """

    hours: float | None = None
    accelerator_hours: float | None = None

    def __post_init__(self) -> None:
        for name in ("hours", "accelerator_hours"):
            value = getattr(self, name)
            _require(value is None or value > 0, f"{name} must be above 0, found {value}")


@dataclass(frozen=True, kw_only=True, slots=True)
class TrackingSpec:
    """Where MLflow records go; `uri: null` is SQLite beside the sweep."""

    uri: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class LedgerSpec:
    """Where the ledger lives; `url: null` is SQLite beside the sweep, else an SQLAlchemy URL."""

    url: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class SweepSpec:
    """One sweep: the grid, how its cells train, what their studies search, where it runs.

    Args:
        name: Folder, experiment and study prefix; letters, digits, `-`, `_`, `.`.
        corpus: The domain corpus.
        general: The general language model.
        labels: The label budget.
        test: The test documents.
        sizes: Domain documents per cell, ascending; each at least `labels.train`.
        regimes: Regimes to compare.
        seeds: Seeds; every regime sees the same subsets and labels at a seed.
        order: `longest_first` shortens the whole run, `smallest_first` gives early results.
        storage: Folder (or s3://, gs:// URI) that holds the sweeps, encoders and token arrays.
        retries: How often a trial lost to a crash or a vanished worker is asked again.
    """

    name: str
    corpus: CorpusSource
    general: GeneralSpec = field(default_factory=GeneralSpec)
    labels: LabelSpec = LabelSpec()
    test: TestSpec = TestSpec()
    sizes: tuple[int, ...]
    regimes: tuple[Regime, ...] = tuple(Regime)
    seeds: tuple[int, ...] = (0, 1, 2)
    model: ModelSpec = ModelSpec()
    language_model: LanguageModelSpec = LanguageModelSpec()
    classifier: ClassifierSpec = ClassifierSpec()
    search: SearchSpec = SearchSpec()
    resources: ResourceSpec = ResourceSpec()
    budget: BudgetSpec = BudgetSpec()
    tracking: TrackingSpec = TrackingSpec()
    ledger: LedgerSpec = LedgerSpec()
    order: Literal["longest_first", "smallest_first"] = "longest_first"
    storage: str = "runs"
    retries: int = 3

    def __post_init__(self) -> None:
        allowed = set("-_.")
        _require(
            bool(self.name) and all(c.isalnum() or c in allowed for c in self.name),
            f"name must be letters, digits, '-', '_' or '.', found {self.name!r}",
        )
        _require(bool(self.sizes), "sizes must name at least one size")
        _require(bool(self.regimes), "regimes must name at least one regime")
        _require(bool(self.seeds), "seeds must name at least one seed")
        for name in ("sizes", "regimes", "seeds"):
            values = list(getattr(self, name))
            _require(len(set(values)) == len(values), f"{name} must not repeat, found {values}")
        sizes = list(self.sizes)
        _require(sizes == sorted(sizes), f"sizes must ascend, found {sizes}")
        _require(
            min(self.sizes) >= self.labels.train,
            f"sizes must be at least labels.train ({self.labels.train}), found {min(self.sizes)}: "
            "a subset starts with the labelled documents",
        )
        _require(min(self.seeds) >= 0, f"seeds must be >= 0, found {min(self.seeds)}")
        self._check_general_model()
        _require(self.retries >= 0, f"retries must be >= 0, found {self.retries}")

    def _check_general_model(self) -> None:
        if self.general.kind != "wikitext-103":
            return
        if not any(regime.starts_from_general for regime in self.regimes):
            return
        found = (self.model.embedding, self.model.hidden, self.model.layers)
        _require(
            found == WIKITEXT103_SIZES,
            f"model must have embedding, hidden and layers {WIKITEXT103_SIZES}, the sizes of the "
            f"wikitext-103 weights, found {found}; or pretrain on another general corpus",
        )
