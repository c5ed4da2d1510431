"""Scale: ten thousand trials on 512 fake GPUs, to find what of a sweep's driver breaks first.

    python benchmarks/tune_cost.py                                   # what Ray Tune itself costs
    python benchmarks/scale.py --tune-trial 0.05 --tune-epoch 0.01   # those numbers put in

Workers are simulated (`simulated_workers.py`); the driver is real: this package's plug-ins of Ray
Tune, and behind them control, ledger, Optuna studies on SQLite and the MLflow record on SQLite.
What Tune takes beside them is measured apart, on real workers, and added to the simulated clock.
Seconds of the driver are CPU seconds: other work on the machine does not count.
"""

import argparse
import platform
import resource
import tempfile
import threading
import time
from collections import Counter
from importlib.metadata import version
from pathlib import Path
from typing import Any

from simulated_workers import Measured, SimulatedClock, Simulation, scale_spec

from sweeps.live.progress import QuietProgress
from sweeps.paths import SweepPaths
from sweeps.record.book import RunBook
from sweeps.record.mlflow_recorder import MlflowStore
from sweeps.record.queued_recorder import QueuedRecorder
from sweeps.run.capacity import Slots, current_capacity, slots
from sweeps.search.control import Control
from sweeps.search.studies import OptunaStudies
from sweeps.spec.cells import make_cells
from sweeps.spec.values import SweepSpec

NODES, CPUS, GPUS = 64, 24, 8
KINDS = ("ask", "start", "epoch", "end", "idle")


class CountedStore(MlflowStore):
    """The MLflow store, its calls counted and the CPU seconds of its thread kept."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.calls: Counter[str] = Counter()
        self.cpu_seconds = 0.0
        self.most_waiting = 0

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
    """

    def __init__(self, spec: SweepSpec, clock: SimulatedClock) -> None:
        paths, cells = SweepPaths.of(spec), make_cells(spec)
        paths.folder.mkdir(parents=True, exist_ok=True)
        self.store = CountedStore(
            uri=paths.mlflow_uri, experiment=spec.name, artifacts=paths.mlartifacts, common_tags={}
        )
        book = RunBook(spec=spec, cells=cells, clock=clock)
        self._recorder = QueuedRecorder(name="mlflow", book=book, store=self.store)
        studies = OptunaStudies(paths.ledger_url, spec.name)
        begin = time.thread_time()
        self.control = Control(spec, cells, studies, self._recorder, QuietProgress(), clock=clock)
        self.open_seconds = time.thread_time() - begin

    def close(self) -> None:
        """As a run ends, with time for all that the record has not taken yet."""
        self.control.close()
        self._recorder.flush(timeout_seconds=1800.0)
        self._recorder.close()


def free_slots(spec: SweepSpec) -> Slots:
    """Slots of 64 nodes with eight GPUs each."""
    node = {"Alive": True, "Resources": {"CPU": CPUS, "GPU": GPUS}}
    return slots(spec, current_capacity([node] * NODES))


def simulate(
    folder: Path, *, seeds: int, trial_seconds: float, tune_seconds: dict[str, float]
) -> tuple[Measured, list[tuple[str, str]]]:
    """Run the sweep once and open its ledger again.

    Returns:
        What the simulation measured, and rows of the table.
    """
    spec, clock = scale_spec(folder, seeds), SimulatedClock()
    begin = time.process_time()
    driver = Driver(spec, clock)
    free = free_slots(spec)
    simulation = Simulation(
        driver.control,
        spec,
        free,
        clock,
        trial_seconds=trial_seconds,
        tune_seconds=tune_seconds,
    )
    measured = simulation.run()
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    driver.close()
    again = Driver(spec, clock)
    has_work = again.control.has_work
    again.close()
    assert not has_work, "a finished sweep has nothing left to hand out"
    rows = [
        ("trials, of them on GPUs at once", f"{measured.counts['end']:,}, at most {free.neural}"),
        *_driver_rows(measured, tune_seconds),
        *_utilisation_rows(measured, free),
        *_record_rows(measured, driver.store),
        ("opening the finished ledger again", f"{again.open_seconds:.1f} CPU s"),
        ("most memory of the driver", f"{peak_mib:,.0f} MiB"),
        ("CPU of the whole run, MLflow included", f"{time.process_time() - begin:.0f} s"),
        ("threads", f"{threading.active_count()}"),
    ]
    return measured, rows


def _driver_rows(measured: Measured, tune: dict[str, float]) -> list[tuple[str, str]]:
    trials = measured.counts["end"]
    ours = sum(measured.seconds.values()) / trials
    tunes = sum(tune.get(kind, 0.0) * measured.counts[kind] for kind in KINDS) / trials
    each = ", ".join(
        f"{kind} {1000 * measured.seconds[kind] / max(1, measured.counts[kind]):.1f}"
        for kind in KINDS
    )
    (_, early, first), (_, late, last) = measured.rates[0], measured.rates[-1]
    begun = next(spent for _, spent, ended in reversed(measured.rates) if ended <= 0.9 * last)
    tail = last - next(end for _, _, end in reversed(measured.rates) if end <= 0.9 * last)
    return [
        ("driver CPU a trial: ours, and Ray Tune's beside it", f"{_ms(ours)}, {_ms(tunes)}"),
        ("our CPU an event, ms", each),
        ("our CPU a trial: first tenth, last tenth", _tenths(early / first, (late - begun) / tail)),
    ]


