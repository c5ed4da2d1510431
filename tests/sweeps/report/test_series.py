from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeps.answer.extrapolation import extrapolate
from sweeps.answer.results import make_rows
from sweeps.answer.tried import search_panels
from sweeps.report.series import accuracy_figure, loss_figure, region_of, spread
from sweeps.spec.cells import Stage
from tests.sweeps.answer.sweep_scores import curve, findings_of, rows_of, scores_of
from tests.sweeps.example_sweep import example_records, example_spec, replayed, study_of

SPEC = example_spec()
DIVERGED = study_of(SPEC, "scratch", None, 1, Stage.CLASSIFIER)
RECORDS = example_records(SPEC, diverging=lambda key: key.study == DIVERGED and key.number == 1)
ROWS = make_rows(replayed(SPEC, RECORDS))


def test_the_accuracy_figure_holds_every_seed_and_the_mean_in_percent():
    figure = accuracy_figure(SPEC, findings_of(SPEC, ROWS))
    assert [line.regime for line in figure.lines] == ["domain", "ulm+domain"]
    assert [level.regime for level in figure.levels] == ["bow", "scratch", "ulm"]
    (line,) = [line for line in figure.lines if line.regime == "domain"]
    expected = {(row.size, 100 * row.test_accuracy) for row in ROWS if row.regime == "domain"}
    assert set(line.dots) == expected
    for size, mean in zip(line.sizes, line.means, strict=True):
        dots = [value for at, value in line.dots if at == size]
        assert mean == pytest.approx(sum(dots) / 2)


def test_a_band_is_drawn_over_three_seeds_and_not_over_two():
    two = accuracy_figure(SPEC, findings_of(SPEC, ROWS)).lines[0]
    assert set(two.lows) == set(two.highs) == {None}

    third = [
        replace(row, seed=2, test_accuracy=row.test_accuracy - 0.01, cell=f"{row.cell}-2")
        for row in ROWS
        if row.seed == 0 and row.test_accuracy is not None
    ]
    line = accuracy_figure(SPEC, findings_of(SPEC, (*ROWS, *third))).lines[0]
    for size, mean, low, high in zip(line.sizes, line.means, line.lows, line.highs, strict=True):
        dots = [value for at, value in line.dots if at == size]
        half = 4.30265 * np.std(dots, ddof=1) / np.sqrt(3)
        assert low == pytest.approx(max(0, mean - half), abs=1e-3)
        assert high == pytest.approx(min(100, mean + half), abs=1e-3)


def test_over_one_seed_the_band_is_drawn_that_test_documents_give():
    spec = example_spec(seeds=(0, 1, 2))
    found = findings_of(spec, rows_of({("domain", 100): (0.6, 0.61, 0.62)}))
    (point,) = found.curves
    one = replace(found, curves=(replace(point, by_seed=point.by_seed[:1]),))
    (line,) = accuracy_figure(spec, one).lines
    assert line.lows[0] == pytest.approx(100 * point.accuracy.interval.low)


def test_a_size_that_some_seeds_lack_is_partial_and_one_without_any_is_missing():
    spec = example_spec(seeds=(0, 1, 2))
    table = {("domain", 100): (0.6, 0.61, 0.62), ("domain", 400): (0.7, 0.71)}
    (line,) = accuracy_figure(spec, findings_of(spec, rows_of(table))).lines
    assert (line.missing, line.partial) == ((1600,), (400,))


def test_the_loss_figure_is_the_mean_of_the_chosen_language_models():
    figure = loss_figure(SPEC, ROWS)
    (line,) = [line for line in figure.lines if line.regime == "ulm+domain"]
    losses = [row.lm_loss for row in ROWS if (row.regime, row.size) == ("ulm+domain", 400)]
    assert line.means[1] == pytest.approx(sum(losses) / len(losses))


def test_the_search_panels_show_every_trial_and_rings_the_chosen_one():
    panels = {(p.regime, p.stage): p for p in search_panels(replayed(SPEC, RECORDS))}
    assert len(panels) == 2 + 5
    models = panels["domain", Stage.LANGUAGE_MODEL]
    assert len(models.studies) == 3 * 2
    for study in models.studies:
        assert [trial.rate for trial in study] == sorted(trial.rate for trial in study)
        (chosen,) = [trial for trial in study if trial.is_chosen]
        assert chosen.score == min(trial.score for trial in study)
    assert {study[0].size for study in models.studies} == set(SPEC.sizes)


