"""Studies: Optuna behind ask, report, prune and tell; the only file that knows it.

Records and questions come in, hyperparameters go out, and the storage (SQLite beside the sweep, or
PostgreSQL by URL) keeps one Optuna study `<sweep>/<cell>/<stage>` each, opened when first used.

A suggestion is sampled in a study in memory that holds the question's history alone. It can then
depend on nothing else: not on orphans of a crash, nor on trials whose basis was replaced, nor on
what another driver sampled before. The stored study is the record, not the sampler's memory.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import optuna
from optuna.distributions import FloatDistribution
from optuna.samplers import TPESampler
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
from sweeps.search.database import connect_arguments, is_made, unusable
from sweeps.search.ledger import Ledger
from sweeps.search.records import Outcome, Progress, StudyKey, TrialKey, TrialRecord, TrialState
from sweeps.search.suggestions import (
    DRIVER_STOPPED,
    Pruning,
    Question,
    check_meaning,
    middle_of,
)
from sweeps.spec.cells import make_cells
from sweeps.spec.meaning import JSON, meaning
from sweeps.spec.searches import Range
from sweeps.spec.spaces import maximizes
from sweeps.spec.values import SweepSpec
from ulm.regimes import Regime

STARTUP_TRIALS = 3  # random suggestions, the middle included, before TPE models the history

_OPTUNA_STATES = {
    TrialState.RUNNING: OptunaState.RUNNING,
    TrialState.FINISHED: OptunaState.COMPLETE,
    TrialState.PRUNED: OptunaState.PRUNED,
    TrialState.FAILED: OptunaState.FAIL,
    TrialState.LOST: OptunaState.FAIL,
}


def _open_storage(url: str) -> optuna.storages.RDBStorage:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    engine = {"connect_args": connect_arguments(url)}
    try:
        return optuna.storages.RDBStorage(url, engine_kwargs=engine)
    except (SQLAlchemyError, optuna.exceptions.StorageInternalError, ImportError) as error:
        raise unusable(url, error) from error


class OptunaStudies:
    """Studies in an Optuna storage.

    Args:
        url: SQLAlchemy URL of the storage.
        name: Name of the sweep; prefix of its studies.

    Raises:
        StorageError: The storage can not be opened.
    """

    def __init__(self, url: str, name: str) -> None:
        self._storage = _open_storage(url)
        self._name = name
        self._study_ids: dict[StudyKey, int] = {}
        self._trial_ids: dict[TrialKey, int] = {}

    def open(self, meaning: Mapping[str, JSON]) -> tuple[TrialRecord, ...]:
        """See `Studies.open`."""
        sweep = optuna.create_study(
            storage=self._storage, study_name=f"{self._name}/meaning", load_if_exists=True
        )
        if "meaning" in sweep.user_attrs:
            self.check(meaning)
        else:
            sweep.set_user_attr("meaning", dict(meaning))
        return tuple(self._close_orphan(trial) for trial in self._stored())

    def check(self, meaning: Mapping[str, JSON]) -> None:
        """Refuse a meaning other than the recorded one; changes nothing.

        Raises:
            MeaningError: Names each differing key.
        """
        name = f"{self._name}/meaning"
        if name not in optuna.get_all_study_names(self._storage):
            return
        recorded = optuna.load_study(study_name=name, storage=self._storage).user_attrs
        if "meaning" in recorded:
            check_meaning(recorded["meaning"], json.loads(json.dumps(meaning)), self._name)

    def read(self) -> tuple[TrialRecord, ...]:
        """Every attempt as it stands; changes nothing, so a driver may be at work meanwhile."""
        return tuple(record_from(trial.user_attrs, trial.params) for trial in self._stored())

    def suggest(self, question: Question) -> dict[str, float]:
        """See `Studies.suggest`: multivariate TPE (Falkner 2018) over the history."""
        if question.number == 0:
            return middle_of(question.space)
        sampler = TPESampler(
            seed=question.seed % 2**32,
            n_startup_trials=STARTUP_TRIALS,
            multivariate=True,
            constant_liar=False,
        )
        study = _study_in_memory(question.history, question.space, question.maximize, sampler)
        return dict(study.ask(_distributions(question.space)).params)

    def begin(self, record: TrialRecord, space: Mapping[str, Range]) -> None:
        """See `Studies.begin`: one transaction, so that a crash leaves a whole trial or none."""
        study_id, trial = self._study_id(record.key.study), _frozen(record, space)
        self._trial_ids[record.key] = self._storage.create_new_trial(study_id, trial)

    def wait(self, record: TrialRecord) -> None:
        """See `Studies.wait`."""
        attributes = wait_attributes(record)
        self._storage.set_trial_user_attr(self._trial_ids[record.key], WAIT, attributes)

    def report(self, key: TrialKey, progress: Progress, at: float) -> None:
        """See `Studies.report`."""
        trial_id = self._trial_ids[key]
        self._storage.set_trial_user_attr(trial_id, *epoch_attribute(progress, at))
        self._storage.set_trial_intermediate_value(trial_id, progress.epoch, progress.value)

    def should_prune(
        self, record: TrialRecord, history: Sequence[TrialRecord], pruning: Pruning
    ) -> bool:
        """See `Studies.should_prune`: Optuna's median pruner on the history."""
        pruner = optuna.pruners.MedianPruner(
            n_startup_trials=pruning.startup, n_warmup_steps=pruning.warmup_epochs
        )
        study = _study_in_memory(history, {}, pruning.maximize, optuna.samplers.RandomSampler())
        return bool(pruner.prune(study, _frozen(record, {})))

    def end(self, record: TrialRecord) -> None:
        """See `Studies.end`: first all that is known of the end, then Optuna's own state."""
        trial_id = self._trial_ids.pop(record.key)
        self._storage.set_trial_user_attr(trial_id, END, end_attributes(record))
        self._set_state(trial_id, record)

    def close(self) -> None:
        """See `Studies.close`."""
        self._study_ids.clear()
        self._storage.scoped_session.remove()
        self._storage.engine.dispose()

    def _stored(self) -> Iterable[FrozenTrial]:
        """Every trial, straight from the storage: a study of Optuna's costs five queries."""
        for study in sorted(self._storage.get_all_studies(), key=lambda study: study.study_name):
            if study.study_name.startswith(f"{self._name}/"):
                for trial in self._storage.get_all_trials(study._study_id, deepcopy=False):
                    if is_trial(trial.user_attrs):
                        yield trial

    def _study_id(self, key: StudyKey) -> int:
        if key not in self._study_ids:
            name, direction = f"{self._name}/{key}", _direction(maximizes(key.stage))
            study = optuna.create_study(
                storage=self._storage, study_name=name, direction=direction, load_if_exists=True
            )
            self._study_ids[key] = study._study_id
        return self._study_ids[key]

    def _close_orphan(self, trial: FrozenTrial) -> TrialRecord:
        """The record of a trial; one that is RUNNING in the storage is closed first."""
        record = record_from(trial.user_attrs, trial.params)
        if record.state is TrialState.RUNNING:
            ended_at = last_heard_of(trial.user_attrs)
            record = replace(record, state=TrialState.LOST, failure=DRIVER_STOPPED)
            record = replace(record, ended_at=ended_at, kept_at=None)
            self._storage.set_trial_user_attr(trial._trial_id, END, end_attributes(record))
        if trial.state is OptunaState.RUNNING:
            self._set_state(trial._trial_id, record)
        return record

    def _set_state(self, trial_id: int, record: TrialRecord) -> None:
        """As `Study.tell`, which reads a trial twice to say so: a pruned one has its last value."""
        told: Outcome | Progress | None = record.outcome
        if record.state is TrialState.PRUNED and record.progress:
            told = record.progress[-1]
        values = None if told is None else [told.value]
        self._storage.set_trial_state_values(trial_id, _OPTUNA_STATES[record.state], values)