def _tenths(first: float, last: float) -> str:
    return f"{_ms(first)}, {_ms(last)}"


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.0f} ms"


def _utilisation_rows(measured: Measured, free: Slots) -> list[tuple[str, str]]:
    whole = measured.busy[-1][0]
    full = [at for at, busy in measured.busy if busy >= 0.98 * free.neural]
    rows = [("simulated time of the sweep", f"{whole / 3600:.2f} h")]
    if full:
        share = utilisation(measured, full[0], full[-1]) / free.neural
        rows += [
            ("until 98 % of the GPUs were busy for the first time", f"{full[0] / 60:.1f} min"),
            ("GPUs busy from then until the queue ran dry", f"{100 * share:.1f} %"),
        ]
    share = utilisation(measured, 0.0, whole) / free.neural
    return [*rows, ("GPUs busy over the whole sweep", f"{100 * share:.1f} %")]


def utilisation(measured: Measured, begin: float, end: float) -> float:
    """Mean number of busy GPUs between two simulated times."""
    total, last_at, last_busy = 0.0, 0.0, 0
    for at, busy in [*measured.busy, (end, 0)]:
        total += last_busy * max(0.0, min(at, end) - max(last_at, begin))
        last_at, last_busy = at, busy
    return total / (end - begin) if end > begin else 0.0


def _record_rows(measured: Measured, store: CountedStore) -> list[tuple[str, str]]:
    calls, trials = store.calls.total(), measured.counts["end"]
    most = ", ".join(f"{name} {count:,}" for name, count in store.calls.most_common(3))
    whole = measured.busy[-1][0]
    return [
        ("MLflow calls", f"{calls:,} ({calls / trials:.1f} a trial; {most})"),
        ("MLflow CPU a trial, on its own thread", _ms(store.cpu_seconds / trials)),
        ("MLflow calls a CPU second it takes", f"{calls / store.cpu_seconds:.0f}"),
        ("MLflow calls a simulated second it is given", f"{calls / whole:.1f}"),
    ]


def draw(measured: Measured, free: Slots, file: Path) -> None:
    """Busy GPUs over simulated time, and our CPU per trial over trials."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(
        1, 2, figsize=(10, 3.2), width_ratios=(3, 2), layout="constrained"
    )
    hours = [at / 3600 for at, _ in measured.busy]
    left.step(hours, [busy for _, busy in measured.busy], where="post", color="#1b9e77", lw=0.8)
    left.axhline(free.neural, color="black", linewidth=0.8, linestyle=":")
    left.set(xlabel="simulated hours", ylabel=f"GPUs busy, of {free.neural}", ylim=(0, None))
    ended = [end for _, _, end in measured.rates]
    spent = [seconds for _, seconds, _ in measured.rates]
    steps = range(1, len(ended))
    cost = [1000 * (spent[i] - spent[i - 1]) / (ended[i] - ended[i - 1]) for i in steps]
    right.plot(ended[1:], cost, color="#d95f02", marker="o", markersize=3)
    right.set(xlabel="trials ended", ylabel="our driver CPU, ms a trial", ylim=(0, None))
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, dpi=150)
    pyplot.close(figure)


def main() -> None:
    """Simulate, print the table, and with `--figure` draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=52, help="195 trials each")
    parser.add_argument("--trial", type=float, default=600.0, help="mean simulated seconds")
    parser.add_argument("--tune-trial", type=float, default=0.0, help="CPU seconds of Ray Tune")
    parser.add_argument("--tune-epoch", type=float, default=0.0, help="CPU seconds of Ray Tune")
    parser.add_argument("--figure", type=Path)
    asked = parser.parse_args()
    tune_seconds = {"start": asked.tune_trial, "epoch": asked.tune_epoch}
    with tempfile.TemporaryDirectory(prefix="scale-") as folder:
        measured, rows = simulate(
            Path(folder),
            seeds=asked.seeds,
            trial_seconds=asked.trial,
            tune_seconds=tune_seconds,
        )
        free = free_slots(scale_spec(Path(folder), asked.seeds))
    names = ("ray", "optuna", "mlflow", "sqlalchemy")
    print(", ".join([f"Python {platform.python_version()}", *(f"{n} {version(n)}" for n in names)]))
    print("\n| what | value |\n| :--- | ---: |")
    for what, value in rows:
        print(f"| {what} | {value} |")
    if asked.figure is not None:
        draw(measured, free, asked.figure)


if __name__ == "__main__":
    main()
