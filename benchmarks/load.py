"""Load: 5,000 trials that train nothing, in 500 cells, through everything else that is real.

    python benchmarks/load.py

A local Ray with its real workers, Ray Tune with the launcher's own tuner, Optuna's studies on
SQLite and the MLflow record on SQLite. Trials report two epochs with a checkpoint each. Afterwards
every trial must be in the ledger and in the record once; what a sweep of days may exhaust is
watched meanwhile: the driver's open files and memory, and files and bytes of trials and of logs.
"""

import argparse
import os
import platform
import shutil
import sqlite3
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from importlib.metadata import version
from math import inf
from pathlib import Path
from typing import Any

import psutil

MIB = 2**20
EPOCHS = 2
STATE_BYTES = 10_000
SAMPLE_SECONDS = 2.0


def save(folder: Path) -> None:
    """The state of an epoch."""
    (folder / "training.pt").write_bytes(b"0" * STATE_BYTES)


def train(config: dict[str, Any]) -> None:
    """A trial that reports and keeps a state, as real ones do, and trains nothing."""
    from ray import tune
    from simulated_workers import outcome_of, progress_of

    from sweeps.run.checkpoints import Note
    from sweeps.run.pace import CheckpointPace
    from sweeps.run.reporter import Reporter
    from sweeps.search.messages import OUTCOME, REQUEST, dump, load_request

    request = load_request(config[REQUEST])
    report = Reporter(Note(trial={}), tune.get_checkpoint(), CheckpointPace(share=inf))
    for epoch in range(1, EPOCHS + 1):
        report(progress_of(request, epoch), save)
    tune.report({OUTCOME: dump(outcome_of(request))})


def load_spec(storage: Path, seeds: int) -> Any:
    """Five cells a seed, of ten trials each: 3 language models, 6 classifiers, 1 final."""
    from dataclasses import replace

    from simulated_workers import RATES, SIZES, scale_spec

    from sweeps.spec.searches import NeuralSearch, SearchSpec
    from sweeps.spec.values import ResourceSpec
    from ulm.regimes import Regime

    search = SearchSpec(
        language_model=NeuralSearch(trials=3, learning_rate=RATES),
        classifier=NeuralSearch(trials=6, learning_rate=RATES),
        pruner="none",
    )
    return replace(
        scale_spec(storage, seeds),
        name="load",
        sizes=SIZES[:5],
        regimes=(Regime.DOMAIN,),
        resources=ResourceSpec(cpus=1, gpus=0),
        search=search,
    )


class Watch:
    """What the driver holds while a block runs, sampled on a thread.

    Args:
        folders: Folders whose files are counted, by name.
    """

    def __init__(self, folders: dict[str, Path]) -> None:
        self._folders = folders
        self._process = psutil.Process()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self.samples: list[dict[str, float]] = []

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()
        self._sample()

    def _work(self) -> None:
        while not self._stop.wait(SAMPLE_SECONDS):
            self._sample()

    def _sample(self) -> None:
        sample = {
            "open files": float(self._process.num_fds()),
            "driver MiB": self._process.memory_info().rss / MIB,
        }
        for name, folder in self._folders.items():
            sizes = [size_of(entry) for entry in entries_of(folder)]
            sample |= {f"{name} entries": float(len(sizes)), f"{name} MiB": sum(sizes) / MIB}
        self.samples.append(sample)

    def rows(self) -> list[str]:
        """First, middle, last and largest of each number."""
        first, middle = self.samples[len(self.samples) // 10], self.samples[len(self.samples) // 2]
        last = self.samples[-1]
        return [
            f"| {name} | {first[name]:.0f} | {middle[name]:.0f} | {last[name]:.0f} "
            f"| {max(sample[name] for sample in self.samples):.0f} |"
            for name in last
        ]


def entries_of(folder: Path) -> Iterator[Path]:
    """Files and folders below a folder; what goes meanwhile is left out."""
    for place, folders, files in os.walk(folder):
        yield from (Path(place, name) for name in (*folders, *files))


def size_of(path: Path) -> int:
    """Bytes of a file; 0 of what is none, or has gone meanwhile."""
    try:
        return path.stat().st_size if path.is_file() and not path.is_symlink() else 0
    except OSError:
        return 0


def run(folder: Path, seeds: int) -> None:
    """Run it and print the tables."""
    from sweeps.paths import SweepPaths
    from sweeps.run.cluster import open_ray
    from sweeps.run.launch import make_tuner
    from sweeps.run.session import RunSession
    from sweeps.search.bridge import Bridge
    from sweeps.search.listener import RunListener
    from sweeps.spec.fleet import Slots

    spec = load_spec(folder / "runs", seeds)
    paths = SweepPaths.of(spec)
    paths.folder.mkdir(parents=True)
    session = RunSession(spec, paths, RunListener(), tokens=())
    workers = os.cpu_count() or 1

    def run_trials(control: Any) -> None:
        with open_ray():
            bridge = Bridge(control, Slots(total=workers, neural=workers))
            make_tuner(bridge, train, paths).fit()
        if bridge.error is not None:
            raise bridge.error

    begin = time.perf_counter()
    with Watch({"trial folders": paths.ray, "logs of Ray": folder / "ray"}) as watch:
        session.train(run_trials)
        trained = time.perf_counter() - begin
        session.close()
    print(f"Ray {version('ray')}, Optuna {version('optuna')}, MLflow {version('mlflow')}, ", end="")
    print(f"Python {platform.python_version()}, {workers} logical cores\n")
    print_counts(session.control.ledger.num_wanted, paths, trained, time.perf_counter() - begin)
    print("\n| | after a tenth | half-way | at the end | largest |")
    print("| --- | ---: | ---: | ---: | ---: |")
    print("\n".join(watch.rows()))


def print_counts(num_wanted: int, paths: Any, trained: float, recorded: float) -> None:
    """What the two databases hold of the trials that were wanted."""
    ledger = counted(paths.ledger_db, "select state, count(*) from trials group by state")
    kinds = "select value, run_uuid from tags where key = 'kind'"
    runs = counted(
        paths.mlflow_db,
        f"select value || ' ' || status, count(*) from runs join ({kinds}) as kind "
        "on runs.run_uuid = kind.run_uuid group by value, status",
    )
    print(f"{num_wanted} trials wanted; trained in {trained:.0f} s, ", end="")
    print(f"{1000 * trained / num_wanted:.0f} ms a trial; all recorded after {recorded:.0f} s\n")
    print(f"ledger ({paths.ledger_db.stat().st_size / MIB:.1f} MiB): {ledger}")
    print(f"MLflow ({paths.mlflow_db.stat().st_size / MIB:.1f} MiB): {runs}")
    ended, recorded_once = ledger.get("COMPLETE", 0), runs.get("trial FINISHED", 0)
    print(f"lost: {num_wanted - ended} of the ledger, {num_wanted - recorded_once} of the record")


def counted(file: Path, query: str) -> dict[str, int]:
    """Names and numbers of a query."""
    with closing(sqlite3.connect(file)) as database:
        return dict(database.execute(query).fetchall())


def main() -> None:
    """Run the load in a home of its own."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=100, help="50 trials in 5 cells each")
    asked = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="r", dir="/tmp"))  # paths of sockets must stay short
    path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    os.environ |= {"HOME": str(folder), "RAY_TMPDIR": str(folder), "PYTHONPATH": path}
    os.environ |= {"RAY_ADDRESS": "", "OMP_NUM_THREADS": "1"}
    try:
        run(folder, asked.seeds)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
