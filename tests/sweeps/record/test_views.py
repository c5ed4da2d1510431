import base64
import json
import re
import zlib

import pytest

from sweeps.answer.results import make_rows
from sweeps.record.book import RunBook
from sweeps.record.views import EXPERIMENT, TAG, VIEWS, experiment_tags
from sweeps.spec.cells import make_cells
from tests.sweeps.example_sweep import example_records, example_spec, replayed

SPEC = example_spec()
CELLS = make_cells(SPEC)
RECORDS = example_records(SPEC)
BOOK = RunBook(spec=SPEC, cells=CELLS)
RUNS = (*BOOK.reconcile(RECORDS), *BOOK.publish(make_rows(replayed(SPEC, RECORDS))))


def shown_by(view):
    """Runs that pass a view's filter."""
    kind = re.search(r"tags.kind = '(\w+)'", view.runs)[1]
    stage = re.search(r"params.stage = '(\w+)'", view.runs)
    runs = [run for run in RUNS if run.kind == kind]
    return [r for r in runs if stage is None or r.params["stage"] == stage[1]]


def numbers(run):
    return {point.name for point in run.points}


def state(view):
    saved = json.loads(experiment_tags()[TAG + view.key])
    return json.loads(zlib.decompress(base64.b64decode(saved["state"].removeprefix("deflate;"))))


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.key)
def test_every_column_of_a_view_is_filled_by_the_runs_it_shows(view):
    runs = shown_by(view)
    assert runs
    params = {name for run in runs for name in run.params}
    metrics = {name for run in runs for name in numbers(run)}
    for column in view.columns:
        kind, _, name = column.partition(".")
        assert name in {"params": params, "metrics": metrics}[kind]


@pytest.mark.parametrize("key", ["classifiers", "language-models"])
def test_every_trial_of_a_neural_study_has_what_its_parallel_coordinates_show(key):
    (view,) = [view for view in VIEWS if view.key == key]
    for run in shown_by(view):
        if run.params["regime"] != "bow":
            assert set(view.chart["selectedParams"]) <= set(run.params)
            assert set(view.chart["selectedMetrics"]) <= numbers(run)


def test_what_mlflow_reads_is_the_view():
    (view,) = [view for view in VIEWS if view.key == "curves"]
    assert state(view)["searchFilter"] == "tags.kind = 'curve'"
    assert state(view)["orderByKey"] == "tags.`mlflow.runName`"
    (chart,) = state(view)["compareRunCharts"]
    assert (chart["metricKey"], chart["xAxisScaleType"]) == ("test_accuracy", "log")
    assert chart["metricSectionId"] == state(view)["compareRunSections"][0]["uuid"]


def test_the_menu_lists_the_newest_first_so_the_views_are_dated_in_their_order():
    saved = [json.loads(experiment_tags()[TAG + view.key])["createdAt"] for view in VIEWS]
    assert saved == sorted(saved, reverse=True)


def test_a_link_names_the_experiment_by_what_the_store_replaces():
    link = VIEWS[0].link("cells", has_charts=True)
    assert link.startswith(f"[cells](#/experiments/{EXPERIMENT}/runs?viewStateShareKey=ulm-cells")
