"""What the published grid takes at measured rates, by the arithmetic of `sweep plan`.

    python benchmarks/projection.py --tokens 601482 --documents 1264
    python benchmarks/projection.py --grid FOLDER

Tokens per second of the language-model step and documents per second of classifier training are
those that `gpu.py` prints; trials follow each other without a gap. With the folder of `grid.py`
tokens per GPU-second of its language models count, and GPU-seconds of its classifiers' trials, all
that a trial does included. Nothing is pruned.
"""

import argparse
from collections import defaultdict
from pathlib import Path

from grid import read_grid, seconds_of

from sweeps.spec.cells import Stage, make_cells
from sweeps.spec.cost import TrialCosts, language_model_flop_per_token, lstm_weights
from sweeps.spec.load import load_spec
from sweeps.spec.rates import Rates
from sweeps.spec.spaces import num_trials
from ulm.regimes import Regime

DOCUMENT_TOKENS = 280  # of the documents that `gpu.py` draws
ONE_TRIAL = {"search.language_model.trials": "1", "search.classifier.trials": "1"}
GRIDS = {
    "the original's 16 runs": {"seeds": "1", "regimes": "[domain, ulm+domain]", **ONE_TRIAL},
    "tuned, five seeds, all regimes": {},
}


def hours(
    settings: dict[str, str], tokens: float, documents: float
) -> tuple[dict[str, float], float]:
    """Hours by stage, without those of `bow`, and tokens of the language models."""
    spec = load_spec("imdb", settings)
    rates = Rates(
        language_model=tokens * language_model_flop_per_token(spec, spec.model.vocabulary),
        classifier=documents * DOCUMENT_TOKENS * 6.0 * lstm_weights(spec),
        basis="given",
    )
    costs = TrialCosts.of(spec, rates=rates)
    found: dict[str, float] = defaultdict(float)
    language_model_tokens = 0.0
    for cell in make_cells(spec):
        for stage in cell.stages:
            if cell.regime == Regime.BOW:
                continue
            trials = num_trials(spec, cell, stage)
            found[stage.value] += trials * costs.seconds(cell, stage) / 3600
            if stage is Stage.LANGUAGE_MODEL:
                language_model_tokens += trials * costs.load(cell, stage).tokens
    return dict(found), language_model_tokens


def measured(folder: Path) -> tuple[float, dict[Stage, float]]:
    """Tokens per GPU-second of a grid's language models; GPU-seconds of a trial by stage."""
    spec, records = read_grid(folder)
    cells = {cell.id: cell for cell in make_cells(spec)}
    held: dict[Stage, list[float]] = defaultdict(list)
    tokens = 0.0
    for record in records:
        cell, stage = cells[record.key.study.cell_id], record.key.study.stage
        if record.outcome is not None and cell.regime != Regime.BOW:
            held[stage].append(seconds_of(spec, cell, record))
            if stage is Stage.LANGUAGE_MODEL:
                tokens += record.outcome.metrics["tokens"]
    seconds = {stage: sum(each) / len(each) for stage, each in held.items()}
    return tokens / sum(held[Stage.LANGUAGE_MODEL]), seconds


def hours_as_in(
    settings: dict[str, str], rate: float, seconds: dict[Stage, float]
) -> tuple[dict[str, float], float]:
    """The same as `hours`, by what was `measured`."""
    spec, tokens = load_spec("imdb", settings), 0.0
    costs = TrialCosts.of(spec)
    found: dict[str, float] = defaultdict(float)
    for cell in make_cells(spec):
        for stage in cell.stages if cell.regime != Regime.BOW else ():
            trials = num_trials(spec, cell, stage)
            if stage is Stage.LANGUAGE_MODEL:
                tokens += trials * costs.load(cell, stage).tokens
            else:
                found[stage.value] += trials * seconds[stage] / 3600
    found[Stage.LANGUAGE_MODEL.value] = tokens / rate / 3600
    return dict(found), tokens


def main() -> None:
    """Print both grids."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tokens", type=float, default=0.0)
    parser.add_argument("--documents", type=float, default=0.0)
    parser.add_argument("--grid", type=Path)
    arguments = parser.parse_args()
    if arguments.grid is None and not (arguments.tokens and arguments.documents):
        parser.error("either --grid, or --tokens and --documents")
    if arguments.grid is not None:
        rate, seconds = measured(arguments.grid)
        told = ", ".join(f"{stage.value} {value:.2f} GPU-s" for stage, value in seconds.items())
        print(f"measured: {rate:,.0f} tokens/GPU-s; a trial on average {told}")
    for name, settings in GRIDS.items():
        if arguments.grid is None:
            found, tokens = hours(settings, arguments.tokens, arguments.documents)
        else:
            found, tokens = hours_as_in(settings, rate, seconds)
        parts = ", ".join(f"{stage} {value:.2f}" for stage, value in found.items())
        print(f"{name}: {sum(found.values()):.2f} h ({parts}), {tokens / 1e6:,.0f} M tokens")


if __name__ == "__main__":
    main()
