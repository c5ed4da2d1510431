"""Searcher: Ray Tune's searcher and scheduler over a control; no policy of its own.

Tune asks for a configuration and tells results; both are passed on. A request travels as a text in
the configuration, epochs and outcomes come back as texts. Nothing is saved for `Tuner.restore`: the
ledger is what a later run starts from. An error of ours must not look like a failed trial, so it is
kept, everything is stopped, and the launcher raises it.

Tune's calls for one trial, in order: `suggest`, `on_trial_start` when a worker has it,
`on_trial_result` after each epoch, `on_trial_complete`. Where its worker is lost, the scheduler's
`on_trial_error`, then `on_trial_recover`, and `on_trial_start` again; after the last repetition
`on_trial_error` and `on_trial_complete` with `error=True`. Before every start there is
`choose_trial_to_run`.
"""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ray.tune import Callback
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler
from ray.tune.search import Searcher

from sweeps.errors import ClusterError
from sweeps.search.breaks import BOW_OUT_OF_MEMORY, OUT_OF_MEMORY, TOO_LONG, VANISHED
from sweeps.search.bridge import Bridge, HandedOut
from sweeps.search.control import NoRequest
from sweeps.search.messages import (
    AVOIDED,
    BROKEN,
    CHECKPOINT,
    CPUS,
    FAILURE,
    GPUS,
    HALVES,
    INHERITED,
    LOST_ENCODER,
    MISFIT,
    NODE,
    OUTCOME,
    PARTS,
    PROGRESS,
    REQUEST,
    SAVED,
    dump_request,
    load_outcome,
    load_progress,
)
from sweeps.search.places import Place
from sweeps.search.records import TrialKey
from ulm.regimes import Regime

SPENT_MEANWHILE = "the budget was spent while it waited for a node"
LOW_ON_MEMORY = "low on memory"  # of Ray's memory monitor, when it has ended a worker
BROKE_THERE = "trials of several cells broke there and none ended there; the last one with: {}"
POLL_SECONDS = 0.1  # where nothing runs, Tune asks as often as it can


