import re
from dataclasses import replace

import pytest

from sweeps.paths import SweepPaths
from sweeps.report.comparison import write_comparison
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
