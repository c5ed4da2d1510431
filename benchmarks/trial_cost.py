"""Trial cost: wall time of a trial that trains nothing, in a sweep and in bare Ray Tune.

    python benchmarks/trial_cost.py

A sweep asks, keeps, records and tells every trial: Optuna studies and the MLflow record are real,
on SQLite, and progress is written as in a pipe. Bare Ray Tune draws a learning rate at random and
writes what its loggers write; the lean side has them off, as a sweep has, and keeps nothing. All
run the same trainable, two reports a trial, on the same number of warm actors, each in a process
and on a Ray of its own, in turn. Times are from the first tenth of the trials to the last trial's
end; those of the record to its last run.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from local_ray import in_own_process, own_ray
from table import Row, machine, print_table

from sweeps.run.cluster import SETTINGS

Moment = tuple[float, float]

WORKERS = 2
SIDES = ("sweep", "tune", "lean")
SHORT, LONG, REPEATS = 500, 5000, 5
REACH, FLAT = 1.5, 1.2
KINDS = {
    "ended": "wall time, all in the ledger",
    "cpu": "CPU of the driver",
    "recorded": "wall time, all in MLflow too",
}


def train(config: dict[str, Any]) -> None:
    """One epoch and an outcome, for whoever asked: the sweep by a request, bare Tune by a rate."""
    from ray import tune
    from simulated_workers import outcome_of, progress_of

    from sweeps.search.messages import OUTCOME, PROGRESS, REQUEST, dump, load_request

    if REQUEST not in config:
        tune.report({"value": config["learning_rate"]})
        tune.report({"value": config["learning_rate"]})
        return
    request = load_request(config[REQUEST])
    tune.report({PROGRESS: dump(progress_of(request, 1))})
    tune.report({OUTCOME: dump(outcome_of(request))})


def now() -> tuple[float, float]:
    """Wall seconds, and CPU seconds of this process, the driver."""
    return time.perf_counter(), time.process_time()


def run_tune(folder: Path, num_trials: int) -> tuple[list[Moment], Moment]:
    """When each trial of a random search of Tune's ended, and when all was done."""
    from ray import tune
    from ray.tune import Callback

    ends: list[Moment] = []

    class Ends(Callback):  # type: ignore[misc]
        def on_trial_complete(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
            ends.append(now())

    tune.Tuner(
        tune.with_resources(train, {"cpu": 1}),
        param_space={"learning_rate": tune.loguniform(1e-3, 1e-1)},
        tune_config=tune.TuneConfig(num_samples=num_trials, reuse_actors=True),
        run_config=tune.RunConfig(storage_path=str(folder), verbose=0, callbacks=[Ends()]),
    ).fit()
    return ends, now()


def run_sweep(folder: Path, num_trials: int) -> tuple[list[Moment], Moment]:
    """When each trial of a sweep ended, and when all was recorded."""
    from simulated_workers import SEED_TRIALS, scale_spec

    from sweeps.live.progress import PlainProgress
    from sweeps.paths import SweepPaths
    from sweeps.record.book import RunBook
    from sweeps.record.queued_recorder import QueuedRecorder
    from sweeps.record.record_place import RecordPlace
    from sweeps.record.store_process import StoreProcess
    from sweeps.run.launch import make_tuner
    from sweeps.search.bridge import Bridge
    from sweeps.search.control import Control
    from sweeps.search.records import TrialRecord
    from sweeps.search.studies import OptunaStudies
    from sweeps.spec.cells import make_cells
    from sweeps.spec.fleet import Slots
    from sweeps.spec.values import ResourceSpec

    ends: list[Moment] = []

    class Ends(PlainProgress):
        def trial_ended(self, record: TrialRecord) -> None:
            super().trial_ended(record)
            ends.append(now())

    spec = scale_spec(folder, -(-num_trials // SEED_TRIALS))
    spec = replace(spec, resources=ResourceSpec(cpus=1, gpus=0))
    paths, cells = SweepPaths.of(spec), make_cells(spec)
    paths.folder.mkdir(parents=True)
    recorder = QueuedRecorder(
        name="mlflow",
        book=RunBook(spec=spec, cells=cells),
        store=StoreProcess(RecordPlace.of(spec, paths)),
        close_seconds=600.0,
    )
    studies = OptunaStudies(paths.ledger_url, spec.name)
    with Path(os.devnull).open("w") as nowhere:
        control = Control(spec, cells, studies, lambda: recorder, Ends(spec, nowhere))
        bridge = Bridge(control, Slots(total=WORKERS, neural=WORKERS))
        make_tuner(bridge, train, paths).fit()
        if bridge.error is not None:
            raise bridge.error
        control.close()
    assert recorder.close(), "the record has all"
    return ends, now()


def measure(side: str, num_trials: int) -> dict[str, float]:
    """Milliseconds a trial on one side, warm: to its end, of CPU, and until all was recorded."""
    settings = {} if side == "tune" else SETTINGS
    with (
        tempfile.TemporaryDirectory(prefix="t", dir="/tmp") as folder,
        own_ray(Path(folder) / "ray", WORKERS, settings),
    ):
        run = run_sweep if side == "sweep" else run_tune
        ends, done = run(Path(folder), num_trials)
    warm = len(ends) // 10  # the first trials pay for starting workers
    (begin, begin_cpu), (end, end_cpu) = ends[warm], ends[-1]
    each = 1000 / (len(ends) - warm - 1)
    return {
        "ended": each * (end - begin),
        "cpu": each * (end_cpu - begin_cpu),
        "recorded": each * (done[0] - begin),
    }


def rounds(num_trials: int, repeats: int, sides: tuple[str, ...]) -> list[dict[str, Any]]:
    """Every side once a round, in turn."""
    return [
        {side: in_own_process(__file__, side, num_trials) for side in sides} for _ in range(repeats)
    ]


def cost_row(found: list[dict[str, Any]], num_trials: int, kind: str) -> Row:
    """One line: the sweep against Ray Tune as it comes."""
    other = "cpu" if kind == "cpu" else "ended"
    ratios = sorted(each["sweep"][kind] / each["tune"][other] for each in found)
    median = statistics.median(ratios)
    spread = f" ({ratios[0]:.2f}–{ratios[-1]:.2f}, {len(ratios)} rounds)" if found[1:] else ""
    shown = [
        ("a sweep", "sweep", kind),
        ("Tune", "tune", other),
        ("without loggers", "lean", other),
    ]
    each = ", ".join(
        f"{name} {statistics.median(round_[side][what] for round_ in found):.0f} ms"
        for name, side, what in shown
        if side in found[0]
    )
    return Row(
        what=f"a sweep's own cost a trial, {num_trials:,} trials, {KINDS[kind]}",
        against="bare Ray Tune, random search, same trainable, warm actors",
        reach=f"≤ {REACH} ×",
        measured=f"{median:.2f} ×{spread}: {each}",
        reached=median <= REACH,
    )


def flat_row(short: list[dict[str, Any]], long: list[dict[str, Any]], kind: str) -> Row:
    """One line: ten times as many trials."""
    before = statistics.median(each["sweep"][kind] for each in short)
    ratio = statistics.median(each["sweep"][kind] for each in long) / before
    return Row(
        what=f"a sweep's own cost a trial, {LONG:,} trials, {KINDS[kind]}",
        against=f"{SHORT} trials",
        reach=f"≤ {FLAT} ×",
        measured=f"{ratio:.2f} ×",
        reached=ratio <= FLAT,
    )


def rows() -> Iterator[Row]:
    """Measure and tell."""
    short = rounds(SHORT, REPEATS, ("sweep", "tune"))
    yield from (cost_row(short, SHORT, kind) for kind in KINDS)
    long = rounds(LONG, 1, ("sweep", "tune", "lean"))
    yield from (cost_row(long, LONG, kind) for kind in KINDS)
    yield from (flat_row(short, long, kind) for kind in ("ended", "cpu"))


def main() -> None:
    """Measure in turn and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("side", nargs="?", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("trials", nargs="?", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.side is not None:
        print(json.dumps(measure(asked.side, asked.trials)))
        return
    print(machine("ray", "optuna", "mlflow", "sqlalchemy"), "\n")
    print_table(rows())


if __name__ == "__main__":
    main()