class SweepSearcher(Searcher):
    """Asks the control for every trial and tells it how each ended.

    Args:
        bridge: Shared with the scheduler.
    """

    def __init__(self, bridge: Bridge) -> None:
        super().__init__()
        self._bridge = bridge

    def __getstate__(self) -> dict[str, Any]:
        # Tune pickles searchers; a control holds databases and threads.
        return {}

    def set_search_properties(self, *args: Any, **kwargs: Any) -> bool:
        """Metric, mode and space are the studies' business."""
        return True

    def set_max_concurrency(self, max_concurrent: int) -> bool:
        """The bridge has the limit; Tune's ConcurrencyLimiter then only passes calls on."""
        return True

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """The configuration of the next trial, None to be asked again, or FINISHED."""
        suggestion: dict[str, Any] | str | None = self._bridge.guarded(
            lambda: self._suggest(trial_id), Searcher.FINISHED
        )
        return suggestion

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """A trial ended: with an outcome, a failure, a crash, or because all was stopped."""
        self._bridge.guarded(lambda: self._complete(trial_id, result or {}, error), None)

    def save_to_dir(self, checkpoint_dir: str, session_str: str = "default") -> None:
        """Nothing to save: the ledger holds everything."""

    def _suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        bridge = self._bridge
        if bridge.unfit is not None:  # else that node, always free, would draw every trial
            return str(Searcher.FINISHED)
        if bridge.is_full:
            return None
        request = bridge.control.next_request(fits=bridge.room(), waits=True)
        if isinstance(request, NoRequest):
            return Searcher.FINISHED if request is NoRequest.DONE else None
        holds_gpu = request.cell.regime != Regime.BOW
        bridge.handed_out[trial_id] = HandedOut(key=request.key, holds_gpu=holds_gpu)
        avoided = bridge.places.avoided
        return {
            **({AVOIDED: avoided} if avoided else {}),
            REQUEST: dump_request(request),
            CPUS: bridge.spec.resources.cpus,
            GPUS: bridge.spec.resources.gpus if holds_gpu else 0.0,
            CHECKPOINT: bridge.left.get(request.key.place),
        }

    def _complete(self, trial_id: str, result: dict[str, Any], error: bool) -> None:
        bridge = self._bridge
        handed = bridge.handed_out.get(trial_id)
        if handed is None:
            return
        key = handed.key
        if {OUTCOME, FAILURE, PROGRESS} & result.keys():
            bridge.breaks.ended()
            bridge.places.ended(trial_id, key.study.cell_id)
        place = bridge.places.unfit(trial_id) if NODE in result else None
        bridge.forget(trial_id)
        if error:
            bridge.control.give_up(key, handed.reason)
            if bridge.breaks.gave_up(trial_id, key.study.cell_id, handed.reason):
                self._blame(trial_id, handed)
        elif OUTCOME in result:
            bridge.control.finish(key, load_outcome(result[OUTCOME]))
        elif FAILURE in result:
            bridge.control.fail(key, result[FAILURE])
        elif BROKEN in result:
            bridge.control.give_up(key, result[BROKEN])
        elif MISFIT in result:
            reason, encoder = result[MISFIT], result.get(LOST_ENCODER)
            if NODE in result:
                self._unfit_node(place, reason)
            elif encoder is None:
                bridge.unfit = ClusterError(reason)
            elif not bridge.control.encoder_lost(encoder, reason):
                bridge.unfit = ClusterError(f"{reason}: run again, it is then put there anew")
            bridge.control.lose(key, reason)

    def _unfit_node(self, place: Place | None, reason: str) -> None:
        """Put out a node that is not fit; where it is not to be put out, the run ends."""
        if place is None:
            self._bridge.unfit = ClusterError(
                f"{reason}; no trial was started since, run again to go on"
            )
        elif not self._bridge.places.is_out(place):
            self._bridge.put_out(place, f"it is not fit, {reason}")

    def _blame(self, trial_id: str, handed: HandedOut) -> None:
        """Put out nodes on which trials break, or end the run where none is at work on others."""
        bridge, breaks = self._bridge, self._bridge.breaks
        suspects = bridge.places.suspects(
            breaks.given_up.values(), holds_gpu=handed.holds_gpu, since=breaks.given_up_since
        )
        if suspects is not None:
            for place in suspects:
                bridge.put_out(place, BROKE_THERE.format(handed.reason))
            breaks.ended()
            return
        names = bridge.places.names(trial_id)
        bridge.unfit = ClusterError(
            f"trials must end somewhere, found {len(breaks.given_up)} of different cells in a row "
            f"that broke at every attempt, the last one{f' on {names}' if names else ''} with: "
            f"{handed.reason}; mend that and run again: what is recorded stays, and the trials "
            "that broke are asked again"
        )


