"""Studies: Optuna behind ask, report, prune and tell; beside it only `trial_rows` knows Optuna.

Records and questions come in, hyperparameters go out, and the storage (SQLite beside the sweep, or
PostgreSQL by URL) keeps one Optuna study `<sweep>/<cell>/<stage>` each, made when first used.

A suggestion is sampled in a study in memory that holds the question's history alone. It can then
depend on nothing else: not on orphans of a crash, nor on trials whose basis was replaced, nor on
what another driver sampled before. The stored study is the record, not the sampler's memory.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar
from uuid import uuid4

import optuna
from optuna.distributions import FloatDistribution
from optuna.samplers import TPESampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, create_trial
from optuna.trial import TrialState as OptunaState
from sqlalchemy.exc import SQLAlchemyError

from sweeps.paths import SweepPaths
from sweeps.search.attributes import (
    END,
    WAIT,
    asked_attributes,
    end_attributes,
    epoch_attribute,
    is_trial,
    last_heard_of,
    record_from,
    wait_attributes,
)
from sweeps.search.database import (
    check_takes_database,
    connect_arguments,
    is_made,
    readable,
    unusable,
)
from sweeps.search.ledger import Ledger, replay
from sweeps.search.outage import Outage
from sweeps.search.records import (
    DRIVER_STOPPED,
    Progress,
    StudyKey,
    TrialKey,
    TrialRecord,
    TrialState,
)
from sweeps.search.suggestions import (
    SPREAD_TRIALS,
    Pruning,
    Question,
    diverged,
    spread,
)
from sweeps.search.trial_rows import StoredTrial, TrialRows
from sweeps.spec.cells import make_cells
from sweeps.spec.meaning import JSON, check_meaning, meaning
from sweeps.spec.searches import Range
from sweeps.spec.spaces import maximizes, num_trials
from sweeps.spec.values import SweepSpec

T = TypeVar("T")

SWEEP_ID = "sweep_id"

_OPTUNA_STATES = {
    TrialState.RUNNING: OptunaState.RUNNING,
    TrialState.FINISHED: OptunaState.COMPLETE,
    TrialState.PRUNED: OptunaState.PRUNED,
    TrialState.FAILED: OptunaState.FAIL,
    TrialState.LOST: OptunaState.FAIL,
}


class _Storage(optuna.storages.RDBStorage):
    """Optuna's, which leaves no connection open where it refuses a database."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        try:
            super().__init__(*args, **kwargs)
        except Exception:
            if hasattr(self, "engine"):
                self.engine.dispose()
            raise


def _open_storage(url: str) -> optuna.storages.RDBStorage:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    is_file = url.startswith("sqlite")  # a server may have ended a connection since its last use
    engine = {"connect_args": connect_arguments(url), "pool_pre_ping": not is_file}
    try:
        return _Storage(url, engine_kwargs=engine)
    except (
        SQLAlchemyError,
        optuna.exceptions.StorageInternalError,
        ImportError,
        RuntimeError,  # tables of another version of Optuna
    ) as error:
        raise unusable(url, error) from error


