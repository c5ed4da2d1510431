import re
from dataclasses import replace

import pytest
from matplotlib.collections import FillBetweenPolyCollection

from sweeps.answer.colours import COLOURS
from sweeps.answer.extrapolation import extrapolate
from sweeps.answer.findings import make_sweep_scores
from sweeps.answer.results import make_rows
from sweeps.answer.search_curves import search_curve
from sweeps.answer.tried import search_panels
from sweeps.report.canvas import PAPER, VARIABLES, short, to_png, to_svg
from sweeps.report.curve_plots import NARROW, WIDE, draw_curves
from sweeps.report.search_plots import draw_expected, draw_panel, opacity, range_of_scores
from sweeps.report.series import accuracy_figure
from sweeps.spec.cells import Stage, make_cells
from tests.sweeps.answer.sweep_scores import findings_of
from tests.sweeps.example_sweep import example_records, example_spec, replayed, study_of

SPEC = example_spec(sizes=(100, 200, 400, 800, 1600), seeds=(0, 1, 2))
CELLS = make_cells(SPEC)
DIVERGED = study_of(SPEC, "scratch", None, 1, Stage.CLASSIFIER)
RECORDS = example_records(SPEC, diverging=lambda key: key.study == DIVERGED and key.number == 1)
ROWS = make_rows(replayed(SPEC, RECORDS))
PANELS = search_panels(replayed(SPEC, RECORDS))


@pytest.fixture(scope="module")
def figure():
    model = extrapolate(make_sweep_scores(SPEC, ROWS), "ulm+domain", SPEC.sizes, num_draws=100)
    return accuracy_figure(SPEC, findings_of(SPEC, ROWS), model)


def texts_of(svg):
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg)


def names_of(svg):
    return set(re.findall(r' id="([^"]+)"', svg))


def test_a_figure_takes_its_colours_and_its_font_from_the_page(figure):
    svg = to_svg(draw_curves(figure, "{:.1f} %"), "lines & levels")
    assert not set(re.findall(r"#[0-9a-f]{6}", svg)) & set(VARIABLES)
    for variable in ("--domain", "--ulm-domain", "--bow", "--ink"):
        assert f"var({variable})" in svg
    assert "<style" not in svg
    assert "DejaVu" not in svg


def test_a_figure_says_in_words_what_it_shows(figure):
    svg = to_svg(draw_curves(figure, "{:.1f} %"), r'runs\1 & "levels"')
    assert svg.startswith(r'<svg role="img" aria-label="runs\1 &amp; &quot;levels&quot;" viewBox="')


def test_two_figures_of_one_page_share_no_names(figure):
    wide, narrow = (
        to_svg(draw_curves(figure, "{:.1f} %", inches=inches), "x") for inches in (WIDE, NARROW)
    )
    assert names_of(wide)
    assert not names_of(wide) & names_of(narrow)
    for svg in (wide, narrow):
        asked = set(re.findall(r'(?:url\(#|xlink:href="#)([^")]+)', svg))
        assert asked <= names_of(svg)


def test_what_is_extrapolated_is_hatched_and_named(figure):
    svg = to_svg(draw_curves(figure, "{:.1f} %"), "x")
    assert "<pattern" in svg
    assert "extrapolated" in texts_of(svg)
    plain = to_svg(draw_curves(replace(figure, region=None), "{:.1f} %"), "x")
    assert "<pattern" not in plain


def test_every_line_is_named_with_its_last_value(figure):
    words = " ".join(texts_of(to_svg(draw_curves(figure, "{:.1f} %"), "x")))
    for line in figure.lines:
        assert f"{line.regime}  {line.means[-1]:.1f} %" in words


def test_an_interval_that_runs_away_does_not_flatten_the_lines(figure):
    low, high = draw_curves(figure, "{}").axes[0].get_ylim()
    wild = replace(figure.region, highs=tuple(1000.0 for _ in figure.region.highs))
    drawn = draw_curves(replace(figure, region=wild), "{}").axes[0].get_ylim()
    assert drawn[1] - drawn[0] < 2 * (high - low)


def test_a_figure_of_one_size_and_one_seed_is_drawn():
    spec = example_spec(sizes=(100,), seeds=(0,))
    rows = make_rows(replayed(spec, example_records(spec)))
    drawn = draw_curves(
        accuracy_figure(spec, findings_of(spec, rows)), "{:.1f} %", title=("a", "b")
    )
    assert to_png(drawn).startswith(b"\x89PNG\r\n")


