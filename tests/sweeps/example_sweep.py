"""A sweep that was never trained: scores follow formulas, records are asked for by the ledger."""

import math
import random
from dataclasses import replace

from sweeps.search.ledger import Ledger, replay
from sweeps.search.records import Outcome, Progress, StudyKey, TrialRecord, TrialState
from sweeps.spec.cells import Stage, make_cells
from sweeps.spec.general import GeneralSpec
from sweeps.spec.searches import NeuralSearch, Range, SearchSpec
from sweeps.spec.spaces import space_of
from sweeps.spec.values import LabelSpec, SweepSpec
from ulm.regimes import Regime
from ulm.text.corpora import CorpusSource


def example_spec(**changes):
    values = {
        "name": "example",
        "corpus": CorpusSource(kind="synthetic"),
        "general": GeneralSpec(kind="synthetic-general"),
        "labels": LabelSpec(train=100),
        "sizes": (100, 400, 1600),
        "seeds": (0, 1),
        "search": SearchSpec(
            language_model=NeuralSearch(trials=2),
            classifier=NeuralSearch(trials=3, decay=Range(low=1.5, high=4.0)),
        ),
    }
    return SweepSpec(**{**values, **changes})


def longer(spec, **trials):
    """The same sweep, asked for more trials by part of its search."""
    parts = {name: replace(getattr(spec.search, name), trials=n) for name, n in trials.items()}
    return replace(spec, search=replace(spec.search, **parts))


def accuracy(cell, rate, noise):
    """Test accuracy of a cell at a learning rate; the best rate is 5e-3."""
    level = {"bow": 0.815, "scratch": 0.66, "ulm": 0.70, "domain": 0.60, "ulm+domain": 0.71}
    growth = {"domain": 0.052, "ulm+domain": 0.032}.get(cell.regime, 0.0)
    grown = 0.0 if cell.size is None else growth * math.log2(cell.size / 100)
    best = min(level[cell.regime] + grown, 0.93)
    return best - 0.04 * math.log10(rate / 5e-3) ** 2 + noise


def loss(cell, rate):
    size = 100 if cell.size is None else cell.size
    start = 6.0 if cell.regime == "domain" else 5.2
    return start - 0.25 * math.log2(size / 100) + 0.3 * math.log10(rate / 5e-3) ** 2


def outcome_of(cell, stage, params, rng):
    steps = 40 if cell.size is None else max(40, cell.size // 4)
    metrics = {"steps": steps, "tokens": steps * 4480, "seconds": steps / 7.3}
    rate = params.get("learning_rate", 5e-3)
    if stage is Stage.LANGUAGE_MODEL:
        key = f"enc-{cell.id}-{rate:.3e}"
        metrics["best_epoch"] = 3
        return Outcome(value=loss(cell, rate), metrics=metrics, artifacts={"encoder": key})
    score = accuracy(cell, rate, rng.gauss(0, 0.008))
    metrics |= {"vocabulary": 4000, "coverage": 0.94}
    if stage is Stage.FINAL:
        return Outcome(value=score, metrics={**metrics, "test_documents": 1000})
    validation = round(score * 40) / 40
    return Outcome(value=validation, metrics={**metrics, "validation_loss": 1.2 - score})


def params_of(spec, cell, stage, rng):
    return {
        name: axis.low * (axis.high / axis.low) ** rng.random()
        for name, axis in space_of(spec, cell, stage).items()
    }


def _progress(outcome, stage):
    gap = 0.3 if stage is Stage.LANGUAGE_MODEL else -0.02
    return tuple(
        Progress(
            epoch=epoch,
            num_epochs=3,
            value=outcome.value + gap * (3 - epoch),
            metrics={"train_loss": 3.0 / epoch},
        )
        for epoch in (1, 2, 3)
    )


def example_records(spec, *, limit=None, diverging=lambda key: False):
    """Records in the order the ledger asks for them, at most `limit`."""
    cells = {cell.id: cell for cell in make_cells(spec)}
    ledger = Ledger(spec, tuple(cells.values()))
    now = 1_000_000.0
    records = []
    while (ready := ledger.ready(now)) and (limit is None or len(records) < limit):
        wanted = ledger.next_trial(ready[0])
        cell, stage = cells[wanted.key.study.cell_id], wanted.key.study.stage
        rng = random.Random(f"{cell.regime}{cell.size}{cell.seed}{stage}{wanted.key.number}")
        params = wanted.params or params_of(spec, cell, stage, rng)
        outcome = outcome_of(cell, stage, params, rng)
        record = TrialRecord(
            key=wanted.key,
            params=params,
            encoder=wanted.basis.encoder,
            progress=() if stage is Stage.FINAL else _progress(outcome, stage),
            started_at=now,
        )
        ledger.asked(record)
        now += outcome.metrics["seconds"]
        if diverging(wanted.key):
            reason = "loss is not finite at epoch 2:\nlower the learning rate"
            ledger.failed(record.key, reason, now)
            ended = replace(record, state=TrialState.FAILED, failure=reason, ended_at=now)
        else:
            ledger.finished(record.key, outcome, now)
            ended = replace(record, state=TrialState.FINISHED, outcome=outcome, ended_at=now)
        records.append(ended)
    return tuple(records)


def replayed(spec, records):
    """The ledger of these records, to be asked."""
    return replay(spec, make_cells(spec), records)


def cell_of(spec, regime, size, seed):
    """The one cell of a regime, size and seed."""
    return next(
        cell
        for cell in make_cells(spec)
        if (cell.regime, cell.size, cell.seed) == (Regime(regime).value, size, seed)
    )


def study_of(spec, regime, size, seed, stage):
    return StudyKey(cell_id=cell_of(spec, regime, size, seed).id, stage=stage)