class OptunaStudies:
    """Studies in an Optuna storage.

    Args:
        url: SQLAlchemy URL of the storage.
        name: Name of the sweep; prefix of its studies.
        tell: Hears that a server is away, and is waited for; without it a write fails at once.

    Raises:
        StorageError: The storage can not be opened.
    """

    def __init__(self, url: str, name: str, tell: Callable[[str], None] | None = None) -> None:
        self._storage = _open_storage(url)
        self._name = name
        self._outage = Outage(None if url.startswith("sqlite") else tell)
        self._rows = TrialRows(self._storage.engine, name, self._outage)
        self._study_ids: dict[str, int] = {}
        self._trial_ids: dict[TrialKey, int] = {}
        self.sweep_id = ""
        """Known once it is open: tells the sweep from another of its name with another ledger."""

    def open(self, meaning: Mapping[str, JSON]) -> tuple[TrialRecord, ...]:
        """See `Studies.open`."""
        sweep = optuna.create_study(
            storage=self._storage, study_name=f"{self._name}/meaning", load_if_exists=True
        )
        self.check(meaning)
        recorded = sweep.user_attrs.get("meaning", {})
        if not meaning.keys() <= recorded.keys():
            sweep.set_user_attr("meaning", {**recorded, **meaning})
        if SWEEP_ID not in sweep.user_attrs:
            sweep.set_user_attr(SWEEP_ID, uuid4().hex[:8])
        self.sweep_id = sweep.user_attrs[SWEEP_ID]
        self._study_ids = self._rows.study_ids()
        return tuple(self._close_orphan(trial) for trial in self._stored())

    def check(self, meaning: Mapping[str, JSON]) -> None:
        """Refuse a meaning other than the recorded one; changes nothing.

        Raises:
            MeaningError: Names each differing key.
        """
        recorded = self.recorded_meaning()
        if recorded:
            check_meaning(recorded, json.loads(json.dumps(meaning)), self._name)

    def recorded_meaning(self) -> dict[str, JSON]:
        """What `open` was given first, `CONTENT` with it; empty where it never was."""
        name = f"{self._name}/meaning"
        if name not in optuna.get_all_study_names(self._storage):
            return {}
        study = optuna.load_study(study_name=name, storage=self._storage)
        return dict(study.user_attrs.get("meaning", {}))

    def num_kept(self) -> int:
        """Trials that finished or were pruned, replaced ones included."""
        return self._rows.num_kept()

    def read(self) -> tuple[TrialRecord, ...]:
        """Every attempt as it stands; changes nothing, so a driver may be at work meanwhile."""
        return tuple(record_from(trial.attributes, trial.params) for trial in self._stored())

    def suggest(self, question: Question) -> dict[str, float]:
        """See `Studies.suggest`: spread, then multivariate TPE (Falkner 2018) over the history."""
        if question.number < SPREAD_TRIALS:
            return spread(question)
        sampler = TPESampler(
            seed=question.seed % 2**32,
            n_startup_trials=1,
            multivariate=True,
            constant_liar=False,
        )
        study = _study_in_memory(question.history, question.space, question.maximize, sampler)
        return dict(study.ask(_distributions(question.space)).params)

    def begin(self, record: TrialRecord, space: Mapping[str, Range]) -> None:
        """See `Studies.begin`: one transaction, so that a crash leaves a whole trial or none."""
        ranges = _ranges(record, space)
        params = {name: (value, ranges[name]) for name, value in record.params.items()}
        self._trial_ids[record.key] = self._rows.begin(
            self._study_id(record.key.study), params, asked_attributes(record), record.started_at
        )

    def wait(self, record: TrialRecord) -> None:
        """See `Studies.wait`."""
        self._rows.put(self._trial_ids[record.key], {WAIT: wait_attributes(record)})

    def report(self, key: TrialKey, progress: Progress, at: float) -> None:
        """See `Studies.report`."""
        name, attribute = epoch_attribute(progress, at)
        self._rows.report(self._trial_ids[key], progress.epoch, progress.value, {name: attribute})

    def should_prune(
        self, record: TrialRecord, history: Sequence[TrialRecord], pruning: Pruning
    ) -> bool:
        """See `Studies.should_prune`: Optuna's median pruner on the history."""
        finished = sum(other.state is TrialState.FINISHED for other in history)
        if finished < pruning.startup or record.progress[-1].epoch < pruning.warmup_epochs:
            return False  # the pruner would say so too, from a study that takes a millisecond
        pruner = optuna.pruners.MedianPruner(
            n_startup_trials=pruning.startup, n_warmup_steps=pruning.warmup_epochs
        )
        study = _study_in_memory(history, {}, pruning.maximize, optuna.samplers.RandomSampler())
        return bool(pruner.prune(study, _frozen(record, {})))

    def end(self, record: TrialRecord) -> None:
        """See `Studies.end`."""
        self._end(self._trial_ids.pop(record.key), record)

    def close(self) -> None:
        """See `Studies.close`."""
        self._study_ids.clear()
        self._storage.scoped_session.remove()
        self._storage.engine.dispose()

    def _stored(self) -> Sequence[StoredTrial]:
        return [trial for trial in self._rows.read() if is_trial(trial.attributes)]

    def _study_id(self, key: StudyKey) -> int:
        name = f"{self._name}/{key}"
        if name not in self._study_ids:
            direction = _direction(maximizes(key.stage))
            self._study_ids[name] = self._outage.outlast(
                lambda _: self._make_study(name, direction)
            )
        return self._study_ids[name]

    def _make_study(self, name: str, direction: StudyDirection) -> int:
        try:
            return int(self._storage.create_new_study([direction], name))
        except optuna.exceptions.DuplicatedStudyError:  # made before an outage
            return int(self._storage.get_study_id_from_name(name))

    def _close_orphan(self, trial: StoredTrial) -> TrialRecord:
        """The record of a trial; one that is RUNNING in the storage is closed first."""
        record = record_from(trial.attributes, trial.params)
        if record.state is TrialState.RUNNING:
            ended_at = last_heard_of(trial.attributes)
            record = replace(record, state=TrialState.LOST, failure=DRIVER_STOPPED)
            record = replace(record, ended_at=ended_at, told_at=None)
        if trial.is_running:
            self._end(trial.id, record)
        return record

    def _end(self, trial_id: int, record: TrialRecord) -> None:
        """All that is known of the end, and Optuna's own of it: a pruned one has its last value."""
        value = None if record.outcome is None else record.outcome.value
        if record.state is TrialState.PRUNED and record.progress:
            value = record.progress[-1].value
        state, attributes = _OPTUNA_STATES[record.state], {END: end_attributes(record)}
        ended_at = record.started_at if record.ended_at is None else record.ended_at
        self._rows.end(trial_id, state, value, attributes, ended_at)


