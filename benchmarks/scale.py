"""Scale: ten thousand trials on 512 fake GPUs, to find what of a sweep's driver breaks first.

    python benchmarks/tune_cost.py                                   # what Ray Tune itself costs
    python benchmarks/scale.py --tune-trial 0.05 --tune-epoch 0.01   # those numbers put in

Workers are simulated (`simulated_workers.py`); the driver is real: this package's plug-ins of Ray
Tune, and behind them control, ledger, Optuna studies on SQLite and the MLflow record on SQLite.
What Tune takes beside them is measured apart, on real workers, and added to the simulated clock.
Seconds of the driver are CPU seconds: other work on the machine does not count. After every part
(`scale_part.py`) the driver vanishes and another goes on, as after a kill.
"""

import argparse
import platform
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from scale_part import earlier_parts, free_slots
from simulated_workers import scale_spec

KINDS = ("ask", "start", "epoch", "end", "idle")
Row = tuple[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Whole:
    """All parts of one sweep.

    Args:
        parts: As `scale_part.py` keeps them.
        gpus: GPUs of the cluster.
        tune_seconds: CPU seconds of Ray Tune by kind of event.
    """

    parts: tuple[dict[str, Any], ...]
    gpus: int
    tune_seconds: dict[str, float]

    def total(self, name: str) -> Counter[str]:
        """Numbers by kind of event, or by MLflow call, of all parts."""
        totals: Counter[str] = Counter()
        for part in self.parts:
            totals.update(part[name])
        return totals

    def sum(self, name: str) -> float:
        """A number, of all parts."""
        return sum(float(part[name]) for part in self.parts)

    @property
    def ended(self) -> int:
        """Attempts that ended."""
        return self.total("counts")["end"]

    @property
    def busy(self) -> list[tuple[float, int]]:
        """(simulated seconds, busy GPUs) at every change."""
        return [(at, count) for part in self.parts for at, count in (*part["busy"], _last(part))]

    @property
    def costs(self) -> list[tuple[int, float]]:
        """(trials ended, CPU seconds of ours for each of the latest), along the sweep."""
        found, ended_before = [], 0
        for part in self.parts:
            spent_last, ended_last = 0.0, 0
            for _, spent, ended in part["rates"]:
                found.append((ended_before + ended, (spent - spent_last) / (ended - ended_last)))
                spent_last, ended_last = spent, ended
            ended_before += part["counts"]["end"]
        return found

    def utilisation(self, begin: float, end: float) -> float:
        """Share of the GPUs that were busy between two simulated times."""
        total, last_at, last_busy = 0.0, 0.0, 0
        for at, busy in [*self.busy, (end, 0)]:
            total += last_busy * max(0.0, min(at, end) - max(last_at, begin))
            last_at, last_busy = at, busy
        return total / (end - begin) / self.gpus if end > begin else 0.0


def _last(part: dict[str, Any]) -> tuple[float, int]:
    """A driver that vanishes takes its workers with it."""
    return (part["busy"][-1][0], 0)


def rows_of(whole: Whole) -> list[Row]:
    """The table."""
    parts = whole.parts
    opened = ", ".join(f"{part['open_seconds']:.1f}" for part in parts)
    kept = ", ".join(f"{part['recorded']:,}" for part in parts[:-1])
    peaks = ", ".join(f"{part['peak_mib']:,.0f}" for part in parts)
    return [
        (
            "trials wanted, recorded at the end",
            f"{parts[-1]['wanted']:,}, {parts[-1]['recorded']:,}",
        ),
        ("drivers, one killed after the other; recorded at each kill", f"{len(parts)}; {kept}"),
        *_driver_rows(whole),
        *_utilisation_rows(whole),
        *_record_rows(whole),
        ("opening the ledger, each driver, CPU s", opened),
        ("most memory, each driver, MiB", peaks),
        ("CPU of all, MLflow included", f"{whole.sum('process_seconds'):.0f} s"),
    ]


def _driver_rows(whole: Whole) -> list[Row]:
    seconds, counts = whole.total("seconds"), whole.total("counts")
    ours = seconds.total() / whole.ended
    tunes = sum(whole.tune_seconds.get(kind, 0.0) * counts[kind] for kind in KINDS) / whole.ended
    each = ", ".join(f"{kind} {1000 * seconds[kind] / max(1, counts[kind]):.1f}" for kind in KINDS)
    whole_seconds = whole.busy[-1][0]
    load = (seconds.total() + tunes * whole.ended) / whole_seconds
    shortest = whole.gpus * (ours + tunes)
    return [
        ("driver CPU a trial: ours, Ray Tune's", f"{_ms(ours)}, {_ms(tunes)}"),
        ("our CPU an event, ms", each),
        ("our CPU a trial at the beginning, at the end", f"{_cost(whole, 1)}, {_cost(whole, -2)}"),
        ("share of one core the driver needs, mean", f"{100 * load:.0f} %"),
        (f"trials shorter than this leave some of {whole.gpus} GPUs idle", f"{shortest:.0f} s"),
    ]


def _cost(whole: Whole, index: int) -> str:
    return _ms(whole.costs[index][1])


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.0f} ms"