def test_a_diverged_trial_has_no_score_and_is_still_shown():
    panels = search_panels(replayed(SPEC, RECORDS))
    (panel,) = [panel for panel in panels if panel.regime == "scratch"]
    trials = [trial for study in panel.studies for trial in study]
    assert sum(trial.score is None for trial in trials) == 1


def test_an_unfinished_line_ends_where_it_ends():
    rows = [row for row in ROWS if not (row.regime == "domain" and row.size == 1600)]
    figure = accuracy_figure(SPEC, findings_of(SPEC, rows))
    assert figure.lines[0].sizes == (100, 400)


def test_sizes_without_a_score_and_without_some_seeds_are_told_apart():
    assert not accuracy_figure(SPEC, findings_of(SPEC, ROWS)).has_gaps
    lost = {("domain", 400, 0), ("domain", 400, 1), ("domain", 1600, 1)}
    rows = [row for row in ROWS if (row.regime, row.size, row.seed) not in lost]
    figure = accuracy_figure(SPEC, findings_of(SPEC, rows))
    domain, both = figure.lines
    assert (domain.sizes, domain.missing, domain.partial) == ((100, 1600), (400,), (1600,))
    assert (both.missing, both.partial) == ((), ())
    assert figure.has_gaps
    losses = loss_figure(SPEC, rows).lines[0]
    assert (losses.missing, losses.partial) == ((400,), (1600,))


def curve_over(seeds):
    around = np.linspace(-0.004, 0.004, len(seeds)) * (-1) ** np.arange(len(seeds))
    table = curve("ulm+domain", {n: 1 - 2 * n**-0.4 for n in (100, 200, 400, 800, 1600)}, around)
    return extrapolate(scores_of(table), "ulm+domain", (100, 200, 400, 800, 1600), num_draws=100)


def test_what_is_extrapolated_begins_where_the_line_ends_and_holds_every_form():
    region = region_of(curve_over((0, 1, 2)))
    assert (region.regime, region.sizes[0]) == ("ulm+domain", pytest.approx(1600))
    assert region.sizes[-1] == pytest.approx(3200)
    assert {name for name, _ in region.forms} >= {"power law", "power law with floor"}
    for _, means in region.forms:
        for low, mean, high in zip(region.lows, means, region.highs, strict=True):
            assert low < mean < high


def test_the_region_is_the_range_that_the_page_states_over_two_seeds_too():
    model = curve_over((0, 1))
    region, said = region_of(model), model.accuracy_range(3200)
    assert region.lows[-1] == pytest.approx(100 * said.low)
    assert region.highs[-1] == pytest.approx(100 * said.high)
    assert region_of(None) is None


def test_nothing_finished_is_an_empty_figure():
    assert accuracy_figure(SPEC, findings_of(SPEC, [])).is_empty
    assert loss_figure(SPEC, []).is_empty
    assert search_panels(replayed(SPEC, [])) == ()


@given(
    st.lists(st.floats(min_value=0, max_value=100), min_size=1, max_size=6),
    st.floats(min_value=0.5, max_value=8),
)
def test_spread_labels_keep_their_order_and_their_distance(wanted, gap):
    placed = spread(wanted, gap)
    order = sorted(range(len(wanted)), key=lambda index: wanted[index])
    for lower, upper in pairwise(order):
        assert placed[upper] - placed[lower] >= gap - 1e-9


def test_labels_that_are_far_apart_stay_where_they_are():
    assert spread((10.0, 50.0, 90.0), 5) == (10.0, 50.0, 90.0)


def test_labels_stay_within_bounds():
    assert spread((99.0, 99.5), 5, low=0, high=100) == (95.0, 100.0)
    assert spread((0.5, 0.2), 5, low=0, high=100) == (5.0, 0.0)
    assert spread((94.0, 99.5, 99.6), 5, low=0, high=100) == (90.0, 95.0, 100.0)
