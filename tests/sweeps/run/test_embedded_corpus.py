"""The shape of the demo comes out of training: domain text helps, most so after a general model."""

from dataclasses import replace
from statistics import mean

import pytest

from sweeps.answer.results import make_rows
from sweeps.spec.load import load_spec
from tests.sweeps.run.tiny import context_of, fresh_store, run_in_process
from ulm.regimes import Regime

SEEDS = (0, 1, 2)
SMALL, LARGE = 100, 1600


@pytest.mark.slow
@pytest.mark.torch
def test_domain_text_helps_on_the_embedded_corpus(tmp_path):
    demo = load_spec("demo")
    search = replace(
        demo.search,
        language_model=replace(demo.search.language_model, trials=1),
        classifier=replace(demo.search.classifier, trials=1),
    )
    spec = replace(demo, storage=str(tmp_path), seeds=SEEDS, sizes=(SMALL, LARGE), search=search)
    control = run_in_process(spec, context_of(spec, tmp_path / "tokens"), fresh_store(spec))
    accuracy = {
        (row.regime, row.size, row.seed): row.test_accuracy for row in make_rows(control.ledger)
    }

    def average(regime, size=None):
        return mean(accuracy[regime.value, size, seed] for seed in SEEDS)

    print({key: round(value, 3) for key, value in accuracy.items()})
    assert average(Regime.ULM_DOMAIN, LARGE) > average(Regime.ULM_DOMAIN, SMALL) + 0.05
    assert average(Regime.ULM_DOMAIN, LARGE) > average(Regime.ULM) + 0.05
    assert average(Regime.DOMAIN, LARGE) > average(Regime.DOMAIN, SMALL)
    assert average(Regime.DOMAIN, LARGE) > average(Regime.SCRATCH)
    for seed in SEEDS:
        assert accuracy["ulm+domain", LARGE, seed] > accuracy["ulm", None, seed]
