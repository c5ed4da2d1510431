from pathlib import Path

import pytest

from sweeps.spec.load import load_spec, packaged_specs
from sweeps.spec.plan import plan_sweep
from ulm.regimes import Regime


def test_the_three_specs_are_packaged():
    assert list(packaged_specs()) == ["demo", "imdb", "imdb_small"]


@pytest.mark.parametrize("name", packaged_specs())
def test_every_spec_is_valid_and_planned_without_warning(name):
    spec = load_spec(name)
    plan = plan_sweep(spec)
    assert set(spec.regimes) == set(Regime)
    assert plan.warnings == ()
    assert plan.total.hours > 0


@pytest.mark.parametrize("name", packaged_specs())
def test_every_spec_says_what_its_blocks_are_for(name):
    text = packaged_specs()[name].read_text(encoding="utf-8")
    assert sum("#" in line for line in text.splitlines()) >= 8


def test_the_demo_shows_at_least_three_sizes_and_two_seeds():
    spec = load_spec("demo")
    assert len(spec.sizes) >= 3
    assert len(spec.seeds) >= 2
    assert spec.corpus.kind == "synthetic"


def test_the_small_spec_scores_all_test_reviews():
    spec = load_spec("imdb_small")
    assert spec.test.documents is None
    assert {500, 4000} <= set(spec.sizes)


def test_the_large_spec_is_the_published_grid():
    spec = load_spec("imdb")
    assert spec.sizes == tuple(500 * 2**i for i in range(8))
    assert (spec.model.embedding, spec.model.hidden, spec.model.layers) == (400, 1152, 3)
    assert (len(spec.seeds), spec.labels.train, spec.model.vocabulary) == (5, 500, 60_000)


def test_every_spec_is_installed_with_the_package():
    text = (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    assert 'sweeps = ["specs/*.yaml"' in text
