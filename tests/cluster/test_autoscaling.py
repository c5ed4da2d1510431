"""A sweep on a cluster that starts with no worker: the benchmark's code, smaller."""

import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
PATIENCE_SECONDS = 900.0


@pytest.fixture
def autoscaling(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import autoscaling

    yield autoscaling
    for name in ("autoscaling", "fake_nodes", "table"):
        sys.modules.pop(name, None)


def test_node_seconds_are_told_apart(autoscaling):
    growth = autoscaling.Growth(
        samples=((0.0, 0), (10.0, 2), (50.0, 0)),
        trials=(
            autoscaling.Trial(asked=0.0, begun=12.0, ended=30.0),
            autoscaling.Trial(asked=0.0, begun=14.0, ended=20.0),
            autoscaling.Trial(asked=0.0, begun=20.0, ended=40.0),
        ),
        max_workers=2,
        sweep_seconds=45.0,
        seen_seconds=60.0,
    )
    spent = growth.spent()
    assert spent == {"worked": 18.0 + 6.0 + 20.0, "starting": 6.0, "absent": 20.0, "idle": 30.0}
    assert growth.most_workers == 2
    assert "| node-seconds wanted and absent (lost to growth) | 20 |" in autoscaling.table(growth)


@pytest.mark.cluster
@pytest.mark.slow
@pytest.mark.ray
def test_a_cluster_grows_from_no_worker_to_its_most_for_a_sweep_and_shrinks_to_none(autoscaling):
    from fake_nodes import why_no_namespaces

    if reason := why_no_namespaces():
        pytest.skip(f"namespaces can not be made here: {reason}")
    growth = autoscaling.measure(workers=2, sizes=[60], seeds=1, timeout_seconds=PATIENCE_SECONDS)
    assert growth.samples[0][1] == 0
    assert growth.most_workers == 2
    assert growth.samples[-1][1] == 0
    assert len(growth.trials) == 1 + 3 + 3 + 3 + 5 + 5
    first_asked = min(trial.asked for trial in growth.trials)
    first_worker = next(at for at, count in growth.samples if count)
    assert first_asked < first_worker, "the demand of waiting trials is what starts a node"
    assert all(trial.begun >= first_worker for trial in growth.trials)
    assert growth.spent()["absent"] > 0.0
