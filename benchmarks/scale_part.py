"""One part of `scale.py`: a driver that goes on with a sweep for some trials and then vanishes.

    python benchmarks/scale_part.py FOLDER --seeds 52 --at-most 2500

The folder holds the sweep and what earlier parts measured; a part opens the ledger, drives
simulated workers, and ends without closing anything, as a killed driver does. Its measurement goes
to `part-N.json`. A part that leaves nothing to do says so in it. MLflow is called on a thread here
and not in a process, so that its calls and seconds can be counted.
"""

import argparse
import json
import resource
import time
from collections import Counter
from pathlib import Path
from typing import Any

from simulated_workers import SimulatedClock, Simulation, scale_spec
from sqlalchemy import Engine, event

from sweeps.paths import SweepPaths
from sweeps.record.book import RunBook
from sweeps.record.mlflow_store import MlflowStore
from sweeps.record.queued_recorder import QueuedRecorder
from sweeps.record.record_place import RecordPlace
from sweeps.record.recorder import ListRecorder, Recorder
from sweeps.record.store_process import on_connect
from sweeps.run.capacity import current_fleet, slots
from sweeps.search.control import Control
from sweeps.search.listener import RunListener
from sweeps.search.studies import OptunaStudies
from sweeps.spec.cells import make_cells
from sweeps.spec.fleet import Slots
from sweeps.spec.values import SweepSpec

NODES, CPUS, GPUS = 64, 24, 8
AWAY_SECONDS = 60.0  # simulated, between two drivers


class CountedStore(MlflowStore):
    """The MLflow store, its calls counted and the CPU seconds of its thread kept."""

    def __init__(self, place: RecordPlace) -> None:
        super().__init__(place)
        self.calls: Counter[str] = Counter()
        self.cpu_seconds = 0.0

    def connect(self) -> None:
        """As it is, with a client that counts."""
        if self._client is None:
            super().connect()
            self._client = _Counted(self._client, self.calls)

    def apply(self, run: Any, parent: Any) -> None:
        """As it is, timed."""
        begin = time.thread_time()
        super().apply(run, parent)
        self.cpu_seconds += time.thread_time() - begin


class _Counted:
    def __init__(self, client: Any, calls: Counter[str]) -> None:
        self._client, self._calls = client, calls

    def __getattr__(self, name: str) -> Any:
        self._calls[name] += 1
        return getattr(self._client, name)


class Driver:
    """The real driver of a sweep: everything but Ray.

    Args:
        spec: The sweep.
        clock: The simulated one.
        has_mlflow: Whether its record goes to MLflow; else it stays in memory.
    """

    def __init__(self, spec: SweepSpec, clock: SimulatedClock, *, has_mlflow: bool) -> None:
        paths, cells = SweepPaths.of(spec), make_cells(spec)
        paths.folder.mkdir(parents=True, exist_ok=True)
        self.store = CountedStore(
            RecordPlace(
                uri=paths.mlflow_uri,
                experiment=spec.name,
                is_own=True,
                artifacts=paths.mlartifacts,
            )
        )
        self._mlflow: QueuedRecorder | None = None
        if has_mlflow:
            book = RunBook(spec=spec, cells=cells, clock=clock)
            self._mlflow = QueuedRecorder(name="mlflow", book=book, store=self.store)
        recorder: Recorder = self._mlflow or ListRecorder(spec=spec, cells=cells)
        studies = OptunaStudies(paths.ledger_url, spec.name)
        begin = time.thread_time()
        self.control = Control(spec, cells, studies, lambda: recorder, RunListener(), clock=clock)
        self.open_seconds = time.thread_time() - begin

    def settle(self) -> None:
        """Wait until the record has everything: what it costs is to be counted."""
        if self._mlflow is not None:
            self._mlflow.flush(timeout_seconds=1800.0)


def free_slots(spec: SweepSpec) -> Slots:
    """Slots of 64 nodes with eight GPUs each."""
    node = {"Alive": True, "Resources": {"CPU": CPUS, "GPU": GPUS}}
    return slots(spec, current_fleet([node] * NODES))


def earlier_parts(folder: Path) -> list[dict[str, Any]]:
    """What the parts before measured, in their order."""
    files = sorted(folder.glob("part-*.json"))
    return [json.loads(file.read_text(encoding="utf-8")) for file in files]


def run_part(
    folder: Path,
    *,
    seeds: int,
    at_most: int,
    trial_seconds: float,
    tune_seconds: dict[str, float],
    has_mlflow: bool,
) -> dict[str, Any]:
    """Go on with the sweep of a folder until so many trials have ended, or none is wanted."""
    before, begin = earlier_parts(folder), time.process_time()
    spec, clock = scale_spec(folder, seeds), SimulatedClock()
    if before:
        clock.now = before[-1]["now"] + AWAY_SECONDS
    driver = Driver(spec, clock, has_mlflow=has_mlflow)
    simulation = Simulation(
        driver.control,
        free_slots(spec),
        clock,
        trial_seconds=trial_seconds,
        tune_seconds=tune_seconds,
    )
    measured = simulation.run(at_most=at_most)
    driver.settle()
    return {
        "seconds": dict(measured.seconds),
        "counts": dict(measured.counts),
        "busy": measured.busy,
        "rates": measured.rates,
        "now": clock.now,
        "is_done": not driver.control.has_work and not driver.control.ledger.num_running,
        "wanted": driver.control.ledger.num_wanted,
        "recorded": driver.control.num_recorded,
        "open_seconds": driver.open_seconds,
        "mlflow_calls": dict(driver.store.calls),
        "mlflow_seconds": driver.store.cpu_seconds,
        "process_seconds": time.process_time() - begin,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def main() -> None:
    """Run one part and keep what it measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, required=True)
    parser.add_argument("--at-most", type=int, required=True)
    parser.add_argument("--trial", type=float, required=True)
    parser.add_argument("--tune-trial", type=float, required=True)
    parser.add_argument("--tune-epoch", type=float, required=True)
    parser.add_argument("--without-mlflow", action="store_true")
    asked = parser.parse_args()
    event.listen(Engine, "connect", on_connect)  # as in the process that records
    part = run_part(
        asked.folder,
        seeds=asked.seeds,
        at_most=asked.at_most,
        trial_seconds=asked.trial,
        tune_seconds={"start": asked.tune_trial, "epoch": asked.tune_epoch},
        has_mlflow=not asked.without_mlflow,
    )
    file = asked.folder / f"part-{len(earlier_parts(asked.folder)):02d}.json"
    file.write_text(json.dumps(part), encoding="utf-8")


if __name__ == "__main__":
    main()
