"""The report page in a real browser: on a desk, on a phone, at night, on paper."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from sweeps.answer.results import make_rows
from sweeps.paths import SweepPaths
from sweeps.report.blocks import Bullets, Page, Section
from sweeps.report.comparison import write_comparison
from sweeps.report.page import render_html, write_report
from tests.browser.conftest import PHONE
from tests.sweeps.example_sweep import example_records, example_spec, replayed
from tests.sweeps.results_table import read_csv

pytestmark = pytest.mark.browser

SPEC = example_spec(sizes=(100, 200, 400, 800, 1600), seeds=(0, 1, 2))
HALF = replace(SPEC, name="half", order="smallest_first")
LEAST_CONTRAST = 4.5  # WCAG 2.2, 1.4.3

# Contrast of every word of every figure that is seen against the page, lowest first.
CONTRASTS = """() => {
  const channel = c => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  const light = text => text.match(/[\\d.]+/g).slice(0, 3).map(Number).map(channel)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const page = light(getComputedStyle(document.body).backgroundColor);
  return [...document.querySelectorAll('svg text')].filter(t => t.checkVisibility()).map(t => {
    const ink = light(getComputedStyle(t).fill);
    return [(Math.max(ink, page) + 0.05) / (Math.min(ink, page) + 0.05), t.textContent];
  }).sort((a, b) => a[0] - b[0]);
}"""


@pytest.fixture(scope="module")
def storage(tmp_path_factory):
    return str(tmp_path_factory.mktemp("sweeps"))


@pytest.fixture(scope="module")
def report(storage):
    """The report of a finished sweep with predictions; its records are made up, its page is not."""
    paths = SweepPaths(storage=storage, name=SPEC.name)
    records = example_records(SPEC)
    paths.predictions_folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for row in make_rows(replayed(SPEC, records)):
        hits = rng.random(500) < row.test_accuracy
        np.savez(
            paths.predictions(row.cell),
            documents=np.arange(500),
            labels=hits.astype(int),
            probabilities=np.tile(np.float32([0.3, 0.7]), (500, 1)),
        )
    write_report(paths, replayed(SPEC, records))
    return paths


@pytest.fixture(scope="module")
def half(storage):
    paths = SweepPaths(storage=storage, name="half")
    write_report(paths, replayed(HALF, example_records(HALF, limit=90)))
    return paths


def width(visit):
    return visit.page.evaluate("document.documentElement.scrollWidth")


def assert_still(visit):
    assert visit.errors == []
    assert visit.outside() == []
    assert [url for url in visit.requests if not url.startswith("data:")] == [visit.page.url]


def test_the_page_opens_with_its_sentence_and_its_figure_and_asks_for_nothing(open_page, report):
    visit = open_page(report.report_html.as_uri())
    assert_still(visit)
    lead = visit.page.locator(".lead").first
    said = lead.inner_text().replace("\N{NO-BREAK SPACE}", " ")
    assert said == json.loads(report.report_stamp.read_text())["answer"][0].replace("`", "")
    figure = visit.page.get_by_role("img", name=re.compile("^Test accuracy against domain"))
    (shown,) = [each for each in figure.all() if each.is_visible()]
    box = shown.bounding_box()
    assert box["width"] > 600
    assert lead.bounding_box()["y"] < box["y"] < 400, "seen without scrolling"


def test_on_a_phone_nothing_sticks_out_and_the_figure_can_be_read(open_page, report):
    visit = open_page(report.report_html.as_uri(), size=PHONE)
    assert width(visit) == PHONE[0]
    figures = visit.page.get_by_role("img", name=re.compile("^Test accuracy against domain"))
    (shown,) = [each for each in figures.all() if each.is_visible()]
    words = shown.locator("text").all()
    assert {"100", "1,600"} <= {word.text_content() for word in words}
    assert min(word.bounding_box()["height"] for word in words) > 9
    visit.page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    assert width(visit) == PHONE[0], "opened tables scroll by themselves"


def test_a_long_name_is_broken_on_a_phone(open_page, tmp_path):
    bullets = Bullets(items=(f"Class `{'x' * 60}`.",))
    page = Page(title="t", subtitle="", sections=(Section(title="s", blocks=(bullets,)),))
    (tmp_path / "page.html").write_bytes(render_html(page))
    assert width(open_page((tmp_path / "page.html").as_uri(), size=PHONE)) == PHONE[0]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_word_of_every_figure_stands_out_from_the_page(open_page, report, scheme):
    visit = open_page(report.report_html.as_uri(), scheme=scheme)
    contrasts = visit.page.evaluate(CONTRASTS)
    assert len(contrasts) > 50
    assert contrasts[0][0] >= LEAST_CONTRAST, contrasts[:3]


def test_at_night_the_page_and_its_figures_are_dark(open_page, report):
    visit = open_page(report.report_html.as_uri(), scheme="dark")
    assert visit.page.evaluate("getComputedStyle(document.body).backgroundColor") == (
        "rgb(22, 22, 22)"
    )
    fills = visit.page.evaluate(
        "[...document.querySelectorAll('svg path, svg rect')].map(e => getComputedStyle(e).fill)"
    )
    assert "rgb(255, 255, 255)" not in fills


def test_every_figure_says_in_words_what_it_shows(open_page, report):
    visit = open_page(report.report_html.as_uri())
    figures = visit.page.locator("svg").all()
    assert len(figures) > 10
    assert all(len(figure.get_attribute("aria-label") or "") > 20 for figure in figures)


def test_what_is_folded_opens_by_a_click(open_page, report):
    visit = open_page(report.report_html.as_uri())
    cells = visit.page.get_by_text("classifier rate", exact=True)
    assert not cells.is_visible()
    visit.page.get_by_text("All 39 cells with their settings").click()
    assert cells.is_visible()


def test_on_paper_the_page_is_white_and_nothing_is_folded(open_page, report):
    visit = open_page(report.report_html.as_uri(), scheme="dark")
    visit.page.emulate_media(media="print", color_scheme="dark")
    assert visit.page.evaluate("getComputedStyle(document.body).backgroundColor") == (
        "rgb(255, 255, 255)"
    )
    assert visit.page.get_by_text("classifier rate", exact=True).is_visible()


def test_a_half_finished_sweep_says_what_is_missing(open_page, half):
    visit = open_page(half.report_html.as_uri())
    assert_still(visit)
    rows = read_csv(half.results_csv)
    finished = sum(row.is_finished for row in rows)
    assert 0 < finished < len(rows)
    assert (
        visit.page.locator(".lead")
        .first.inner_text()
        .startswith(f"So far, from {finished} of {len(rows)} cells:")
    )
    assert visit.page.get_by_text(": unstarted.").first.is_visible()


def test_two_sweeps_stand_side_by_side(open_page, storage, report, half):
    recorded = [
        (SweepPaths(storage=storage, name=spec.name), replayed(spec, records))
        for spec, records in (
            (SPEC, example_records(SPEC)),
            (HALF, example_records(HALF, limit=90)),
        )
    ]
    visit = open_page(write_comparison(recorded).as_uri())
    assert_still(visit)
    first, second = visit.page.locator(".gallery svg").all()
    assert first.bounding_box()["y"] == second.bounding_box()["y"]
    assert first.bounding_box()["x"] < second.bounding_box()["x"]
    assert width(open_page(visit.page.url, size=PHONE)) == PHONE[0]
