import re
from dataclasses import replace

import pytest

from sweeps.paths import SweepPaths
from sweeps.report import comparison
from sweeps.report.comparison import write_comparison
from sweeps.report.curve_plots import draw_curves, view_of
from sweeps.report.evidence import Evidence
from sweeps.report.phrases import rounded
from sweeps.spec.cells import make_cells
from sweeps.spec.values import LabelSpec
from tests.sweeps.example_sweep import example_records, example_spec, replayed

FIRST = example_spec(name="first")
SECOND = example_spec(name="second", labels=LabelSpec(train=50), sizes=(100, 800), seeds=(0, 1, 2))


@pytest.fixture
def compare(tmp_path):
    """The page of some specs, each with the records of a finished or of a shorter run."""

    def page_of(*specs, limit=None, storages=("a", "a")):
        recorded = [
            (
                SweepPaths(storage=str(tmp_path / storage), name=spec.name),
                replayed(spec, example_records(spec, limit=limit)),
            )
            for spec, storage in zip(specs, storages, strict=True)
        ]
        return write_comparison(recorded)

    return page_of


def line_of(page, name):
    (line,) = re.findall(rf"<tr><td class=\"text\">{re.escape(name)}</td>(.*?)</tr>", page)
    return re.findall(r"<td[^>]*>(.*?)</td>", line)


def test_the_page_lies_beside_the_first_report_and_names_the_others(compare, tmp_path):
    file = compare(FIRST, SECOND)
    assert file == tmp_path / "a" / "first" / "report" / "beside-second.html"


def test_every_point_of_any_sweep_has_a_line_and_missing_ones_a_dash(compare):
    page = compare(FIRST, SECOND).read_text()
    assert line_of(page, "<code>domain</code> at 400")[1] == "–"
    assert line_of(page, "<code>domain</code> at 800")[0] == "–"
    assert "–" not in line_of(page, "<code>domain</code> at 100")


def test_only_what_differs_between_the_specs_is_shown(compare):
    page = compare(FIRST, SECOND).read_text()
    assert line_of(page, "<code>labels.train</code>") == ["100", "50"]
    assert line_of(page, "<code>seeds</code>") == ["0, 1", "0, 1, 2"]
    assert "labels.validation" not in page
    assert "<code>name</code>" not in page


def test_specs_that_say_the_same_are_said_to(compare):
    assert "Their specs say the same." in compare(FIRST, replace(FIRST, name="b")).read_text()


def test_the_curves_share_one_scale(compare):
    page = compare(FIRST, SECOND).read_text()
    figures = re.findall(r"<svg .*?</svg>", page, flags=re.DOTALL)
    marks = [set(re.findall(r">(\d\d)</text>", figure)) for figure in figures]
    assert len(figures) == 2
    assert marks[0] == marks[1]


def test_sweeps_of_one_name_are_told_apart_by_their_folders(compare, tmp_path):
    page = compare(FIRST, FIRST, storages=("a", "b")).read_text()
    for storage in ("a", "b"):
        assert str(tmp_path / storage / "first") in page


def test_sweeps_with_nothing_finished_are_compared_without_curves(compare):
    page = compare(FIRST, SECOND, limit=0).read_text()
    assert page.count("No answer yet.") == 2
    assert "<svg" not in page


def test_the_shared_scale_holds_every_curve(compare, monkeypatch):
    drawn = []

    def noting(figure, text, *, limits, **options):
        drawn.append((view_of(figure), limits))
        return draw_curves(figure, text, limits=limits, **options)

    monkeypatch.setattr(comparison, "draw_curves", noting)
    compare(FIRST, SECOND)
    ((low, high),) = {limits for _, limits in drawn}
    views = [view for view, _ in drawn]
    assert (low, high) == (min(view[0] for view in views), max(view[1] for view in views))
    assert views[0] != views[1]


def test_what_each_sweep_cost_is_of_all_its_trials(compare):
    page = compare(FIRST, SECOND).read_text()
    for spec in (FIRST, SECOND):
        records = example_records(spec)
        hours = sum(r.ended_at - r.started_at for r in records) * spec.resources.cpus / 3600
        line = line_of(page, spec.name)
        assert line[0] == str(len(make_cells(spec)))
        assert (line[1], line[-1]) == (f"{len(records)}", f"{hours:.2g} CPU")


def test_the_text_that_each_sweep_needs_is_that_of_its_own_report(compare, tmp_path):
    page = compare(FIRST, SECOND).read_text()
    ledger = replayed(FIRST, example_records(FIRST))
    findings = Evidence.gather(SweepPaths(storage=str(tmp_path), name="first"), ledger).findings
    documents = {needed.share: rounded(needed.documents) for needed in findings.gain.needed}
    assert documents[0.75] in line_of(page, "75\u00a0% of the gain")[0]
    assert documents[0.9] in line_of(page, "90\u00a0% of the gain")[0]
    passed = rounded(findings.over_bow["ulm+domain"].documents)
    assert passed in line_of(page, "passing <code>bow</code>")[0]
    line = line_of(page, "<code>domain</code> passing <code>ulm+domain</code>")
    assert line[0].startswith("not up to 1,600")
