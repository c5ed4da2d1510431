"""The published grid with one seed and one trial a study: what every cell takes, and what it gives.

    python benchmarks/grid.py FOLDER --seconds 550 --set general.kind=wikitext-2
    python benchmarks/grid.py FOLDER --seconds 0      # the table alone

Runs `sweep run imdb` with its storage in FOLDER, smallest sizes first, interrupts it as Ctrl-C does
when its seconds are over, and prints a row per cell. The same command again goes on where it was,
so that a grid may be run in pieces. GPU-seconds are seconds of a trial times the share of a GPU it
holds, of trials that ended.
"""

import argparse
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from sweeps.opening import ledger_of, open_sweep
from sweeps.search.records import TrialRecord, TrialState
from sweeps.spec.cells import Cell, Stage, make_cells
from sweeps.spec.spaces import accelerator, accelerators
from sweeps.spec.values import SweepSpec

SETTINGS = (
    "seeds=1",
    "order=smallest_first",
    "language_model.precision=bf16",
    "search.general.trials=1",
    "search.language_model.trials=1",
    "search.classifier.trials=1",
    "search.bow.trials=1",
)
LEAVING_SECONDS = 30.0  # what was running is saved meanwhile


def run(folder: Path, spec: str, seconds: float, settings: list[str]) -> None:
    """Run the grid, or go on with it, for so many seconds at the most."""
    options = [word for setting in (*SETTINGS, *settings) for word in ("--set", setting)]
    command = (sys.executable, "-m", "sweeps.cli", "run", spec, "--storage", str(folder), *options)
    process = subprocess.Popen(command)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(LEAVING_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()


def rows(spec: SweepSpec, records: tuple[TrialRecord, ...]) -> Iterator[tuple[str, ...]]:
    """Cell, tokens and loss of its language model, accuracies, and what each stage took.

    Values are those of the chosen trial, seconds those of all that ended.
    """
    trials: dict[str, dict[Stage, list[TrialRecord]]] = defaultdict(lambda: defaultdict(list))
    for record in records:
        if record.state.counts:
            trials[record.key.study.cell_id][record.key.study.stage].append(record)
    for cell in make_cells(spec):
        if cell.id in trials:
            yield tuple(_row(spec, cell, trials[cell.id]))


def _row(spec: SweepSpec, cell: Cell, trials: dict[Stage, list[TrialRecord]]) -> Iterator[str]:
    yield "general" if cell.is_general else f"`{cell.regime}` {cell.size or ''}".rstrip()
    for stage in (Stage.LANGUAGE_MODEL, Stage.CLASSIFIER, Stage.FINAL):
        outcomes = [record.outcome for record in trials[stage] if record.outcome is not None]
        if not outcomes:
            yield from ("", "")
            continue
        is_loss = stage is Stage.LANGUAGE_MODEL
        chosen = (min if is_loss else max)(outcomes, key=lambda outcome: outcome.value)
        tokens = chosen.metrics.get("tokens", 0.0)
        told = f"{tokens / 1e6:.1f} M, {chosen.value:.3f}" if is_loss else f"{chosen.value:.1%}"
        num_stopped = sum(record.state is TrialState.PRUNED for record in trials[stage])
        yield told + (f" ({num_stopped} of {len(trials[stage])} stopped)" if num_stopped else "")
        yield f"{sum(seconds_of(spec, cell, record) for record in trials[stage]):.1f}"


def seconds_of(spec: SweepSpec, cell: Cell, record: TrialRecord) -> float:
    """GPU-seconds of a trial that ended."""
    return record.worked_seconds(time.time()) * accelerators(spec, cell.regime)


def read_grid(folder: Path) -> tuple[SweepSpec, tuple[TrialRecord, ...]]:
    """The one sweep below a storage, and its trials."""
    sweeps = [file.parent for file in folder.glob("*/spec.json")]
    if len(sweeps) != 1:
        sys.exit(f"{folder} must hold one sweep, found {len(sweeps)}: name another folder")
    paths, spec = open_sweep(str(sweeps[0]))
    return spec, ledger_of(paths, spec).records


def print_grid(folder: Path) -> None:
    """The table of the one sweep below a storage, and the sum."""
    spec, records = read_grid(folder)
    unit = f"{accelerator(spec)}-s"
    columns = ("cell", "tokens, validation loss", unit, "validation", unit, "test", unit)
    print("| " + " | ".join(columns) + " |")
    print("| " + " | ".join([":---"] * len(columns)) + " |")
    for row in rows(spec, records):
        print("| " + " | ".join(row) + " |")
    cells = {cell.id: cell for cell in make_cells(spec)}
    ended = [r for r in records if r.state.counts]
    total = sum(seconds_of(spec, cells[r.key.study.cell_id], r) for r in ended)
    print(f"\n{len(ended)} trials, {total:.0f} {unit}, batch {spec.language_model.batch}")


def main() -> None:
    """Run for a while, and print what is there."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--spec", default="imdb")
    parser.add_argument("--seconds", type=float, default=550.0)
    parser.add_argument("--set", action="append", default=[], dest="settings", metavar="KEY=VALUE")
    arguments = parser.parse_args()
    if arguments.seconds > 0:
        run(arguments.folder, arguments.spec, arguments.seconds, arguments.settings)
    print_grid(arguments.folder)


if __name__ == "__main__":
    main()
