"""The spec as frozen, self-checking values: what a sweep is asked to do.

Built by `sweeps.spec.load` from YAML or directly in Python; every value checks itself when made, so
nothing downstream checks again. Defaults are ULMFiT's (Howard & Ruder 2018) and fastai's.
"""

import math
from dataclasses import dataclass, field
from typing import Literal

from sweeps.passwords import without_password
from sweeps.spec.general import WIKITEXT103_SIZES, GeneralSpec
from sweeps.spec.rules import require
from sweeps.spec.searches import SearchSpec
from ulm.errors import require_at_least
from ulm.regimes import Regime
from ulm.text.corpora import CorpusSource

_ALL_DROPPED = "it multiplies ULMFiT's dropouts, of which none may reach 1"

MAX_NAME_BYTES = 100
SHARED_FOLDERS = ("encoders", "tokens")  # beside those of the sweeps


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
        require(self.train >= 4, f"train must be at least 4 labels, found {self.train}")
        require(
            0 < self.validation < 1,
            f"validation must be a share between 0 and 1, found {self.validation}",
        )
        require(
            self.folds is None or self.folds >= 2,
            f"folds must be at least 2, found {self.folds}",
        )

    @property
    def num_held_out(self) -> int:
        """Labels that a validation accuracy is a mean over: all of them with `folds`."""
        return self.train if self.folds else max(1, round(self.train * self.validation))


