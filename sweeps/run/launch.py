"""Launch: one run of a sweep, from a spec to a report; a first run and a resume are the same call.

A spec comes in; everything that would stop the run is checked before the sweep's folder is touched;
then Ray Tune runs what the control hands out, and the records become a report. Ray is started only
if a trial is missing: on its own, or by joining the cluster that `RAY_ADDRESS` or this machine's
head names. What a stopped run leaves is complete: the next call goes on from the ledger.
"""

import time
import uuid
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sweeps.disk import told_when_full
from sweeps.errors import OutageError
from sweeps.live.run_log import RunLog
from sweeps.paths import SweepPaths
from sweeps.record.tracking import check_tracking
from sweeps.run.absent import absent_workers
from sweeps.run.autoscaler import autoscaler_config
from sweeps.run.backup import Backup
from sweeps.run.capacity import current_fleet, idle_gpus, largest_fleet, slots
from sweeps.run.cluster import cluster_address, open_ray
from sweeps.run.context import TrialContext
from sweeps.run.doctor import require_fit_nodes
from sweeps.run.driver import Standing, driver_lock
from sweeps.run.ledger_lock import ledger_lock
from sweeps.run.leftovers import remove_leftovers, temporary_files_in
from sweeps.run.memory import MemoryPeak, MemoryWatch
from sweeps.run.nodes import addresses
from sweeps.run.own_ray import OwnRay
from sweeps.run.prepare import prepare_context, pretrained_general
from sweeps.run.presence import Presence
from sweeps.run.probe import find_versions
from sweeps.run.recovery import take_back
from sweeps.run.session import RunSession, cost_of
from sweeps.run.signals import terminated_like_interrupt
from sweeps.search.control import Control
from sweeps.search.database import told_when_gone
from sweeps.search.listener import RunListener
from sweeps.search.studies import check_ledger, read_records
from sweeps.spec.values import SweepSpec
from sweeps.writable import check_storage

if TYPE_CHECKING:
    from sweeps.run.trial import Trainable
    from sweeps.search.bridge import Bridge


@dataclass(frozen=True, kw_only=True, slots=True)
class RunSummary:
    """What one run did.

    Args:
        num_trained: Trials that ended in this run, failed and pruned ones included.
        num_recorded: Trials of the sweep that have ended, in this run or before.
        num_wanted: Trials the sweep consists of.
        num_left_out: Recorded trials that the spec no longer asks for.
        num_broken: Trials that broke, which the next run asks again.
        is_over_budget: Whether trials were not started because the budget is spent.
        memory: Largest resident memory of this run.
        answer: What the report says first.
        tokenising: What making each token array took, in words.
    """

    num_trained: int
    num_recorded: int
    num_wanted: int
    num_left_out: int
    num_broken: int
    is_over_budget: bool
    memory: MemoryPeak
    answer: tuple[str, ...]
    tokenising: tuple[str, ...]


def run_sweep(spec: SweepSpec, listener: RunListener, own_ray: OwnRay | None = None) -> RunSummary:
    """Train what is wanted and not recorded, then write the report.

    Args:
        spec: The sweep.
        listener: Hears what goes on.
        own_ray: A Ray of this machine alone that was started ahead; without one it starts where a
            trial is missing.

    Returns:
        What was done.

    Raises:
        UlmError: The corpus does not hold what the spec asks for.
        MeaningError: The recorded cells mean something else.
        StorageError: Storage or ledger can not be written, or another driver is at work.
        TrackingError: The tracking store can not be used; an outage refuses new sweeps alone.
        KeyboardInterrupt: Ctrl-C or SIGTERM; everything that ended is recorded.
    """
    begin = time.perf_counter()
    paths = SweepPaths.of(spec)
    with ExitStack() as stack:
        _tell_outages(stack, spec, paths)
        stack.enter_context(terminated_like_interrupt())
        watch = stack.enter_context(MemoryWatch())
        check_storage(paths)
        standing = Standing()
        presence = stack.enter_context(Presence(paths, listener.message, standing))
        log = RunLog(paths, spec, listener, lambda: not standing.is_lost)
        listener = stack.enter_context(log)
        _tell_outages(stack, spec, paths)  # the log has their words
        take_back(paths, listener.message)
        log.has_copy = True
        seems_unfinished = check_ledger(paths, spec)
        if own_ray is not None and not seems_unfinished:
            own_ray.release()
            own_ray = None
        _check_tracking(spec, paths, listener)
        context, tokens = prepare_context(spec, paths, listener)
        general = pretrained_general(spec, paths, listener)
        stack.enter_context(driver_lock(paths))
        stack.enter_context(ledger_lock(spec.ledger.url, spec.name, standing.lose))
        remove_leftovers(paths)
        stack.enter_context(temporary_files_in(paths.temporary))
        stack.enter_context(Backup(paths, listener.message, presence.look))
        session = RunSession(spec, paths, listener, tokens=tokens, general=general)
        stack.callback(session.close)
        session.train(
            lambda control: run_trials(
                control, context, paths, listener.message, own_ray, standing.check
            )
        )
        is_over_budget = session.control.is_over_budget  # not by what recording takes after it
        session.keep_facts(time.perf_counter() - begin, watch.peak)
        answer = session.answer()
    return RunSummary(
        num_trained=session.control.num_trained,
        num_recorded=session.control.num_recorded,
        num_wanted=session.control.ledger.num_wanted,
        num_left_out=session.control.ledger.num_left_out,
        num_broken=session.control.num_broken,
        is_over_budget=is_over_budget,
        memory=watch.peak,
        answer=answer,
        tokenising=tuple(f"{t.name}: {cost_of(t)}" for t in tokens),
    )


