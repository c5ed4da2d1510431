"""Simulated workers: real trials of a sweep, asked and told as Tune does, on a simulated clock.

A control and the slots of a cluster come in; how long 512 GPUs were busy and what the driver's CPU
did comes out. The loop over simulated events calls the searcher, scheduler and callback of this
package as Tune calls them. The driver is the one server of the simulation: handling an event takes
the CPU seconds it took here, and a worker that reports is answered when the driver gets to it.
"""

import heapq
import itertools
import math
import random
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from sweeps.search.bridge import Bridge
from sweeps.search.control import Control
from sweeps.search.messages import OUTCOME, PROGRESS, REQUEST, dump, load_request
from sweeps.search.records import Outcome, Progress, TrialRequest
from sweeps.search.searcher import SweepCallback, SweepScheduler, SweepSearcher
from sweeps.spec.cells import Stage
from sweeps.spec.fleet import Slots
from sweeps.spec.general import GeneralSpec
from sweeps.spec.searches import BagOfWordsSearch, NeuralSearch, Range, SearchSpec
from sweeps.spec.values import LabelSpec, ResourceSpec, SweepSpec
from ulm.regimes import Regime
from ulm.text.corpora import CorpusSource

SIZES = tuple(500 * 2**power for power in range(10))
EPOCHS = 5
SEED_TRIALS = 195  # of `scale_spec`, a seed
BEGIN = 1.0e9  # unix seconds of the simulation's second 0
RATES = Range(low=1e-3, high=1e-1, log=True)


def scale_spec(storage: Path, seeds: int) -> SweepSpec:
    """A sweep of every regime and ten sizes: 195 trials a seed."""
    return SweepSpec(
        name="scale",
        storage=str(storage),
        corpus=CorpusSource(kind="synthetic"),
        general=GeneralSpec(kind="synthetic-general"),
        labels=LabelSpec(train=500),
        sizes=SIZES,
        seeds=tuple(range(seeds)),
        search=SearchSpec(
            language_model=NeuralSearch(trials=4, learning_rate=RATES),
            classifier=NeuralSearch(trials=4, learning_rate=RATES),
            bow=BagOfWordsSearch(trials=4),
        ),
        resources=ResourceSpec(cpus=2, gpus=1),
    )


@dataclass(slots=True)
class FakeTrial:
    """What the plug-ins see of a trial of Tune."""

    trial_id: str
    request: TrialRequest
    epoch: int = 0


def epoch_seconds(request: TrialRequest, mean: float) -> float:
    """Simulated seconds of one epoch: more documents take longer, with a scatter of its own."""
    scatter = random.Random(f"{request.key}").lognormvariate(0.0, 0.3)
    size = math.log2((request.cell.size or SIZES[0]) / SIZES[0] + 2)
    shorter = 0.2 if request.cell.regime == Regime.BOW else 1.0
    return mean / EPOCHS * scatter * size / 5.0 * shorter


def value_of(request: TrialRequest, epoch: int) -> float:
    """A score with a best learning rate, as trials report it."""
    miss = abs(math.log10(request.params.get("learning_rate", 0.02) / 0.02))
    value = 0.9 / (1.0 + miss + 0.5 / epoch)
    return 6.0 - value if request.key.study.stage is Stage.LANGUAGE_MODEL else value


def progress_of(request: TrialRequest, epoch: int) -> Progress:
    """An epoch, with the numbers real trials tell."""
    metrics = {"train_loss": 1.0 / epoch, "tokens_per_second": 1e5}
    value = value_of(request, epoch)
    return Progress(epoch=epoch, num_epochs=EPOCHS, value=value, metrics=metrics)


def outcome_of(request: TrialRequest) -> Outcome:
    """The end of a trial, with the numbers real trials tell."""
    value = value_of(request, EPOCHS)
    artifacts = {}
    if request.key.study.stage is Stage.LANGUAGE_MODEL:
        artifacts["encoder"] = f"{request.cell.id}-{request.key.number}"
    names = ("validation_loss", "steps", "tokens", "seconds", "peak_gib")
    return Outcome(value=value, metrics=dict.fromkeys(names, 1.0), artifacts=artifacts)


class SimulatedClock:
    """Unix seconds of the simulation."""

    def __init__(self) -> None:
        self.now = BEGIN

    def __call__(self) -> float:
        """Now."""
        return self.now


