import pytest

from sweeps.answer.costs import recorded_rates
from sweeps.spec.cells import Stage, make_cells
from sweeps.spec.cost import TrialCosts
from sweeps.spec.volume import published_volumes
from tests.sweeps.example_sweep import example_records, example_spec
from ulm.regimes import Regime


def test_recorded_rates_are_of_trainings_that_have_a_matrix_rate():
    spec = example_spec(regimes=(Regime.BOW, Regime.DOMAIN), sizes=(100,), seeds=(0,))
    volumes, records = published_volumes(spec), example_records(spec)
    found = recorded_rates(spec, records, volumes)
    cells = {cell.id: cell for cell in make_cells(spec)}
    neural = [r for r in records if cells[r.key.study.cell_id].regime != Regime.BOW]
    assert len(neural) < len(records)
    costs = TrialCosts.of(spec, volumes=volumes)
    for is_model, rate in ((True, found.language_model), (False, found.classifier)):
        own = [r for r in neural if (r.key.study.stage is Stage.LANGUAGE_MODEL) is is_model]
        flop = sum(costs.load(cells[r.key.study.cell_id], r.key.study.stage).flop for r in own)
        assert rate == pytest.approx(flop / sum(r.outcome.metrics["seconds"] for r in own))
    assert recorded_rates(spec, [r for r in records if r not in neural], volumes) is None
    one = next(r for r in neural if r.key.study.stage is Stage.LANGUAGE_MODEL)
    assert recorded_rates(spec, [one], volumes) is None, "classifiers are not known yet"
