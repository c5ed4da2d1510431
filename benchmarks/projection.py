"""What the published grid takes at measured rates, by the arithmetic of `sweep plan`.

    python benchmarks/projection.py --tokens 601482 --documents 1264

Tokens per second of the language-model step and documents per second of classifier training are
those that `gpu.py` prints. Nothing is pruned, and trials follow each other without a gap.
"""

import argparse
from collections import defaultdict

from sweeps.spec.cells import Stage, make_cells
from sweeps.spec.cost import (
    language_model_flop_per_token,
    lstm_weights,
    trial_load,
    trial_seconds,
)
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
    found: dict[str, float] = defaultdict(float)
    language_model_tokens = 0.0
    for cell in make_cells(spec):
        for stage in cell.stages:
            if cell.regime == Regime.BOW:
                continue
            load, trials = trial_load(spec, cell, stage), num_trials(spec, cell, stage)
            found[stage.value] += trials * trial_seconds(spec, load, rates) / 3600
            if stage is Stage.LANGUAGE_MODEL:
                language_model_tokens += trials * load.tokens
    return dict(found), language_model_tokens


def main() -> None:
    """Print both grids."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tokens", type=float, required=True)
    parser.add_argument("--documents", type=float, required=True)
    arguments = parser.parse_args()
    for name, settings in GRIDS.items():
        found, tokens = hours(settings, arguments.tokens, arguments.documents)
        parts = ", ".join(f"{stage} {value:.2f}" for stage, value in found.items())
        print(f"{name}: {sum(found.values()):.2f} h ({parts}), {tokens / 1e6:,.0f} M tokens")


if __name__ == "__main__":
    main()