def _utilisation_rows(whole: Whole) -> list[Row]:
    end = whole.busy[-1][0]
    full = [at for at, busy in whole.busy if busy >= 0.98 * whole.gpus]
    rows = [("simulated time of the sweep", f"{end / 3600:.2f} h")]
    if full:
        share = whole.utilisation(full[0], full[-1])
        rows += [
            ("until 98 % of the GPUs were busy for the first time", f"{full[0] / 60:.1f} min"),
            ("GPUs busy from then until the last time they all were", f"{100 * share:.1f} %"),
        ]
    return [*rows, ("GPUs busy over all", f"{100 * whole.utilisation(0.0, end):.1f} %")]


def _record_rows(whole: Whole) -> list[Row]:
    calls, spent = whole.total("mlflow_calls"), whole.sum("mlflow_seconds")
    if not calls:
        return [("MLflow", "left out: the record is in memory")]
    most = ", ".join(f"{name} {count:,}" for name, count in calls.most_common(4))
    each = f"{calls.total():,} ({calls.total() / whole.ended:.1f} a trial; {most})"
    pace = f"{calls.total() / spent:.0f}, {calls.total() / whole.busy[-1][0]:.1f}"
    return [
        ("MLflow calls", each),
        ("MLflow CPU a trial, on a thread of its own", _ms(spent / whole.ended)),
        ("MLflow calls a second: as many as it can, as many as it gets", pace),
    ]


def draw(whole: Whole, file: Path) -> None:
    """Busy GPUs over simulated time, and our CPU a trial over trials."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(
        1, 2, figsize=(10, 3.2), width_ratios=(3, 2), layout="constrained"
    )
    hours = [at / 3600 for at, _ in whole.busy]
    left.step(hours, [busy for _, busy in whole.busy], where="post", color="#1b9e77", lw=0.8)
    left.axhline(whole.gpus, color="black", linewidth=0.8, linestyle=":")
    left.set(xlabel="simulated hours", ylabel=f"GPUs busy, of {whole.gpus}", ylim=(0, None))
    ended, costs = zip(*whole.costs, strict=True)
    right.plot(ended, [1000 * cost for cost in costs], color="#d95f02", marker="o", markersize=3)
    right.set(xlabel="trials ended", ylabel="our driver CPU, ms a trial", ylim=(0, None))
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, dpi=150)
    pyplot.close(figure)


def run_parts(folder: Path, options: list[str]) -> list[dict[str, Any]]:
    """One driver after the other, until nothing is wanted."""
    script = str(Path(__file__).with_name("scale_part.py"))
    while not (parts := earlier_parts(folder)) or not parts[-1]["is_done"]:
        subprocess.run([sys.executable, script, str(folder), *options], check=True)
    return parts


def main() -> None:
    """Simulate, print the table, and with `--figure` draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=52, help="195 trials each")
    parser.add_argument("--trial", type=float, default=600.0, help="mean simulated seconds")
    parser.add_argument("--at-most", type=int, default=2500, help="trials of one driver")
    parser.add_argument("--tune-trial", type=float, default=0.0, help="CPU seconds of Ray Tune")
    parser.add_argument("--tune-epoch", type=float, default=0.0, help="CPU seconds of Ray Tune")
    parser.add_argument("--without-mlflow", action="store_true", help="three quarters of the CPU")
    parser.add_argument("--figure", type=Path, help="PNG to draw")
    asked = parser.parse_args()
    names = ("seeds", "trial", "at-most", "tune-trial", "tune-epoch")
    options = [f"--{name}={getattr(asked, name.replace('-', '_'))}" for name in names]
    options += ["--without-mlflow"] if asked.without_mlflow else []
    with tempfile.TemporaryDirectory(prefix="scale-") as folder:
        parts = run_parts(Path(folder), options)
    whole = Whole(
        parts=tuple(parts),
        gpus=free_slots(scale_spec(Path(folder), asked.seeds)).neural,
        tune_seconds={"start": asked.tune_trial, "epoch": asked.tune_epoch},
    )
    libraries = [f"{name} {version(name)}" for name in ("ray", "optuna", "mlflow", "sqlalchemy")]
    print(", ".join([f"Python {platform.python_version()}", *libraries]))
    print("\n| what | value |\n| :--- | ---: |")
    for what, value in rows_of(whole):
        print(f"| {what} | {value} |")
    if asked.figure is not None:
        draw(whole, asked.figure)


if __name__ == "__main__":
    main()