def test_a_line_that_ends_early_says_at_which_size():
    rows = [row for row in ROWS if not (row.regime == "domain" and (row.size or 0) > 400)]
    svg = to_svg(draw_curves(accuracy_figure(SPEC, findings_of(SPEC, rows)), "{:.1f} %"), "x")
    assert " at 400" in " ".join(texts_of(svg))


def drawn_without(*lost):
    """What is drawn of `domain`: its lines, its marks that are hollow, its crosses, its bands."""
    rows = [row for row in ROWS if (row.regime, row.size, row.seed) not in lost]
    axes = draw_curves(accuracy_figure(SPEC, findings_of(SPEC, rows)), "{}").axes[0]
    own = [line for line in axes.lines if line.get_color() == COLOURS["domain"]]
    lines = [tuple(line.get_xdata()) for line in own if line.get_marker() == "None"]
    hollow = [line.get_xdata()[0] for line in own if line.get_markerfacecolor() == PAPER]
    (crosses,) = [tuple(line.get_xdata()) for line in own if line.get_marker() == "x"]
    areas = [found for found in axes.collections if isinstance(found, FillBetweenPolyCollection)]
    ends = [area.get_paths()[0].get_extents() for area in areas]
    return lines, hollow, crosses, [(box.x0, box.x1) for box in ends]


def test_a_line_is_not_drawn_across_a_size_that_has_no_score():
    lines, hollow, crosses, bands = drawn_without()
    assert (lines, hollow, crosses) == ([SPEC.sizes], [], ())
    assert (100, 1600) in bands
    lines, hollow, crosses, bands = drawn_without(*(("domain", 400, seed) for seed in SPEC.seeds))
    assert lines == [(100, 200), (800, 1600)]
    assert (hollow, crosses) == ([], (400,))
    assert {(100, 200), (800, 1600)} <= set(bands)


def test_a_size_that_lacks_a_seed_is_hollow_and_without_an_interval_there_is_no_band():
    lines, hollow, crosses, bands = drawn_without(("domain", 400, 0))
    assert (lines, hollow, crosses) == ([SPEC.sizes], [400], ())
    assert {(100, 200), (800, 1600)} <= set(bands), "two seeds have no band"


def test_every_panel_of_a_stage_has_the_same_axis_and_its_trials():
    own = [panel for panel in PANELS if panel.stage is Stage.CLASSIFIER]
    scores = range_of_scores(own)
    drawn = [draw_panel(panel, SPEC.sizes, scores).axes[0] for panel in own]
    assert len({axes.get_ylim() for axes in drawn}) == 1
    svg = to_svg(draw_panel(own[1], SPEC.sizes, scores), "x")
    assert own[1].regime == "scratch"
    assert "var(--alarm)" in svg, "a diverged trial is a cross"


def test_panels_whose_trials_score_alike_have_axes_of_their_own():
    panel = next(panel for panel in PANELS if panel.stage is Stage.CLASSIFIER)
    alike = tuple(tuple(replace(trial, score=0.5) for trial in study) for study in panel.studies)
    panel = replace(panel, studies=alike)
    assert range_of_scores([panel]) is None
    low, high = draw_panel(panel, SPEC.sizes, None).axes[0].get_ylim()
    assert low < 0.5 < high


def test_more_text_is_a_stronger_colour():
    strengths = [opacity(size, SPEC.sizes) for size in SPEC.sizes]
    assert strengths == sorted(set(strengths))
    assert strengths[-1] == opacity(None, SPEC.sizes) == opacity(100, [100]) == 1.0


def test_expected_best_scores_are_drawn_for_every_regime_of_a_stage():
    found = [search_curve(panel) for panel in PANELS if panel.stage is Stage.CLASSIFIER]
    words = " ".join(texts_of(to_svg(draw_expected(found, "classifier"), "x")))
    for curve in found:
        assert f"{curve.regime} {curve.expected[-1]:.1f}" in words


@pytest.mark.parametrize(("count", "name"), [(500, "500"), (16_000, "16k"), (1250, "1,250")])
def test_sizes_are_short_on_a_narrow_axis(count, name):
    assert short(count) == name