class SweepCallback(Callback):
    """Tells the control which trials a worker has: one that waits for a node costs nothing.

    Args:
        bridge: Shared with searcher and scheduler.
    """

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def on_trial_start(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """A worker has it, for the first time or again."""
        bridge = self._bridge
        if trial.trial_id in bridge.handed_out:
            bridge.started(trial.trial_id)
            bridge.guarded(lambda: self._begins(trial), None)

    def on_trial_recover(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """Its worker vanished; it goes on where there is room."""
        bridge = self._bridge
        if trial.trial_id in bridge.handed_out:
            bridge.came_back(trial)
            handed = bridge.handed_out[trial.trial_id]
            bridge.guarded(lambda: bridge.control.waits(handed.key, handed.reason), None)

    def _begins(self, trial: Trial) -> None:
        bridge, handed = self._bridge, self._bridge.handed_out[trial.trial_id]
        bridge.control.begins(handed.key)
        if bridge.place_of is not None:
            place = bridge.place_of(trial)
            bridge.places.began(trial.trial_id, place, holds_gpu=handed.holds_gpu)


class SweepScheduler(FIFOScheduler):
    """First in, first out; passes epochs on and stops what the control stops.

    A trial whose worker vanished goes before new ones. Tune would put it last: with fewer workers
    than before it would wait for the end of the sweep, and all that its cell still needs with it.
    One that raised an error is held back for a while, and others go before it.

    Args:
        bridge: Shared with the searcher.
    """

    def __init__(self, bridge: Bridge) -> None:
        super().__init__()
        self._bridge = bridge

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """CONTINUE or STOP."""
        handed = self._bridge.handed_out.get(trial.trial_id)
        if handed is None or PROGRESS not in result:
            return str(self.CONTINUE)
        goes_on = self._bridge.guarded(lambda: self._report(handed.key, result), False)
        return str(self.CONTINUE if goes_on else self.STOP)

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """The first trial that was lost; else None, and Tune starts what it can, in its order."""
        if self._bridge.guarded(self._nothing_may_start, True):
            self._end_what_waits(tune_controller)
        self._release(tune_controller)
        return next((t for t in self._bridge.lost if t.status == Trial.PENDING), None)

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        """One that broke comes back: for Tune it is paused until it may go on."""
        handed = self._bridge.handed_out.get(trial.trial_id)
        if trial.num_failures and handed is not None:
            self._bridge.breaks.hold(trial.trial_id, trial.num_failures, handed.reason)
            tune_controller._set_trial_status(trial, Trial.PAUSED)

    def _release(self, tune_controller: Any) -> None:
        """Let go on what was held back for long enough, where it may go."""
        bridge = self._bridge
        if bridge.breaks.held and bridge.breaks.held == bridge.handed_out.keys():
            time.sleep(POLL_SECONDS)
        for trial in bridge.lost:
            if trial.status == Trial.PAUSED and bridge.breaks.is_due(trial.trial_id):
                bridge.breaks.release(trial.trial_id)
                if trial.config.get(AVOIDED, "") != bridge.places.avoided:
                    trial.config[AVOIDED] = bridge.places.avoided
                    resources = trial.get_trainable_cls().default_resource_request(trial.config)
                    trial.update_resources(resources)
                tune_controller._set_trial_status(trial, Trial.PENDING)

    def _report(self, key: TrialKey, result: dict[str, Any]) -> bool:
        control, progress = self._bridge.control, load_progress(result[PROGRESS])
        if INHERITED in result:
            control.inherits(key, float(result[INHERITED]), progress)
        return control.report(key, progress, is_saved=bool(result.get(SAVED, True)))

    def _nothing_may_start(self) -> bool:
        self._bridge.check()
        is_over = self._bridge.unfit is not None or self._bridge.control.is_over_budget
        return is_over and any(each.is_waiting for each in self._bridge.handed_out.values())

    def _end_what_waits(self, tune_controller: Any) -> None:
        """Ask Tune once to end each; after an error of ours that is not recorded."""
        handed_out = self._bridge.handed_out
        waiting = {id_: each for id_, each in handed_out.items() if each.is_waiting}
        self._bridge.guarded(lambda: self._withdraw(waiting), None)
        for each in waiting.values():
            each.is_waiting = False
        for trial in tune_controller.get_trials():
            if trial.trial_id in waiting:
                tune_controller.stop_trial(trial)

    def _withdraw(self, waiting: Mapping[str, HandedOut]) -> None:
        reason = SPENT_MEANWHILE if self._bridge.unfit is None else str(self._bridge.unfit)
        for trial_id, each in waiting.items():
            self._bridge.forget(trial_id)
            self._bridge.control.lose(each.key, reason)

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        """Keep the reason; the searcher hears of the end next.

        Where memory did not suffice, half a batch at a time is tried from now on; `bow` has none.
        """
        bridge = self._bridge
        handed = bridge.handed_out.get(trial.trial_id)
        if handed is None:
            return
        errors = _error_text(trial)
        if handed.is_overdue:
            handed.reason = TOO_LONG
        elif errors is not None:
            handed.reason = _reason(errors, holds_gpu=handed.holds_gpu)
            if handed.reason == OUT_OF_MEMORY:
                trial.config[PARTS] = HALVES
        handed.is_overdue = False
        place = bridge.places.broke(trial.trial_id, handed.reason)
        if place is not None:
            bridge.put_out(place, BROKE_THERE.format(handed.reason))


def _error_text(trial: Trial) -> str | None:
    """What Tune wrote of a trial's errors on this machine; `get_error` looks on the storage."""
    file = trial.error_file
    return None if file is None else Path(file).read_text(encoding="utf-8")


def _reason(errors: str, *, holds_gpu: bool) -> str:
    """The cause of the last error where it is known, else that the worker vanished."""
    last = errors.rpartition("Failure # ")[2]
    if LOW_ON_MEMORY in last:
        return OUT_OF_MEMORY if holds_gpu else BOW_OUT_OF_MEMORY
    lines = last.splitlines()
    is_raised = len(lines) > 2 and "ray::" in lines[1]
    return lines[-1].strip() if is_raised else VANISHED
