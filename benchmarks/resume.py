"""Resume: how long `sweep run` takes from its start to the first new trial of a long sweep.

    python benchmarks/resume.py

Thousands of trials of a small sweep are recorded by workers that train nothing; then the sweep gets
more seeds and the command runs on it, with a Ray of its own. The ledger says when the first new
trial was handed out and when a worker had it. The MLflow record is missing, so it is made anew
meanwhile: the worst case.
"""

import os
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

from simulated_workers import outcome_of
from table import Row, machine, print_table

from sweeps.paths import SweepPaths
from sweeps.record.recorder import ListRecorder
from sweeps.search.control import Control
from sweeps.search.listener import RunListener
from sweeps.search.records import TrialRecord, TrialRequest
from sweeps.search.studies import OptunaStudies, read_ledger
from sweeps.spec.cells import make_cells
from sweeps.spec.load import load_spec
from sweeps.spec.values import SweepSpec

ROUNDS, REACH_SECONDS = 5, 5.0
ENDING_SECONDS = 15.0
SPEC = """
name: resume
corpus: {kind: synthetic, documents: 3000}
general: {kind: synthetic-general, documents: 200, epochs: 1}
labels: {train: 20, validation: 0.3}
test: {documents: 100}
sizes: [20, 40, 80, 160, 320, 640, 1280, 2560]
regimes: [bow, scratch, ulm, domain, ulm+domain]
seeds: 32
model: {embedding: 16, hidden: 32, layers: 1, vocabulary: 1000, minimum_count: 1}
language_model: {epochs: 1, minimum_steps: 0, batch: 8, bptt: 35}
classifier: {epochs: 1, batch: 8, bptt: 35, maximum_tokens: 200}
search:
  language_model: {trials: 4, learning_rate: {log: [1.0e-2, 4.0e-2]}, decay: 1.5}
  classifier: {trials: 4, learning_rate: {log: [1.0e-2, 5.0e-2]}, decay: 1.5}
  bow: {trials: 4, inverse_regularization: {log: [1.0, 1000.0]}}
"""


def record_all(spec: SweepSpec) -> int:
    """Record every trial of a sweep without training any. Returns how many."""
    paths, cells = SweepPaths.of(spec), make_cells(spec)
    paths.folder.mkdir(parents=True)
    studies = OptunaStudies(paths.ledger_url, spec.name)
    recorder = ListRecorder(spec=spec, cells=cells)
    control = Control(spec, cells, studies, lambda: recorder, RunListener())
    while isinstance(request := control.next_request(), TrialRequest):
        control.finish(request.key, outcome_of(request))
    control.close()
    return control.num_recorded


def count_trials(spec: SweepSpec) -> int:
    """Trials in the ledger."""
    file = SweepPaths.of(spec).ledger_db
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=60)) as ledger:
        return int(ledger.execute("SELECT count(*) FROM trials").fetchone()[0])


def first_new(spec: SweepSpec, since: float) -> TrialRecord | None:
    """The first trial that was handed out since a time, once a worker has had it."""
    records = read_ledger(SweepPaths.of(spec), spec).attempts
    new = [record for record in records if record.started_at > since]
    return min((r for r in new if r.waiting_since is None), key=_begun, default=None)


def _begun(record: TrialRecord) -> float:
    return record.started_at + record.waited_seconds


def resume(file: Path, spec: SweepSpec, seeds: int) -> tuple[float, float]:
    """Run the command until a new trial has ended; seconds until one was handed out, and begun."""
    more = replace(spec, seeds=tuple(range(seeds)))
    command = [str(Path(sys.executable).with_name("sweep")), "run", str(file), "--quiet"]
    command += ["--set", f"seeds={seeds}", "--storage", spec.storage]
    before, begin = count_trials(spec), time.time()
    nowhere = subprocess.DEVNULL
    with subprocess.Popen(
        command, start_new_session=True, stdout=nowhere, stderr=nowhere
    ) as process:
        while count_trials(spec) == before and process.poll() is None:
            time.sleep(0.1)
        while (record := first_new(more, begin)) is None and process.poll() is None:
            time.sleep(2.0)  # reading the ledger takes a core
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(ENDING_SECONDS)
        process.kill()  # Ray has ended, the record would still take minutes
    assert record is not None, "the command has handed out a trial"
    return record.started_at - begin, _begun(record) - begin


def rows(folder: Path) -> Iterator[Row]:
    """Record, resume a few times, tell."""
    os.environ |= {"HOME": str(folder), "RAY_TMPDIR": str(folder)}
    file = folder / "resume.yaml"
    file.write_text(SPEC, encoding="utf-8")
    spec = load_spec(file, {"storage": f'"{folder / "runs"}"'})
    recorded = record_all(spec)
    found = [resume(file, spec, len(spec.seeds) + turn) for turn in range(1, ROUNDS + 1)]
    for place, what in enumerate(("was handed out", "had a worker")):
        seconds = sorted(times[place] for times in found)
        median = statistics.median(seconds)
        yield Row(
            what=f"`sweep run` on {recorded:,} recorded trials, until the first new one {what}",
            against="–",
            reach=f"≤ {REACH_SECONDS:.0f} s",
            measured=f"{median:.1f} s ({seconds[0]:.1f}–{seconds[-1]:.1f}, {ROUNDS} rounds)",
            reached=median <= REACH_SECONDS,
        )


def main() -> None:
    """Measure and print."""
    print(machine("ray", "optuna"), "\n")
    with tempfile.TemporaryDirectory(prefix="r", dir="/tmp") as folder:
        print_table(rows(Path(folder)))


if __name__ == "__main__":
    main()
