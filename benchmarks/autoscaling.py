"""Autoscaling without a cloud: a sweep on a cluster that starts with no worker and ends with none.

    python benchmarks/autoscaling.py --figure docs/results/autoscaling.png

A cluster of fake nodes (`fake_nodes.py`) runs the command line's `run` on a small sweep of the
embedded corpus. The number of live workers is sampled while it runs; which trials were asked, held
a worker or waited is read from the ledger afterwards. Out come a figure and a table with the time
that growing cost: node-seconds in which a trial wanted a node that was not there.
"""

import argparse
import itertools
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from fake_nodes import bring_up_loopback, configuration, fake_cluster, in_namespaces
from table import machine

ROOT = Path(__file__).parents[1]
SAMPLE_SECONDS = 0.25
SHRINK_SECONDS = 60.0
SPEC = """
name: autoscaling
corpus: {{kind: synthetic, documents: 200}}
general: {{kind: synthetic-general, documents: 200, epochs: 2}}
labels: {{train: 20, validation: 0.3}}
test: {{documents: 100}}
sizes: {sizes}
regimes: [bow, scratch, ulm, domain, ulm+domain]
seeds: {seeds}
model: {{embedding: 16, hidden: 32, layers: 1, vocabulary: 1000, minimum_count: 1}}
language_model: {{epochs: 2, minimum_steps: 0, batch: 8, bptt: 35}}
classifier: {{epochs: 2, batch: 8, bptt: 35, maximum_tokens: 200}}
search:
  general: {{trials: 1, learning_rate: 2.0e-2}}
  language_model: {{trials: 2, learning_rate: {{log: [1.0e-2, 4.0e-2]}}, decay: 1.5}}
  classifier: {{trials: 2, learning_rate: {{log: [1.0e-2, 5.0e-2]}}, decay: 1.5}}
  bow: {{trials: 2, inverse_regularization: {{log: [1.0, 1000.0]}}}}
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """One trial, in seconds since the sweep was started; it held a worker from `begun`."""

    asked: float
    begun: float
    ended: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Growth:
    """What happened.

    Args:
        samples: (seconds since the sweep was started, live workers), at every change.
        trials: Trials of the sweep.
        max_workers: Workers the cluster may have; each holds one trial.
        sweep_seconds: How long the sweep's process ran.
        seen_seconds: How long workers were counted.
    """

    samples: tuple[tuple[float, int], ...]
    trials: tuple[Trial, ...]
    max_workers: int
    sweep_seconds: float
    seen_seconds: float

    @property
    def most_workers(self) -> int:
        """The largest number of workers there was."""
        return max(count for _, count in self.samples)

    def spent(self) -> dict[str, float]:
        """Node-seconds by what they went to."""
        totals = dict.fromkeys(("worked", "starting", "absent", "idle"), 0.0)
        for seconds, workers, asked, held in self.spans():
            wanted = min(asked, self.max_workers)
            totals["worked"] += seconds * min(held, workers)
            totals["starting"] += seconds * max(0, min(wanted, workers) - held)
            totals["absent"] += seconds * max(0, wanted - workers)
            totals["idle"] += seconds * max(0, workers - wanted)
        return totals

    def spans(self) -> Iterator[tuple[float, int, int, int]]:
        """(seconds, live workers, trials asked, trials that hold a worker) between changes."""
        times = sorted(
            {0.0, self.seen_seconds}
            | {at for at, _ in self.samples}
            | {at for trial in self.trials for at in (trial.asked, trial.begun, trial.ended)}
        )
        for start, end in itertools.pairwise(times):
            workers = [count for at, count in self.samples if at <= start]
            asked = sum(trial.asked <= start < trial.ended for trial in self.trials)
            held = sum(trial.begun <= start < trial.ended for trial in self.trials)
            yield end - start, workers[-1] if workers else 0, asked, held


class WorkerCount:
    """Counts live workers on a thread until it is stopped.

    Args:
        begin: `time.time()` that counts as second 0.
    """

    def __init__(self, begin: float) -> None:
        self._begin = begin
        self._stop = threading.Event()
        self.samples: list[tuple[float, int]] = []
        self._thread = threading.Thread(target=self._sample)
        self._thread.start()

    def stop(self) -> tuple[tuple[float, int], ...]:
        """What was counted, at every change."""
        self._stop.set()
        self._thread.join()
        return tuple(self.samples)

    def _sample(self) -> None:
        import ray

        while not self._stop.wait(SAMPLE_SECONDS):
            alive = [node for node in ray.nodes() if node["Alive"]]
            workers = len(alive) - 1
            if not self.samples or self.samples[-1][1] != workers:
                self.samples.append((time.time() - self._begin, workers))


def grow_and_shrink(workers: int, sizes: Sequence[int], seeds: int) -> Growth:
    """Run the sweep on a new cluster; in namespaces of its own."""
    import ray

    bring_up_loopback()
    folder = Path.home()
    os.environ["OMP_NUM_THREADS"] = "1"
    spec = folder / "spec.yaml"
    spec.write_text(SPEC.format(sizes=list(sizes), seeds=seeds), encoding="utf-8")
    with fake_cluster(configuration(workers, cpus=1, idle_minutes=0.1), folder):
        ray.init("auto", log_to_driver=False, logging_level="ERROR")
        begin = time.time()
        count = WorkerCount(begin)
        try:
            _run_sweep(spec, folder)
            sweep_seconds = time.time() - begin
            _wait_for_no_worker(count)
        finally:
            samples = count.stop()
            ray.shutdown()
    return Growth(
        samples=samples,
        trials=_trials(folder, begin),
        max_workers=workers,
        sweep_seconds=sweep_seconds,
        seen_seconds=time.time() - begin,
    )


def _run_sweep(spec: Path, folder: Path) -> None:
    command = (sys.executable, str(ROOT / "sweeps" / "sweep.py"), "run", str(spec), "--quiet")
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"the sweep ended with {done.returncode}\n{done.stdout}{done.stderr}")
    sys.stderr.write(done.stdout)


def _wait_for_no_worker(count: WorkerCount) -> None:
    give_up_at = time.monotonic() + SHRINK_SECONDS
    while count.samples[-1][1] > 0 and time.monotonic() < give_up_at:
        time.sleep(SAMPLE_SECONDS)


def _trials(folder: Path, begin: float) -> tuple[Trial, ...]:
    from sweeps.paths import SweepPaths
    from sweeps.search.studies import read_records
    from sweeps.spec.load import load_recorded

    paths = SweepPaths.at(folder / "runs" / "autoscaling")
    records = read_records(paths, load_recorded(paths.spec_json))
    return tuple(
        Trial(
            asked=record.started_at - begin,
            begun=record.started_at + record.waited_seconds - begin,
            ended=record.ended_at - begin,
        )
        for record in records
        if record.ended_at is not None
    )


def measure(*, workers: int, sizes: Sequence[int], seeds: int, timeout_seconds: float) -> Growth:
    """`grow_and_shrink` in namespaces of its own."""
    options = ("--workers", str(workers), "--seeds", str(seeds), "--sizes", *map(str, sizes))
    out = in_namespaces((sys.executable, __file__, "--inside", *options), timeout_seconds)
    told = json.loads(out.splitlines()[-1])
    told["samples"] = tuple((at, count) for at, count in told["samples"])
    told["trials"] = tuple(Trial(**trial) for trial in told["trials"])
    return Growth(**told)


def table(growth: Growth) -> str:
    """The numbers, as Markdown."""
    spent = growth.spent()
    first = min(trial.asked for trial in growth.trials)
    reached = next(at for at, count in growth.samples if count == growth.most_workers)
    last = max(trial.ended for trial in growth.trials)
    gone = growth.samples[-1][0] if growth.samples[-1][1] == 0 else float("nan")
    counts = f"{growth.samples[0][1]}, {growth.most_workers}, {growth.samples[-1][1]}"
    rows = [
        ("trials", f"{len(growth.trials)}"),
        ("sweep, from its start to its report", f"{growth.sweep_seconds:.0f} s"),
        ("workers: at the start, most, at the end", counts),
        ("from the first trial asked to the most workers", f"{reached - first:.1f} s"),
        ("from the last trial's end to no worker", f"{gone - last:.1f} s"),
        ("node-seconds with a trial", f"{spent['worked']:.0f}"),
        ("node-seconds wanted and absent (lost to growth)", f"{spent['absent']:.0f}"),
        ("node-seconds wanted and there, its process starting", f"{spent['starting']:.0f}"),
        ("node-seconds there and not wanted (paid for)", f"{spent['idle']:.0f}"),
    ]
    lines = [f"| {what} | {value} |" for what, value in rows]
    return "\n".join(["| what | value |", "| :--- | ---: |", *lines])


def draw(growth: Growth, file: Path) -> None:
    """Workers that were there below trials that wanted one, over time."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    edges, workers, asked, held = [0.0], [], [], []
    for seconds, there, wanted, working in growth.spans():
        edges.append(edges[-1] + seconds)
        workers.append(there)
        asked.append(min(wanted, growth.max_workers))
        held.append(working)
    figure, axes = pyplot.subplots(figsize=(9, 3.2), layout="constrained")
    axes.stairs(asked, edges, color="#d95f02", fill=True, alpha=0.25, label="wanted")
    axes.stairs(held, edges, color="#1b9e77", fill=True, alpha=0.6, label="with a trial")
    axes.stairs(workers, edges, color="black", linewidth=1.4, label="workers there")
    axes.axvline(growth.sweep_seconds, color="grey", linestyle=":", linewidth=1)
    at = (growth.sweep_seconds, growth.max_workers + 0.2)
    axes.annotate("sweep ended ", at, color="grey", horizontalalignment="right")
    axes.set(xlabel="seconds since the sweep was started", ylabel="nodes")
    axes.set_xlim(0, growth.seen_seconds)
    axes.set_ylim(0, growth.max_workers + 0.6)
    axes.set_yticks(range(growth.max_workers + 1))
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, dpi=150)
    pyplot.close(figure)


def main() -> None:
    """Measure, print the table, and with `--figure` draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--sizes", type=int, nargs="+", default=[60, 140])
    parser.add_argument("--figure", type=Path, help="PNG to draw")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    size = {"workers": asked.workers, "sizes": asked.sizes, "seeds": asked.seeds}
    if asked.inside:
        print(json.dumps(asdict(grow_and_shrink(**size))))
        return
    growth = measure(**size, timeout_seconds=1200.0)
    print(machine("ray", "optuna", "torch"), table(growth), sep="\n\n")
    if asked.figure is not None:
        draw(growth, asked.figure)


if __name__ == "__main__":
    main()