@dataclass(frozen=True, kw_only=True, slots=True)
class TestSpec:
    """Which test documents `final` scores.

    Args:
        documents: Size of a sample drawn from the seed; null for all.
    """

    __test__ = False

    documents: int | None = None

    def __post_init__(self) -> None:
        require(
            self.documents is None or self.documents >= 1,
            f"documents must be at least 1, found {self.documents}",
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
        require_at_least(1, self, "embedding", "hidden", "layers", "minimum_count")
        require_at_least(20, self, "vocabulary")


@dataclass(frozen=True, kw_only=True, slots=True)
class LanguageModelSpec:
    """How long and in what shape language models train.

    Args:
        epochs: Passes over the cell's documents.
        minimum_steps: A run lasts at least this many optimiser steps, so that small sizes are not
            starved of compute; the best epoch by validation loss is kept. After 400 steps a model
            of 500 reviews was 0.3 nats above what it reached after 700 (EXPERIMENTS.md).
        batch: Parallel streams.
        bptt: Tokens per truncated back-propagation window.
        dropout: Multiplier of ULMFiT's dropouts (fastai's `drop_mult`).
        weight_decay: AdamW's decoupled weight decay.
        clip: Largest norm of a step's gradient, as AWD-LSTM's authors had it; null, as in fastai's
            learner, for no limit. It kept full-size models of little text from stumbling (66.5 %
            at 500 reviews where one without had 52.6) for 3 % of a step on a GPU, and lowered the
            loss of small ones by about 0.01 nats (EXPERIMENTS.md).
        precision: `fp32` (LSTMs on a GPU in TF32, as torch's default is), or `bf16` where the
            hardware has it; that of the classifiers too. A CPU trains faster in it where its
            products are: AMD's Zen 5 does, an Intel without AMX does not (benchmarks/); LSTM
            layers too small to gain stay in fp32 there.
    """

    epochs: int = 8
    minimum_steps: int = 1000
    batch: int = 64
    bptt: int = 70
    dropout: float = 0.5
    weight_decay: float = 0.01
    clip: float | None = 0.25
    precision: Literal["fp32", "bf16"] = "fp32"

    def __post_init__(self) -> None:
        require_at_least(1, self, "epochs", "batch", "bptt")
        require(
            self.clip is None or 0 < self.clip < math.inf,
            f"clip must be a number above 0, found {self.clip}; null is without limit",
        )
        require_at_least(0, self, "minimum_steps", "dropout", "weight_decay")
        require(self.dropout < 4, f"dropout must be below 4, found {self.dropout}: {_ALL_DROPPED}")


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassifierSpec:
    """How long and in what shape classifiers train.

    Args:
        epochs: Passes over the labelled documents.
        minimum_steps: `final` lasts at least this many optimiser steps. Every trial has the epochs
            that all labels need for them; in the search some labels are held out, so it has fewer.
        batch: Documents per step.
        bptt: Tokens per window of BPT3C.
        maximum_tokens: Pooling and gradients see at most this many last tokens of a document.
        dropout: Multiplier of the encoder's dropouts.
        weight_decay: AdamW's decoupled weight decay.
        ensemble: Classifiers that `final` trains, each with its own head, order and dropout; their
            mean probability is scored. A few labels move one classifier by points.
    """

    epochs: int = 8
    minimum_steps: int = 0
    batch: int = 32
    bptt: int = 70
    maximum_tokens: int = 1400
    dropout: float = 0.5
    weight_decay: float = 0.01
    ensemble: int = 1

    def __post_init__(self) -> None:
        require_at_least(1, self, "epochs", "bptt", "ensemble")
        require_at_least(2, self, "batch")  # batch normalisation compares documents
        require_at_least(0, self, "minimum_steps", "dropout", "weight_decay")
        require(self.dropout < 2, f"dropout must be below 2, found {self.dropout}: {_ALL_DROPPED}")
        require(
            self.maximum_tokens >= 2 * self.bptt,
            f"maximum_tokens must be at least twice bptt ({self.bptt}), found "
            f"{self.maximum_tokens}: documents of a batch may end a window apart",
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class ResourceSpec:
    """What one trial holds.

    Args:
        cpus: Processors, and threads that it computes with.
        gpus: A GPU or a share of one, 0 to 1; at 0 it trains on its CPUs also where a GPU is.
            `bow` holds CPUs only.
    """

    cpus: int = 1
    gpus: float = 0.0

    def __post_init__(self) -> None:
        require_at_least(1, self, "cpus")
        require(
            0 <= self.gpus <= 1,
            f"gpus must be from 0 to 1, found {self.gpus}: a trial trains on one GPU or a share",
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class BudgetSpec:
    """When to stop starting trials; null is without limit.

    Args:
        hours: Wall hours of one `run`.
        accelerator_hours: Sum over trials of seconds × accelerators (CPUs where `gpus` is 0), lost
            and failed attempts included.
        trial_hours: Hours a worker may hold a trial. One that takes longer is taken to hang: it is
            ended, and the trial goes on from its last checkpoint on another, as after a crash.
        price_per_accelerator_hour: Money for one, in any currency; shows what was spent and stops
            nothing.
    """

    hours: float | None = None
    accelerator_hours: float | None = None
    trial_hours: float | None = None
    price_per_accelerator_hour: float | None = None

    def __post_init__(self) -> None:
        for name in ("hours", "accelerator_hours", "trial_hours"):
            value = getattr(self, name)
            require(value is None or value > 0, f"{name} must be above 0, found {value}")
        price = self.price_per_accelerator_hour
        require(
            price is None or price >= 0,
            f"price_per_accelerator_hour must be >= 0, found {price}",
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class TrackingSpec:
    """Where MLflow records go.

    Args:
        uri: A server (http://host:5000) or a database (postgresql://me@host/mlflow). Null is what
            `MLFLOW_TRACKING_URI` says, and without it SQLite beside the sweep.
    """

    uri: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class LedgerSpec:
    """Where the ledger lives.

    Args:
        url: A database of its own, postgresql://me@host/sweeps; null for SQLite beside the sweep.
    """

    url: str | None = None

    def __post_init__(self) -> None:
        require(
            not self.is_file or str(self.url).startswith("sqlite:////"),
            f"ledger.url must name the whole path of a file, found {self.url}: a run from another "
            "folder would begin anew; write sqlite:////absolute/path/ledger.db",
        )

    @property
    def is_file(self) -> bool:
        """Whether a file is named, which no other machine sees."""
        return self.url is not None and self.url.startswith("sqlite")


@dataclass(frozen=True, kw_only=True, slots=True)
class SweepSpec:
    """One sweep: the grid, how its cells train, what their studies search, where it runs.

    Args:
        name: Folder, experiment and study prefix; letters, digits, `-`, `_`, `.`; a letter or digit
            first, for `..` is another folder.
        corpus: The domain corpus.
        general: The general language model.
        labels: The label budget.
        test: The test documents.
        sizes: Domain documents per cell, ascending; each at least `labels.train`.
        regimes: Regimes to compare.
        seeds: Seeds; every regime sees the same subsets and labels at a seed.
        order: `longest_first` shortens the whole run, `smallest_first` gives early results; `bow`
            comes first in both.
        storage: Folder (or s3://, gs:// URI) that holds the sweeps, encoders and token arrays;
            where the key is absent, what `SWEEP_STORAGE` says.
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
    search: SearchSpec = field(default_factory=SearchSpec)
    resources: ResourceSpec = ResourceSpec()
    budget: BudgetSpec = BudgetSpec()
    tracking: TrackingSpec = TrackingSpec()
    ledger: LedgerSpec = LedgerSpec()
    order: Literal["longest_first", "smallest_first"] = "longest_first"
    storage: str = "runs"
    retries: int = 3

    def __post_init__(self) -> None:
        require(
            self.name[:1].isalnum() and all(c.isalnum() or c in "-_." for c in self.name),
            "name must be letters, digits, '-', '_' or '.', a letter or digit first, found "
            f"{self.name!r}",
        )
        require(
            self.name not in SHARED_FOLDERS,
            f"name must not be that of a folder all sweeps share, found {self.name!r}",
        )
        require(
            len(self.name.encode()) <= MAX_NAME_BYTES,
            f"name must have at most {MAX_NAME_BYTES} bytes, it names folders, found {self.name!r}",
        )
        require(
            without_password(self.storage) == self.storage,
            "storage must be without credentials, since the spec is recorded; give them to every "
            "machine as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or as a role",
        )
        require(bool(self.sizes), "sizes must name at least one size")
        require(bool(self.regimes), "regimes must name at least one regime")
        require(bool(self.seeds), "seeds must name at least one seed")
        for name in ("sizes", "regimes", "seeds"):
            values = list(getattr(self, name))
            require(len(set(values)) == len(values), f"{name} must not repeat, found {values}")
        sizes = list(self.sizes)
        require(sizes == sorted(sizes), f"sizes must ascend, found {sizes}")
        require(
            min(self.sizes) >= self.labels.train,
            f"sizes must be at least labels.train ({self.labels.train}), found {min(self.sizes)}: "
            "a subset starts with the labelled documents",
        )
        require(min(self.seeds) >= 0, f"seeds must be >= 0, found {min(self.seeds)}")
        self._check_general_model()
        require(
            not (self.ledger.is_file and "://" in self.storage),
            f"ledger.url must not be a file beside storage in a bucket, found {self.ledger.url}: "
            "it would go with this machine; leave it out (the ledger is copied to the bucket), or "
            "name a PostgreSQL server",
        )
        require_at_least(0, self, "retries")

    def _check_general_model(self) -> None:
        if self.general.kind != "wikitext-103":
            return
        if not any(regime.starts_from_general for regime in self.regimes):
            return
        found = (self.model.embedding, self.model.hidden, self.model.layers)
        require(
            found == WIKITEXT103_SIZES,
            f"model must have embedding, hidden and layers {WIKITEXT103_SIZES}, the sizes of the "
            f"wikitext-103 weights (`general`, also where it is left out), found {found}; or name "
            "another general corpus to pretrain on, e.g. general: {kind: wikitext-2}",
        )