@dataclass(slots=True)
class Measured:
    """What one simulation measured; seconds are CPU seconds of the driver's main thread.

    Args:
        seconds: By kind of event: ask, start, epoch, end, idle (asked in vain).
        counts: Events by kind.
        busy: (simulated seconds, trials that hold a GPU) at every change.
        rates: (simulated seconds, CPU seconds so far, trials ended) now and then.
    """

    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    counts: Counter[str] = field(default_factory=Counter)
    busy: list[tuple[float, int]] = field(default_factory=list)
    rates: list[tuple[float, float, int]] = field(default_factory=list)


class Simulation:
    """Runs a sweep on simulated workers.

    Args:
        control: The driver's.
        free: Slots of the cluster.
        clock: The one the control reads.
        trial_seconds: Mean simulated seconds of a trial.
        tune_seconds: CPU seconds that Tune itself takes for each event, by kind.
    """

    def __init__(
        self,
        control: Control,
        free: Slots,
        clock: SimulatedClock,
        *,
        trial_seconds: float,
        tune_seconds: dict[str, float],
    ) -> None:
        self._bridge = Bridge(control, free)
        self._searcher = SweepSearcher(self._bridge)
        self._scheduler = SweepScheduler(self._bridge)
        self._callback = SweepCallback(self._bridge)
        self._clock = clock
        self._trial_seconds = trial_seconds
        self._tune_seconds = tune_seconds
        self._events: list[tuple[float, int, FakeTrial]] = []
        self._order = itertools.count()
        self._rate_every = max(1, control.ledger.num_wanted // 40)
        self.measured = Measured()

    def run(self, at_most: int) -> Measured:
        """Until no trial is wanted, or so many have ended."""
        finished = self._ask()
        while self._events and self.measured.counts["end"] < at_most:
            at, _, trial = heapq.heappop(self._events)
            self._clock.now = max(self._clock.now, at)
            self._hear(trial)
            if not finished:
                finished = self._ask()
        if self._bridge.error is not None:
            raise self._bridge.error
        return self.measured

    def _ask(self) -> bool:
        """Hand out what has a slot, as Tune does at each step; whether all is done."""
        while True:
            identity = f"{next(self._order):08x}"
            with self._served("ask") as served:
                config = self._searcher.suggest(identity)
                if not isinstance(config, dict):
                    served.kind = "idle"
            if not isinstance(config, dict):
                return config is not None
            trial = FakeTrial(identity, load_request(config[REQUEST]))
            with self._served("start"):
                self._callback.on_trial_start(0, [], trial)
            self._note_busy()
            self._schedule(trial)

    def _hear(self, trial: FakeTrial) -> None:
        trial.epoch += 1
        progress = progress_of(trial.request, trial.epoch)
        result = {PROGRESS: dump(progress), "trial_id": trial.trial_id}
        with self._served("epoch"):
            decision = self._scheduler.on_trial_result(None, trial, result)
        if decision != "STOP" and trial.epoch < EPOCHS:
            self._schedule(trial)
            return
        if decision != "STOP":
            result = {OUTCOME: dump(outcome_of(trial.request))}
        with self._served("end"):
            self._searcher.on_trial_complete(trial.trial_id, result=result)
        self._note_busy()
        self._note_rate()

    def _schedule(self, trial: FakeTrial) -> None:
        at = self._clock.now + epoch_seconds(trial.request, self._trial_seconds)
        heapq.heappush(self._events, (at, next(self._order), trial))

    def _served(self, kind: str) -> "_Served":
        return _Served(kind, self._clock, self.measured, self._tune_seconds)

    def _note_busy(self) -> None:
        busy = sum(each.holds_gpu for each in self._bridge.handed_out.values())
        self.measured.busy.append((self._clock.now - BEGIN, busy))

    def _note_rate(self) -> None:
        ended = self.measured.counts["end"]
        if ended % self._rate_every == 0:
            spent = sum(self.measured.seconds.values())
            self.measured.rates.append((self._clock.now - BEGIN, spent, ended))


class _Served:
    """The driver at work on one event: its CPU seconds pass on the simulated clock."""

    def __init__(
        self, kind: str, clock: SimulatedClock, measured: Measured, tune: dict[str, float]
    ) -> None:
        self.kind, self._clock, self._measured, self._tune = kind, clock, measured, tune

    def __enter__(self) -> "_Served":
        self._begin = time.thread_time()
        return self

    def __exit__(self, *error: object) -> None:
        spent = time.thread_time() - self._begin
        self._measured.seconds[self.kind] += spent
        self._measured.counts[self.kind] += 1
        self._clock.now += spent + self._tune.get(self.kind, 0.0)
