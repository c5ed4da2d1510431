"""Plan against truth: what `sweep plan` says of three small sweeps, and what they then took.

    python benchmarks/plan_truth.py

Each sweep is planned as the command plans it, on a storage where nothing is known yet, and run with
one trial at a time. Compared is the time of all trials one by one, as the plan shows it; the truth
is what the ledger holds of how long workers had them. The specs differ in corpus, sizes of the
model, and in what takes most of the time.
"""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from table import Row, machine, print_table

from sweeps.opening import ledger_of, rates_of
from sweeps.paths import SweepPaths
from sweeps.run.launch import run_sweep
from sweeps.search.listener import RunListener
from sweeps.spec.load import load_spec
from sweeps.spec.plan import plan_sweep
from sweeps.spec.values import SweepSpec
from sweeps.spec.volume import stored_volumes

REACH = 0.3
SPECS = {
    "language models of a small net": """
corpus: {kind: synthetic}
general: {kind: synthetic-general, documents: 1000, epochs: 3}
labels: {train: 100, validation: 0.3}
test: {documents: 500}
sizes: [200, 800]
model: {embedding: 48, hidden: 96, layers: 1, vocabulary: 4000, minimum_count: 1}
language_model: {epochs: 4, minimum_steps: 400, batch: 16, bptt: 35}
classifier: {epochs: 8, batch: 16, bptt: 35, maximum_tokens: 200}
search:
  general: {trials: 1, learning_rate: 2.0e-2}
  language_model: {trials: 2, learning_rate: {log: [1.0e-2, 4.0e-2]}, decay: 1.5}
  classifier: {trials: 2, learning_rate: {log: [1.0e-2, 5.0e-2]}}
""",
    "a deeper net": """
corpus: {kind: synthetic, documents: 1000}
general: {kind: synthetic-general, documents: 500, epochs: 2}
labels: {train: 100, validation: 0.3}
test: {documents: 500}
sizes: [400]
model: {embedding: 128, hidden: 384, layers: 3, vocabulary: 4000, minimum_count: 1}
language_model: {epochs: 3, minimum_steps: 60, batch: 32, bptt: 70}
classifier: {epochs: 6, batch: 32, bptt: 70, maximum_tokens: 200}
search:
  general: {trials: 1, learning_rate: 1.0e-2}
  language_model: {trials: 2, learning_rate: {log: [4.0e-3, 1.0e-2]}, decay: 1.5}
  classifier: {trials: 2, learning_rate: {log: [4.0e-3, 1.0e-2]}}
""",
    "classifiers, no general model": """
corpus: {kind: synthetic, documents: 500}
labels: {train: 400, validation: 0.2}
test: {documents: 1000}
sizes: [500]
regimes: [bow, scratch, domain]
model: {embedding: 100, hidden: 200, layers: 2, vocabulary: 4000, minimum_count: 1}
language_model: {epochs: 1, minimum_steps: 50, batch: 16, bptt: 35}
classifier: {epochs: 12, batch: 16, bptt: 35, maximum_tokens: 100}
search:
  language_model: {trials: 1, learning_rate: 1.0e-2}
  classifier: {trials: 4, learning_rate: {log: [4.0e-3, 1.0e-2]}}
""",
}
COMMON = """
name: plan-truth
seeds: 1
resources: {cpus: 2, gpus: 0}
"""


def compare(spec: SweepSpec) -> tuple[float, float]:
    """Seconds of all trials one by one: planned before anything ran, and taken."""
    paths = SweepPaths.of(spec)
    volumes = stored_volumes(spec, paths.tokens)
    rates = rates_of(paths, spec, volumes, None, is_here=True)
    planned = plan_sweep(spec, volumes=volumes, rates=rates)
    run_sweep(spec, RunListener())
    ended = [r for r in ledger_of(paths, spec).attempts if r.ended_at is not None]
    return planned.total.hours * 3600, sum(r.held_seconds(r.ended_at or 0.0) for r in ended)


def rows(folder: Path) -> Iterator[Row]:
    """One line a spec."""
    os.environ |= {"HOME": str(folder), "RAY_TMPDIR": str(folder)}
    for number, (name, text) in enumerate(SPECS.items()):
        file = folder / f"{number}.yaml"
        file.write_text(COMMON + text, encoding="utf-8")
        spec = load_spec(file, {"storage": f'"{folder / str(number)}"', "search.pruner": "none"})
        planned, taken = compare(spec)
        error = planned / taken - 1
        yield Row(
            what=f"what `sweep plan` says of a small sweep: {name}",
            against="the seconds its trials then took",
            reach=f"within {100 * REACH:.0f} %",
            measured=f"{planned:.0f} s planned, {taken:.0f} s taken: {100 * error:+.0f} %",
            reached=abs(error) <= REACH,
        )


def main() -> None:
    """Plan, run, compare."""
    print(machine("ray", "torch"), "\n")
    with tempfile.TemporaryDirectory(prefix="p", dir="/tmp") as folder:
        print_table(rows(Path(folder)))


if __name__ == "__main__":
    main()