def read_records(paths: SweepPaths, spec: SweepSpec) -> tuple[TrialRecord, ...]:
    """The latest attempt of every trial, superseded ones left out, as `read_ledger` has them."""
    return read_ledger(paths, spec).records


def read_ledger(paths: SweepPaths, spec: SweepSpec) -> Ledger:
    """The ledger of a run folder, empty where no run was, to be asked; changes nothing.

    Raises:
        StorageError: The ledger can not be opened.
    """
    url = _url_of(paths, spec)
    records = () if url is None else _read(url, spec.name, OptunaStudies.read) or ()
    return replay(spec, make_cells(spec), records)


def _read(url: str, name: str, read: Callable[[OptunaStudies], T]) -> T | None:
    """What is read of the studies; None where there are none."""
    with readable(url) as place:
        if not is_made(place):
            return None
        studies = OptunaStudies(place, name)
        try:
            return read(studies)
        finally:
            studies.close()


def read_meaning(paths: SweepPaths, spec: SweepSpec) -> dict[str, JSON]:
    """What the recorded cells mean, `CONTENT` with it; empty where no run was; changes nothing.

    Raises:
        StorageError: The ledger can not be opened.
    """
    url = _url_of(paths, spec)
    return {} if url is None else _read(url, spec.name, OptunaStudies.recorded_meaning) or {}


def check_ledger(
    paths: SweepPaths, spec: SweepSpec, content: Mapping[str, JSON] | None = None
) -> bool:
    """Ask whether a run could go on from the ledger; changes nothing.

    Args:
        paths: Where the sweep lies.
        spec: The sweep.
        content: What the corpora hold, by the keys of `meaning.CONTENT`, where it is known.

    Returns:
        Whether trials seem to be missing: no more than a count of those kept says so.

    Raises:
        StorageError: The ledger can not be opened, or could not be made.
        MeaningError: Its cells mean something else than those of the spec.
    """
    if spec.ledger.url is None:
        check_takes_database(paths.folder)
    url = _url_of(paths, spec)
    if url is None or not is_made(url):
        return True
    studies = OptunaStudies(url, spec.name)
    try:
        studies.check({**meaning(spec), **(content or {})})
        num_kept = studies.num_kept()
    finally:
        studies.close()
    stages = [(cell, stage) for cell in make_cells(spec) for stage in cell.stages]
    return num_kept < sum(num_trials(spec, cell, stage) for cell, stage in stages)


def _url_of(paths: SweepPaths, spec: SweepSpec) -> str | None:
    """Where the ledger would be; None where no run was."""
    if spec.ledger.url is not None:
        return spec.ledger.url
    return paths.ledger_url if paths.ledger_db.is_file() else None


def _direction(maximize: bool) -> StudyDirection:
    return StudyDirection.MAXIMIZE if maximize else StudyDirection.MINIMIZE


def _distributions(space: Mapping[str, Range]) -> dict[str, FloatDistribution]:
    return {
        name: FloatDistribution(interval.low, interval.high, log=interval.log)
        for name, interval in space.items()
    }


def _study_in_memory(
    history: Sequence[TrialRecord],
    space: Mapping[str, Range],
    maximize: bool,
    sampler: optuna.samplers.BaseSampler,
) -> optuna.Study:
    study = optuna.create_study(direction=_direction(maximize), sampler=sampler)
    study.add_trials([_frozen(record, space) for record in history])
    return study


def _frozen(record: TrialRecord, space: Mapping[str, Range]) -> FrozenTrial:
    """A record as Optuna's value.

    TPE forgets what failed, and so comes back to where trainings diverge; a pruned trial without a
    value is the worst to it. What broke for another reason says nothing of its rate.
    """
    is_worst = diverged(record)
    progress = () if is_worst else record.progress
    return create_trial(
        state=OptunaState.PRUNED if is_worst else _OPTUNA_STATES[record.state],
        value=None if record.outcome is None else record.outcome.value,
        params=dict(record.params),
        distributions=_ranges(record, space),
        intermediate_values={epoch.epoch: epoch.value for epoch in progress},
    )


def _ranges(record: TrialRecord, space: Mapping[str, Range]) -> dict[str, FloatDistribution]:
    """Of each parameter; one outside the space has the range of its one value."""
    settled = {name: Range(low=value, high=value) for name, value in record.params.items()}
    known = {name: interval for name, interval in space.items() if name in settled}
    return _distributions({**settled, **known})
