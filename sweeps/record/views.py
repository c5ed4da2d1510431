"""Views: the arrangements of MLflow's runs page that a sweep is read by (pure).

Tags of an experiment go out. MLflow's page keeps what a person saves there under *Views* as such
tags: filter, order, columns, charts; so these stand in that menu from the beginning. An MLflow that
knows no such tags ignores them.
"""

import base64
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

TAG = "mlflow.sharedViewState.ulm-"
EXPERIMENT = "{experiment}"
"""Stands in notes for the id of the experiment, which a store knows and nobody else."""
MAX_RUNS = 100  # that a chart draws; MLflow's page loads no more at once
CHART_PIXELS = 560
_SAVED_AT = 1_700_000_000_000  # milliseconds: the menu lists the newest first, settled ones stay


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """One arrangement.

    Args:
        key: Name in addresses.
        name: Name in the menu.
        runs: Filter.
        columns: Params and metrics, dotted: `params.size`.
        order: Column to order by.
        is_ascending: Smallest first.
        chart: The chart of the page's chart mode.
    """

    key: str
    name: str
    runs: str
    columns: Sequence[str]
    order: str
    is_ascending: bool = True
    chart: Mapping[str, Any]

    def link(self, text: str, *, has_charts: bool = False) -> str:
        """A Markdown link to it, for a note."""
        mode = "&compareRunsMode=CHART" if has_charts else ""
        return f"[{text}](#/experiments/{EXPERIMENT}/runs?viewStateShareKey=ulm-{self.key}{mode})"


def _quoted(column: str) -> str:
    kind, _, name = column.partition(".")
    return f"{kind}.`{name}`"


_CELLS = View(
    key="cells",
    name="cells: scores, chosen settings, cost",
    runs="tags.kind = 'cell'",
    columns=(
        "params.regime",
        "params.size",
        "params.seed",
        "metrics.test_accuracy",
        "metrics.validation_accuracy",
        "params.lm_learning_rate",
        "params.classifier_learning_rate",
        "metrics.accelerator_seconds",
    ),
    order="metrics.test_accuracy",
    is_ascending=False,
    chart={
        "type": "SCATTER",
        "displayName": "test accuracy against held-out accuracy",
        "xaxis": {"key": "validation_accuracy", "type": "METRIC"},
        "yaxis": {"key": "test_accuracy", "type": "METRIC"},
    },
)
_CURVES = View(
    key="curves",
    name="curves: accuracy against size",
    runs="tags.kind = 'curve'",
    columns=("params.regime", "params.seed", "metrics.test_accuracy"),
    order="tags.mlflow.runName",
    chart={
        "type": "LINE",
        "displayName": "test accuracy against domain documents",
        "metricKey": "test_accuracy",
        "selectedMetricKeys": ["test_accuracy"],
        "xAxisKey": "step",
        "xAxisScaleType": "log",
        "scaleType": "linear",
        "lineSmoothness": 0,
        "useGlobalXaxisKey": False,
        "useGlobalLineSmoothing": True,
    },
)


def _trials(key: str, stage: str, score: str, *, is_ascending: bool) -> View:
    return View(
        key=key,
        name=f"{stage.replace('_', ' ')} trials: learning rates against score",
        runs=f"tags.kind = 'trial' and params.stage = '{stage}' and params.regime != 'bow' "
        "and tags.`ulm.state` != 'superseded'",
        columns=(
            "params.regime",
            "params.size",
            "params.seed",
            f"metrics.{score}",
            "params.learning_rate",
            "params.decay",
        ),
        order=f"metrics.{score}",
        is_ascending=is_ascending,
        chart={
            "type": "PARALLEL",
            "displayName": f"learning rates against {score.replace('_', ' ')}",
            "selectedParams": ["regime", "learning_rate"],
            "selectedMetrics": [score],
            "showAllRuns": False,
        },
    )


VIEWS = (
    _CELLS,
    _CURVES,
    _trials("classifiers", "classifier", "validation_accuracy", is_ascending=False),
    _trials("language-models", "language_model", "validation_loss", is_ascending=True),
)
"""In the order of the menu."""


def _state(view: View) -> dict[str, Any]:
    section = {"uuid": "ulm", "name": view.name, "display": True, "isReordered": False}
    section |= {"columns": 1, "cardHeight": CHART_PIXELS}
    chart = {
        "uuid": f"ulm-{view.key}",
        "metricSectionId": section["uuid"],
        "runsCountToCompare": MAX_RUNS,
        "deleted": False,
        "isGenerated": False,
        **view.chart,
    }
    return {
        "searchFilter": view.runs,
        "orderByKey": _quoted(view.order),
        "orderByAsc": view.is_ascending,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": [_quoted(column) for column in view.columns],
        "runsHiddenMode": "SHOWALL",
        "compareRunCharts": [chart],
        "compareRunSections": [{**section, "deleted": False, "isGenerated": False}],
        "groupBy": None,
        "hideEmptyCharts": True,
    }


def experiment_tags() -> dict[str, str]:
    """Tags that make an experiment's page a sweep's: its kind and its views."""
    tags = {"mlflow.experimentKind": "custom_model_development"}
    for place, view in enumerate(VIEWS):
        packed = zlib.compress(json.dumps(_state(view)).encode())
        saved = {
            "name": view.name,
            "createdAt": _SAVED_AT - 1000 * place,
            "updatedAt": _SAVED_AT - 1000 * place,
            "state": f"deflate;{base64.b64encode(packed).decode()}",
        }
        tags[TAG + view.key] = json.dumps(saved)
    return tags
