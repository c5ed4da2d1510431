"""Tune's cost: CPU seconds that Ray Tune itself takes in a driver, for each trial and each epoch.

    python benchmarks/tune_cost.py

A few hundred trials that only report, each epoch with a small checkpoint, run on real workers of a
local Ray through the launcher's own tuner. The plug-ins of this package are timed and subtracted,
so what is left is Ray: Tune's controller, its snapshots of the experiment, and the driver's part of
every remote call. Two lengths of trials tell the cost of a trial from that of an epoch.
"""

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Callable
from math import inf
from pathlib import Path
from typing import Any

from local_ray import in_own_process, own_ray

WORKERS = 4
LENGTHS = (1, 6)  # epochs


def save_little(folder: Path) -> None:
    """A checkpoint."""
    (folder / "state").write_bytes(b"0" * 1000)


def report_only(num_epochs: int) -> Callable[[dict[str, Any]], None]:
    """A trial that trains nothing."""

    def train(config: dict[str, Any]) -> None:
        from ray import tune
        from simulated_workers import outcome_of, progress_of

        from sweeps.run.checkpoints import Note
        from sweeps.run.pace import CheckpointPace
        from sweeps.run.reporter import Reporter
        from sweeps.search.messages import OUTCOME, REQUEST, dump, load_request

        request = load_request(config[REQUEST])
        report = Reporter(Note(trial={}), None, CheckpointPace(share=inf))
        for epoch in range(1, num_epochs + 1):
            report(progress_of(request, epoch), save_little)
        tune.report({OUTCOME: dump(outcome_of(request))})

    return train


def measure(seeds: int, num_epochs: int) -> dict[str, Any]:
    """Run the sweep of `scale.py`, one CPU a trial and no pruning, and count."""
    from dataclasses import replace

    from simulated_workers import scale_spec

    from sweeps.paths import SweepPaths
    from sweeps.record.recorder import ListRecorder
    from sweeps.run.launch import make_tuner
    from sweeps.search.bridge import Bridge
    from sweeps.search.control import Control
    from sweeps.search.listener import RunListener
    from sweeps.search.suggestions import InMemoryStudies
    from sweeps.spec.cells import make_cells
    from sweeps.spec.fleet import Slots
    from sweeps.spec.values import ResourceSpec

    class TimedBridge(Bridge):
        """Keeps the CPU seconds of the plug-ins, and Ray's so far after every trial."""

        seconds = 0.0

        def guarded(self, act: Callable[[], Any], otherwise: Any) -> Any:
            begin = time.thread_time()
            try:
                return super().guarded(act, otherwise)
            finally:
                self.seconds += time.thread_time() - begin
                if len(ends) < self.control.num_trained:
                    ends.append(time.process_time() - self.seconds)

    ends: list[float] = []
    with tempfile.TemporaryDirectory(prefix="r", dir="/tmp") as folder:
        spec = scale_spec(Path(folder), seeds)
        search = replace(spec.search, pruner="none")
        spec = replace(spec, resources=ResourceSpec(cpus=1, gpus=0), search=search)
        cells = make_cells(spec)
        recorder = ListRecorder(spec=spec, cells=cells)
        control = Control(spec, cells, InMemoryStudies(), lambda: recorder, RunListener())
        bridge = TimedBridge(control, Slots(total=WORKERS, neural=WORKERS))
        with own_ray(Path(folder) / "ray", WORKERS):
            begin = time.time()
            make_tuner(bridge, report_only(num_epochs), SweepPaths.of(spec)).fit()
            wall_seconds = time.time() - begin
        if bridge.error is not None:
            raise bridge.error
    warm = len(ends) // 5  # the first trials pay for starting workers
    half = (warm + len(ends)) // 2
    return {
        "trials": len(ends),
        "epochs": num_epochs,
        "seconds": (ends[-1] - ends[warm]) / (len(ends) - 1 - warm),
        "earlier": (ends[half] - ends[warm]) / (half - warm),
        "later": (ends[-1] - ends[half]) / (len(ends) - 1 - half),
        "plug_ins": bridge.seconds / len(ends),
        "wall_seconds": wall_seconds,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def main() -> None:
    """Print one row for each length, and what follows for a trial and an epoch."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=2, help="195 trials each")
    parser.add_argument("--inside", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.inside is not None:
        print(json.dumps(measure(asked.seeds, asked.inside)))
        return
    rows = [
        in_own_process(__file__, "--seeds", asked.seeds, "--inside", length) for length in LENGTHS
    ]
    print("| trials | epochs | Ray, ms a trial | first half, second half | our plug-ins | peak |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: |")
    for row in rows:
        halves = f"{1000 * row['earlier']:.0f}, {1000 * row['later']:.0f}"
        print(
            f"| {row['trials']} | {row['epochs']} | {1000 * row['seconds']:.0f} | {halves} | "
            f"{1000 * row['plug_ins']:.1f} | {row['peak_mib']:.0f} MiB |"
        )
    short, long = (row["seconds"] for row in rows)
    epoch = (long - short) / (LENGTHS[1] - LENGTHS[0])
    print(f"--tune-trial {short - LENGTHS[0] * epoch:.4f} --tune-epoch {epoch:.4f}")


if __name__ == "__main__":
    main()
