"""Trial rows: a sweep's trials in the tables of Optuna's storage, one transaction an event.

What is to be kept of a trial comes in and rows go out; Optuna reads them as its own. Its storage
would write them too, attribute by attribute, each looked up through the ORM: 14 ms of CPU for a
trial of one epoch. All trials of a sweep are read back by four queries, not by four a study. What
belongs to one event is kept whole or not at all.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

from optuna.distributions import BaseDistribution, distribution_to_json
from optuna.storages._rdb import models
from optuna.trial import TrialState
from sqlalchemy import Connection, Engine, bindparam, func, insert, select, update

from sweeps.search.outage import Outage

T = TypeVar("T")

_STUDIES = models.StudyModel.__table__
_TRIALS = models.TrialModel.__table__
_PARAMS = models.TrialParamModel.__table__
_ATTRIBUTES = models.TrialUserAttributeModel.__table__
_EPOCHS = models.TrialIntermediateValueModel.__table__
_VALUES = models.TrialValueModel.__table__

_BEGIN = insert(_TRIALS).values(
    number=select(func.count()).where(_TRIALS.c.study_id == bindparam("study")).scalar_subquery(),
    state=TrialState.RUNNING,
)
_END = update(_TRIALS).where(_TRIALS.c.trial_id == bindparam("trial"))
_REPLACE = update(_ATTRIBUTES).where(
    _ATTRIBUTES.c.trial_id == bindparam("trial"), _ATTRIBUTES.c.key == bindparam("name")
)


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredTrial:
    """A trial as it is kept.

    Args:
        id: Its number in the table of all trials.
        is_running: Whether Optuna takes it for running.
        params: Hyperparameters.
        attributes: Named JSON values.
    """

    id: int
    is_running: bool
    params: dict[str, float] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)


class TrialRows:
    """The rows of one sweep's trials; times are unix seconds.

    Args:
        engine: Of a storage that Optuna has made.
        name: Name of the sweep; its studies are `<name>/...`.
        outage: How writes outlast one of the storage.
    """

    def __init__(self, engine: Engine, name: str, outage: Outage) -> None:
        self._engine = engine
        self._outage = outage
        self._prefix = f"{name}/"

    def study_ids(self) -> dict[str, int]:
        """Name → id of the sweep's studies, in the order of their names."""
        wanted = select(_STUDIES.c.study_name, _STUDIES.c.study_id).where(self._is_own)
        with self._engine.connect() as connection:
            return dict(sorted((name, identity) for name, identity in connection.execute(wanted)))

    def read(self) -> tuple[StoredTrial, ...]:
        """Every trial, by study and age; a driver may be at work meanwhile."""
        trials = {
            trial_id: StoredTrial(id=trial_id, is_running=state is TrialState.RUNNING)
            for trial_id, state in self._rows_of(_TRIALS.c.trial_id, _TRIALS.c.state)
        }
        params = self._rows_of(_PARAMS.c.trial_id, _PARAMS.c.param_name, _PARAMS.c.param_value)
        for trial_id, name, value in params:
            if trial_id in trials:  # else it was begun between two queries
                trials[trial_id].params[name] = value
        columns = _ATTRIBUTES.c
        for trial_id, name, text in self._rows_of(
            columns.trial_id, columns.key, columns.value_json
        ):
            if trial_id in trials:
                trials[trial_id].attributes[name] = json.loads(text)
        return tuple(trials.values())

    def num_kept(self) -> int:
        """Trials that finished or were pruned."""
        ended = _TRIALS.c.state.in_([TrialState.COMPLETE, TrialState.PRUNED])
        kept = select(func.count()).where(self._is_own, ended)
        kept = kept.join_from(_TRIALS, _STUDIES, _STUDIES.c.study_id == _TRIALS.c.study_id)
        with self._engine.connect() as connection:
            return int(connection.execute(kept).scalar_one())

    def begin(
        self,
        study_id: int,
        params: Mapping[str, tuple[float, BaseDistribution]],
        attributes: Mapping[str, Any],
        at: float,
    ) -> int:
        """Keep a trial that begins. Returns its id."""
        settled = [
            {"param_name": name, "param_value": value, "distribution_json": distribution_to_json(d)}
            for name, (value, d) in params.items()
        ]

        def begun(connection: Connection) -> int | None:
            same = _TRIALS.c.study_id == study_id, _TRIALS.c.datetime_start == _date(at)
            return connection.execute(select(_TRIALS.c.trial_id).where(*same)).scalar()

        def begin(connection: Connection) -> int:
            trial = {"study_id": study_id, "study": study_id, "datetime_start": _date(at)}
            (trial_id,) = connection.execute(_BEGIN, trial).inserted_primary_key or (0,)
            for row in settled:
                connection.execute(insert(_PARAMS), {"trial_id": trial_id, **row})
            _add(connection, trial_id, attributes)
            return int(trial_id)

        return self._keep(begin, begun)

    def put(self, trial_id: int, attributes: Mapping[str, Any]) -> None:
        """Keep attributes, in the place of earlier ones of the same names."""
        self._keep(lambda connection: _replace(connection, trial_id, attributes))

    def report(self, trial_id: int, step: int, value: float, attributes: Mapping[str, Any]) -> None:
        """Keep the value of an epoch, and the rest of it as attributes; once each."""
        stored, kind = models.TrialIntermediateValueModel.intermediate_value_to_stored_repr(value)
        row = {"intermediate_value": stored, "intermediate_value_type": kind}

        def report(connection: Connection) -> None:
            connection.execute(insert(_EPOCHS), {"trial_id": trial_id, "step": step, **row})
            _add(connection, trial_id, attributes)

        same = _EPOCHS.c.trial_id == trial_id, _EPOCHS.c.step == step
        reported = select(_EPOCHS.c.step).where(*same)
        self._keep(report, lambda connection: connection.execute(reported).scalar())

    def end(
        self,
        trial_id: int,
        state: TrialState,
        value: float | None,
        attributes: Mapping[str, Any],
        at: float,
    ) -> None:
        """Keep how a trial ended, with its value where it has one."""

        def end(connection: Connection) -> None:
            _replace(connection, trial_id, attributes)
            if value is not None:
                stored, kind = models.TrialValueModel.value_to_stored_repr(value)
                row = {"objective": 0, "value": stored, "value_type": kind}
                connection.execute(insert(_VALUES), {"trial_id": trial_id, **row})
            ended = {"trial": trial_id, "state": state, "datetime_complete": _date(at)}
            connection.execute(_END, ended)

        has_ended = _TRIALS.c.trial_id == trial_id, _TRIALS.c.state != TrialState.RUNNING
        ended = select(_TRIALS.c.trial_id).where(*has_ended)
        self._keep(end, lambda connection: connection.execute(ended).scalar())

    def _keep(
        self,
        write: Callable[[Connection], T],
        kept: Callable[[Connection], T | None] = lambda connection: None,
    ) -> T:
        """What one transaction returns; after an outage what is kept of it, or it is made again."""

        def transact(is_again: bool) -> T:
            with self._engine.begin() as connection:
                found = kept(connection) if is_again else None
                return write(connection) if found is None else found

        return self._outage.outlast(transact)

    @property
    def _is_own(self) -> Any:
        """Compared as it is: LIKE takes capital letters for small ones on SQLite."""
        head = func.substr(_STUDIES.c.study_name, 1, len(self._prefix))
        return head == self._prefix

    def _rows_of(self, trial_id: Any, *columns: Any) -> Iterator[Any]:
        """Columns of a table of trials, or of what belongs to them, for the sweep's own trials."""
        own = select(trial_id, *columns).where(self._is_own)
        if trial_id.table is not _TRIALS:
            own = own.join(_TRIALS, _TRIALS.c.trial_id == trial_id)
        own = own.join(_STUDIES, _STUDIES.c.study_id == _TRIALS.c.study_id)
        with self._engine.connect() as connection:
            yield from connection.execute(own.order_by(_STUDIES.c.study_name, trial_id))


def _add(connection: Connection, trial_id: int, attributes: Mapping[str, Any]) -> None:
    for name, value in attributes.items():
        row = {"trial_id": trial_id, "key": name, "value_json": json.dumps(value)}
        connection.execute(insert(_ATTRIBUTES), row)


def _replace(connection: Connection, trial_id: int, attributes: Mapping[str, Any]) -> None:
    for name, value in attributes.items():
        row = {"trial": trial_id, "name": name, "value_json": json.dumps(value)}
        if not connection.execute(_REPLACE, row).rowcount:
            _add(connection, trial_id, {name: value})


def _date(at: float) -> datetime:
    """As Optuna keeps dates: in UTC, which is not said."""
    return datetime.fromtimestamp(at, UTC).replace(tzinfo=None)
