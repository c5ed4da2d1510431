"""MLflow: makes a tracking server's runs equal to the sweep's.

Runs come in, one at a time, from the queue of the driver's recorder; calls on `MlflowClient` go
out, in a sweep from a process of their own (`sweeps.record.store_process`). A run is found again by
its tags `ulm.sweep` and `ulm.key`, for sweeps of one name may share an experiment on a server; its
tag `ulm.digest` says what it holds. A run that holds less is completed; one that contradicts is
deleted and made anew, because neither params nor metric points can be altered. So an outage, a kill
or a second start costs calls and nothing else.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sweeps.clock import steady_time
from sweeps.record.mlflow_client import dataset_input, open_client
from sweeps.record.mlflow_models import DIGEST_TAG, log_model
from sweeps.record.models import FittedModel
from sweeps.record.record_file import move_artifacts
from sweeps.record.record_place import RecordPlace
from sweeps.record.runs import TOTALS, MetricPoint, Run, RunStatus
from sweeps.record.views import EXPERIMENT

SWEEP_TAG = "ulm.sweep"
KEY_TAG = "ulm.key"
PARENT_TAG = "mlflow.parentRunId"
_MAX_METRICS, _MAX_PARAMS, _PAGE = 800, 90, 1000  # MLflow takes 1,000, 100 and 1,000 in all


@dataclass(slots=True)
class _Known:
    """A run of the store; `points` is None while its metric history has not been read."""

    run_id: str
    parent: str | None
    status: str
    digest: str
    params: set[tuple[str, str]] = field(default_factory=set)
    points: set[tuple[str, int, str]] | None = None


def _ids(points: Iterable[MetricPoint]) -> set[tuple[str, int, str]]:
    return {(point.name, point.step, repr(point.value)) for point in points}


def _milliseconds(seconds: float | None) -> int:
    return int(1000 * (steady_time() if seconds is None else seconds))


class MlflowStore:
    """The runs of one sweep in one MLflow experiment; every method may raise what MLflow raises.

    Args:
        place: Where they are.
    """

    def __init__(self, place: RecordPlace) -> None:
        self._place = place
        self._client: Any = None
        self._experiment = ""
        self._known: dict[str, _Known] = {}

    def connect(self) -> None:
        """Open the experiment and learn which runs it has; later calls do nothing."""
        if self._client is not None:
            return
        place, client = self._place, open_client(self._place.uri)
        found = client.get_experiment_by_name(place.experiment)
        folder = None if place.artifacts is None else place.artifacts.as_uri()
        if found is None:
            identity = client.create_experiment(place.experiment, artifact_location=folder)
        else:
            identity = found.experiment_id
            if place.is_own and folder is not None and found.artifact_location != folder:
                move_artifacts(place.uri, found.artifact_location, folder)
            if found.lifecycle_stage == "deleted":
                client.restore_experiment(identity)
        self._experiment = identity
        for name, text in place.page.items():
            if found is None or name not in found.tags:
                client.set_experiment_tag(identity, name, text.replace(EXPERIMENT, identity))
        self._learn_runs(client)
        self._client = client

    def close(self) -> None:
        """Let go of the server; what it holds is unknown until the next `connect`."""
        self._client = None
        self._known.clear()

    def _is_ours(self, tags: Mapping[str, str]) -> bool:
        if SWEEP_TAG not in tags:
            return self._place.is_own
        return tags[SWEEP_TAG] == self._place.sweep

    def _learn_runs(self, client: Any) -> None:
        token, doubles = None, []
        only = "" if self._place.is_own else f"tags.`{SWEEP_TAG}` = '{self._place.sweep}'"
        self._known.clear()
        while True:
            page = client.search_runs(
                [self._experiment],
                filter_string=only,
                max_results=_PAGE,
                order_by=["attributes.start_time ASC"],
                page_token=token,
            )
            for run in page:
                key = run.data.tags.get(KEY_TAG)
                if key is None or not self._is_ours(run.data.tags):
                    continue
                if key in self._known:  # made twice by a call that timed out
                    doubles.append(run.info.run_id)
                else:
                    self._known[key] = _Known(
                        run_id=run.info.run_id,
                        parent=run.data.tags.get(PARENT_TAG),
                        status=run.info.status,
                        digest=run.data.tags.get(DIGEST_TAG, ""),
                        params=set(run.data.params.items()),
                    )
            token = page.token
            if not token:
                break
        for run_id in doubles:  # after the last page: a page begins by the number of runs before it
            self._trash(client, run_id)

    def _trash(self, client: Any, run_id: str) -> None:
        client.set_terminated(run_id, RunStatus.KILLED.value)
        client.delete_run(run_id)

    def apply(self, run: Run, parent: Run | None) -> None:
        """Make the store's run equal to this one; nothing is called where it already is."""
        self.connect()
        known = self._known.get(run.key)
        if known is not None and known.digest != run.digest and self._contradicts(known, run):
            self._trash(self._client, known.run_id)
            known = None
        if known is None:
            known = self._create(run, parent)
        self._move_below(known, parent)
        if known.digest != run.digest:
            self._fill(known, run)
        if known.status != run.status:
            self._set_status(known, run)

    def _move_below(self, known: _Known, parent: Run | None) -> None:
        """The parent is another where it was deleted, and made anew."""
        if parent is not None and known.parent != (wanted := self._ensure(parent).run_id):
            self._client.set_tag(known.run_id, PARENT_TAG, wanted)
            known.parent = wanted

    def _contradicts(self, known: _Known, run: Run) -> bool:
        if known.points is None:
            metrics = self._client.get_run(known.run_id).data.metrics
            known.points = {
                (name, point.step, repr(point.value))
                for name in metrics
                for point in self._client.get_metric_history(known.run_id, name)
            }
        points = {point for point in known.points if point[0] not in TOTALS}
        return not (points <= _ids(run.points) and known.params <= set(run.params.items()))

    def _create(self, run: Run, parent: Run | None) -> _Known:
        tags = {
            **self._place.common_tags,
            SWEEP_TAG: self._place.sweep,
            KEY_TAG: run.key,
            "kind": run.kind,
        }
        above = None if parent is None else self._ensure(parent).run_id
        if above is not None:
            tags[PARENT_TAG] = above
        made = self._client.create_run(
            self._experiment,
            start_time=_milliseconds(run.started_at or None),
            tags=tags,
            run_name=run.name,
        )
        known = _Known(
            run_id=made.info.run_id,
            parent=above,
            status=made.info.status,
            digest="",
            points=set(),
        )
        self._known[run.key] = known
        return known

    def _fill(self, known: _Known, run: Run) -> None:
        from mlflow.entities import Metric, Param, RunTag

        held = known.points or set()
        metrics = [
            Metric(point.name, point.value, _milliseconds(point.at), point.step)
            for point in run.points
            if (point.name, point.step, repr(point.value)) not in held
        ]
        told = {(name, step) for name, step, _ in held}
        totals = [point for point in run.totals if (point.name, point.step) not in told]
        metrics += [Metric(p.name, p.value, _milliseconds(p.at), p.step) for p in totals]
        params = [Param(*item) for item in run.params.items() if item not in known.params]
        while len(metrics) > _MAX_METRICS:
            self._client.log_batch(known.run_id, metrics[:_MAX_METRICS])
            metrics = metrics[_MAX_METRICS:]
        while len(params) > _MAX_PARAMS:
            self._client.log_batch(known.run_id, params=params[:_MAX_PARAMS])
            params = params[_MAX_PARAMS:]
        if run.datasets:
            self._client.log_inputs(
                known.run_id, [dataset_input(dataset) for dataset in run.datasets]
            )
        # MLflow writes the tags of a call last: the digest vouches for all that came before
        tags = [
            RunTag(name, text.replace(EXPERIMENT, self._experiment))
            for name, text in {**run.tags, DIGEST_TAG: run.digest}.items()
        ]
        self._client.log_batch(known.run_id, metrics, params, tags)
        known.digest = run.digest
        known.points = _ids(run.points) | {p for p in held if p[0] in TOTALS} | _ids(totals)
        known.params = set(run.params.items())

    def _set_status(self, known: _Known, run: Run) -> None:
        if run.status is RunStatus.RUNNING:
            self._client.update_run(known.run_id, status=run.status.value)
        else:
            end = _milliseconds(run.ended_at)
            self._client.set_terminated(known.run_id, run.status.value, end)
        known.status = run.status.value

    def close_strays(self, keys: frozenset[str]) -> None:
        """Close runs that a killed driver left running and that the ledger does not know."""
        self.connect()
        for key, known in self._known.items():
            if key not in keys and known.status == RunStatus.RUNNING:
                self._client.set_terminated(known.run_id, RunStatus.KILLED.value)
                known.status = RunStatus.KILLED.value

    def attach(self, run: Run, file: Path) -> None:
        """Copy a file into a run's artifacts."""
        self.connect()
        self._client.log_artifact(self._ensure(run).run_id, str(file))

    def keep_model(self, run: Run, model: FittedModel) -> None:
        """Log a model as the one of its regime; one that is there already stays as it is."""
        self.connect()
        log_model(
            self._client,
            self._experiment,
            self._ensure(run).run_id,
            model,
            tags={SWEEP_TAG: self._place.sweep},
            is_ours=self._is_ours,
        )

    def _ensure(self, run: Run) -> _Known:
        """The run as it is, made only where it is missing: `run` may be older than the store's."""
        if run.key not in self._known:
            self.apply(run, None)
        return self._known[run.key]