def read_records(paths: SweepPaths, spec: SweepSpec) -> tuple[TrialRecord, ...]:
    """The latest attempt of every trial, superseded ones left out, as `read_ledger` has them."""
    return read_ledger(paths, spec).records


def read_ledger(paths: SweepPaths, spec: SweepSpec) -> Ledger:
    """The ledger of a run folder, empty where no run was, to be asked; changes nothing.

    Raises:
        StorageError: The ledger can not be opened.
    """
    url = _url_of(paths, spec)
    records: tuple[TrialRecord, ...] = ()
    if url is not None:
        studies = OptunaStudies(url, spec.name)
        try:
            records = studies.read()
        finally:
            studies.close()
    general = _general_encoder_of(records, spec)
    return Ledger(spec, make_cells(spec), records=records, general_encoder=general)


def check_ledger(paths: SweepPaths, spec: SweepSpec) -> None:
    """Ask whether a run could go on from the ledger; changes nothing.

    Raises:
        StorageError: The ledger can not be opened.
        MeaningError: Its cells mean something else than those of the spec.
    """
    url = _url_of(paths, spec)
    if url is None:
        return
    studies = OptunaStudies(url, spec.name)
    try:
        studies.check(meaning(spec))
    finally:
        studies.close()


def _url_of(paths: SweepPaths, spec: SweepSpec) -> str | None:
    """Where the ledger is; None where no run was."""
    if spec.ledger.url is not None:
        return spec.ledger.url if is_made(spec.ledger.url) else None
    return paths.ledger_url if paths.ledger_db.is_file() and is_made(paths.ledger_url) else None


def _general_encoder_of(records: Sequence[TrialRecord], spec: SweepSpec) -> str | None:
    """The encoder that the latest trial of `ulm` or `ulm+domain` was started from."""
    starts = {
        StudyKey(cell_id=cell.id, stage=cell.stages[0])
        for cell in make_cells(spec)
        if not cell.is_general and Regime(cell.regime).starts_from_general
    }
    started = [record for record in records if record.key.study in starts]
    latest = max(started, key=lambda record: record.started_at, default=None)
    return None if latest is None else latest.encoder


def _direction(maximize: bool) -> str:
    return "maximize" if maximize else "minimize"


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
    """A record as Optuna's value; a parameter outside the space has the range of its one value."""
    settled = {name: Range(low=value, high=value) for name, value in record.params.items()}
    known = {name: interval for name, interval in space.items() if name in settled}
    return create_trial(
        state=_OPTUNA_STATES[record.state],
        value=None if record.outcome is None else record.outcome.value,
        params=dict(record.params),
        distributions=_distributions({**settled, **known}),
        intermediate_values={epoch.epoch: epoch.value for epoch in record.progress},
        user_attrs=asked_attributes(record),
    )