def _tell_outages(stack: ExitStack, spec: SweepSpec, paths: SweepPaths) -> None:
    """What a full disk or a database that is gone raises becomes its message."""
    databases = (spec.ledger.url, spec.tracking.uri)
    stack.enter_context(told_when_full(str(paths.root), *filter(None, databases)))
    stack.enter_context(told_when_gone(spec.ledger.url or paths.ledger_url))


def _check_tracking(spec: SweepSpec, paths: SweepPaths, listener: RunListener) -> None:
    """Refuse a tracking store that can not be used; a sweep that has begun does not wait for it."""
    uri = spec.tracking.uri
    if uri is None:
        return
    try:
        check_tracking(uri, spec.ledger.url)
    except OutageError as error:
        if not read_records(paths, spec):
            raise
        listener.message(f"{error}; the sweep goes on, and is recorded there once it answers")


def run_trials(
    control: Control,
    context: TrialContext,
    paths: SweepPaths,
    tell: Callable[[str], None],
    own_ray: OwnRay | None = None,
    check: Callable[[], None] = lambda: None,
) -> None:
    """Run everything the control hands out, on Ray.

    Args:
        control: What comes next.
        context: What every trial of the sweep shares.
        paths: Where Tune keeps checkpoints of running trials.
        tell: Hears which workers are missing and that GPUs stand idle; the sweep goes on.
        own_ray: A Ray of this machine alone that was started ahead.
        check: Raises what must end the run at once.

    Raises:
        ClusterError: The cluster does not answer, or one of its nodes is not fit.
        CapacityError: No node of the cluster, also of the largest it may be, can hold a trial.
        KeyboardInterrupt: Ctrl-C or SIGTERM; Tune ends its workers first.
    """
    with open_ray(own_ray) as ray:
        from sweeps.run.actors import place_of, tune_of_ours
        from sweeps.run.checkpoints import left_checkpoints
        from sweeps.run.trial import make_trainable
        from sweeps.search.bridge import Bridge

        is_alone = cluster_address() is None
        versions = None if is_alone else _required_versions(ray, paths)
        config = autoscaler_config(ray.get_runtime_context().gcs_address)
        for name, why in absent_workers(config, addresses(ray)).items():
            tell(f"a worker is missing, {name}: {why}")
        fleets = current_fleet(ray.nodes()), None if config is None else largest_fleet(config)
        note = None if is_alone else idle_gpus(context.spec, *fleets)
        if note is not None:
            tell(note)

        def go_on() -> None:
            check()
            if own_ray is not None:
                own_ray.check()

        bridge = Bridge(
            control,
            slots(context.spec, *fleets),
            left=left_checkpoints(paths.shared(paths.ray)),
            check=go_on,
            place_of=None if is_alone else place_of,
            tell=tell,
        )
        tuner = make_tuner(bridge, make_trainable(context, versions), paths)
        with (
            tune_of_ours(is_alone=is_alone),
            terminated_like_interrupt(),
        ):  # Ray has put a handler of its own in between
            tuner.fit()
    for error in (bridge.error, bridge.unfit):
        if error is not None:
            raise error
    if control.has_work or control.ledger.num_running:
        raise KeyboardInterrupt  # Tune ended early, as it does on Ctrl-C


def _required_versions(ray: Any, paths: SweepPaths) -> dict[str, str | None]:
    """Versions that every node must have, once those there now are fit.

    Nodes that join later are looked at by the first trial they get.
    """
    require_fit_nodes(ray, paths.storage)
    return find_versions()


def make_tuner(bridge: "Bridge", trainable: "Trainable", paths: SweepPaths) -> Any:
    """Ray Tune over a control.

    Args:
        bridge: The control, and how many trials may be handed out.
        trainable: What workers run for a trial.
        paths: Where checkpoints of running trials are kept.
    """
    from ray import tune

    from sweeps.run.checkpoints import trial_folder_name
    from sweeps.run.trial import resources_of
    from sweeps.run.trial_folders import TrialFolders
    from sweeps.search.hangs import HangCallback
    from sweeps.search.searcher import SweepCallback, SweepScheduler, SweepSearcher
    from sweeps.search.waits import WaitCallback

    spec = bridge.spec
    callbacks = [
        SweepCallback(bridge),
        TrialFolders(bridge.control.has_ended),
        WaitCallback(bridge),
    ]
    if spec.budget.trial_hours is not None:
        callbacks.append(HangCallback(bridge, spec.budget.trial_hours))
    return tune.Tuner(
        tune.with_resources(trainable, resources_of),
        tune_config=tune.TuneConfig(
            search_alg=SweepSearcher(bridge),
            scheduler=SweepScheduler(bridge),
            num_samples=-1,  # the searcher says when all is done
            max_concurrent_trials=bridge.slots.total,
            reuse_actors=True,
            trial_dirname_creator=trial_folder_name,
        ),
        run_config=tune.RunConfig(
            name=f"{spec.name}-{uuid.uuid4().hex[:8]}",
            storage_path=paths.shared(paths.ray),
            verbose=0,
            callbacks=callbacks,
            failure_config=tune.FailureConfig(max_failures=spec.retries),
        ),
    )
