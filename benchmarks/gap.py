"""Gap: how long a warm worker waits between two trials of a real sweep.

    python benchmarks/gap.py

A small sweep of the embedded corpus runs on one worker, as `sweep run` runs it: ledger and MLflow
record included. The worker notes when a trial began, made its first optimiser step, and ended.
"""

import itertools
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

from local_ray import own_ray
from resume import SPEC
from table import Row, machine, print_table

from sweeps.paths import SweepPaths
from sweeps.run.prepare import prepare_context
from sweeps.run.session import RunSession
from sweeps.search.control import Control
from sweeps.search.listener import RunListener
from sweeps.spec.load import load_spec

REACH_SECONDS = 0.3
SMALL = {"sizes": "[20, 1280]", "seeds": "1"}


def noting(
    train: Callable[[dict[str, Any]], None], notes: Path
) -> Callable[[dict[str, Any]], None]:
    """A trainable that appends (process, begun, first step, ended) of every trial to a file."""

    def noted(config: dict[str, Any]) -> None:
        from ulm.training.optimizer import GroupedAdamW

        steps: list[float] = []
        step = GroupedAdamW.step

        def noted_step(optimizer: GroupedAdamW) -> None:
            if not steps:
                steps.append(time.time())
            step(optimizer)

        begun = time.time()
        try:
            with patch.object(GroupedAdamW, "step", noted_step):
                train(config)
        finally:
            first = steps[0] if steps else None
            with notes.open("a", encoding="utf-8") as file:
                file.write(json.dumps([os.getpid(), begun, first, time.time()]) + "\n")

    return noted


def run(folder: Path) -> list[tuple[int, float, float | None, float]]:
    """Run the sweep; what the worker noted, trial by trial."""
    file, notes = folder / "gap.yaml", folder / "notes.jsonl"
    file.write_text(SPEC, encoding="utf-8")
    spec = load_spec(file, {**SMALL, "storage": f'"{folder / "runs"}"'})
    paths, listener = SweepPaths.of(spec), RunListener()
    context, tokens = prepare_context(spec, paths, listener)
    paths.folder.mkdir(parents=True, exist_ok=True)

    def run_trials(control: Control) -> None:
        from sweeps.run.launch import make_tuner
        from sweeps.run.trial import make_trainable
        from sweeps.search.bridge import Bridge
        from sweeps.spec.fleet import Slots

        bridge = Bridge(control, Slots(total=1, neural=1))
        make_tuner(bridge, noting(make_trainable(context), notes), paths).fit()
        if bridge.error is not None:
            raise bridge.error

    session = RunSession(spec, paths, listener, tokens=tokens)
    with own_ray(folder / "ray", 1):
        session.train(run_trials)
    session.close()
    return [tuple(json.loads(line)) for line in notes.read_text(encoding="utf-8").splitlines()]


def rows(noted: list[tuple[int, float, float | None, float]]) -> Iterator[Row]:
    """The table; the first trials of a process load what the others find there."""
    pairs = [(a, b) for a, b in itertools.pairwise(noted[8:]) if a[0] == b[0]]
    gaps = {
        "until the next one begins": [b[1] - a[3] for a, b in pairs],
        "until the next one makes its first step": [b[2] - a[3] for a, b in pairs if b[2]],
    }
    for what, seconds in gaps.items():
        median, most = statistics.median(seconds), max(seconds)
        yield Row(
            what=f"gap between two trials on one warm worker, {what}",
            against="–",
            reach=f"≤ {REACH_SECONDS} s",
            measured=f"median {median:.3f} s, most {most:.3f} s of {len(seconds)}",
            reached=median <= REACH_SECONDS,
        )


def main() -> None:
    """Measure and print."""
    print(machine("ray", "torch", "optuna", "mlflow"), "\n")
    with tempfile.TemporaryDirectory(prefix="g", dir="/tmp") as folder:
        print_table(rows(run(Path(folder))))


if __name__ == "__main__":
    main()
