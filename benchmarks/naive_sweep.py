"""A whole small sweep against the one a good user writes today.

    python benchmarks/naive_sweep.py

The other side is one Ray Tune run for every cell of the grid, with `OptunaSearch` and stock fastai
in each trial (`naive_trial.py`). It sees the same documents and labels, evaluates as many learning
rates of each kind, trains as long, and is written with care: texts are tokenised once, workers are
reused, two trials run at once, no logger writes. Ours is the command as it comes: its pruner ends
what is below the median, report and record are included.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from local_ray import in_own_process, own_ray
from naive_trial import CellData, classifier, language_model, train, vocabulary
from table import Row, machine, print_table

from sweeps.opening import ledger_of
from sweeps.paths import SweepPaths
from sweeps.run.context import Materials
from sweeps.run.prepare import prepare_context
from sweeps.search.listener import RunListener
from sweeps.spec.cells import Cell, Stage, make_cells
from sweeps.spec.load import load_spec
from sweeps.spec.values import SweepSpec
from ulm.text.corpora import open_corpus
from ulm.text.subsets import language_model_split

REACH, WORKERS = 4.0, 2
SPEC = """
name: small
corpus: {kind: synthetic, documents: 1500}
general: {kind: synthetic-general, documents: 500, epochs: 3}
labels: {train: 100, validation: 0.3}
test: {documents: 1000}
sizes: [300, 1200]
regimes: [domain, ulm+domain]
seeds: 2
model: {embedding: 64, hidden: 128, layers: 1, vocabulary: 4000, minimum_count: 1}
language_model: {epochs: 4, minimum_steps: 200, batch: 16, bptt: 35, dropout: 0.1}
classifier: {epochs: 12, batch: 16, bptt: 35, maximum_tokens: 200, dropout: 0.3}
search:
  general: {trials: 1, learning_rate: 2.0e-2}
  language_model: {trials: 5, learning_rate: {log: [1.0e-2, 4.0e-2]}, decay: 1.0}
  classifier: {trials: 5, learning_rate: {log: [1.0e-2, 5.0e-2]}, decay: 1.3}
resources: {cpus: 1, gpus: 0}
"""


def spec_in(folder: Path) -> SweepSpec:
    """The sweep of both sides."""
    file = folder / "small.yaml"
    file.write_text(SPEC, encoding="utf-8")
    return load_spec(file, {"storage": json.dumps(str(folder / "runs"))})


def run_ours(folder: Path) -> dict[str, float]:
    """Accuracy of every cell, from the ledger the command leaves."""
    spec = spec_in(folder)
    command = [str(Path(sys.executable).with_name("sweep")), "run", str(folder / "small.yaml")]
    command += ["--storage", spec.storage, "--quiet"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    records = ledger_of(SweepPaths.of(spec), spec).records
    labels = {cell.id: cell.label for cell in make_cells(spec)}
    return {
        labels[record.key.study.cell_id]: record.outcome.value
        for record in records
        if record.key.study.stage is Stage.FINAL and record.outcome is not None
    }


def run_naive(folder: Path) -> dict[str, float]:
    """Accuracy of every cell, one Tune run after the other."""
    from fastai.text.core import tokenize_texts

    spec = spec_in(folder)
    context, _ = prepare_context(spec, SweepPaths.of(spec), RunListener())
    tokens = list(tokenize_texts(open_corpus(spec.corpus).texts, n_workers=WORKERS))
    found = {}
    with own_ray(folder / "ray", WORKERS):
        general = _pretrain(spec, folder)
        for cell in make_cells(spec):
            if not cell.is_general:
                data = _data(Materials(context, cell), tokens, spec)
                starts = cell.regime == "ulm+domain"
                data = replace(data, general=general if starts else None)
                found[cell.label] = _search(cell, data, spec, folder)
    return found


def _pretrain(spec: SweepSpec, folder: Path) -> tuple[str, str]:
    """The general model; its weights and vocabulary as files, named without their endings."""
    import pickle

    from fastai.text.core import tokenize_texts

    assert spec.general.source is not None, "there is a general corpus"
    texts = open_corpus(spec.general.source).texts
    documents = list(tokenize_texts(texts, n_workers=WORKERS))
    parts = language_model_split(np.arange(len(documents)))
    train_part, validation = ([documents[index] for index in part] for part in parts)
    words = vocabulary(documents, spec)
    data = CellData(
        train=train_part, validation=validation, labelled=[], held_out=[], test=[], words=words
    )
    rate = spec.search.general.learning_rate.low
    learner = language_model(data, spec, rate, folder, spec.general.epochs, 0)
    learner.save(folder / "general", with_opt=False)
    (folder / "words.pkl").write_bytes(pickle.dumps(words))
    return str(folder / "general"), str(folder / "words")


def _data(materials: Materials, tokens: list[list[str]], spec: SweepSpec) -> CellData:
    """The documents and labels that the cell of ours sees too."""
    parts = language_model_split(materials.documents)
    train_part, validation = ([tokens[index] for index in part] for part in parts)
    labelled, held_out, test = (
        [(tokens[i], int(c)) for i, c in zip(part, materials.labels(part), strict=True)]
        for part in (*materials.label_splits[0], materials.test)
    )
    return CellData(
        train=train_part,
        validation=validation,
        labelled=labelled,
        held_out=held_out,
        test=test,
        words=vocabulary([tokens[index] for index in materials.documents], spec),
    )


def _search(cell: Cell, data: CellData, spec: SweepSpec, folder: Path) -> float:
    """One Tune run; then the best trial's classifier on all labels, scored on the test part."""
    from ray import tune
    from ray.tune.search.optuna import OptunaSearch

    search = spec.search
    rates = {
        "language_model": search.language_model.learning_rate,
        "classifier": search.classifier.learning_rate,
    }
    results = tune.Tuner(
        tune.with_resources(
            tune.with_parameters(train, data=data, spec=spec), {"cpu": spec.resources.cpus}
        ),
        param_space={name: tune.loguniform(rate.low, rate.high) for name, rate in rates.items()},
        tune_config=tune.TuneConfig(
            metric="accuracy",
            mode="max",
            search_alg=OptunaSearch(seed=cell.seed),
            num_samples=search.classifier.trials,
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(storage_path=str(folder / "tune"), verbose=0),
    ).fit()
    best = results.get_best_result()
    with best.checkpoint.as_directory() as encoder:
        labelled = [*data.labelled, *data.held_out]
        rate = best.config["classifier"]
        return classifier(data, spec, rate, Path(encoder), labelled, data.test)


def measure(side: str) -> dict[str, object]:
    """Wall seconds of one side, and the accuracy of every cell."""
    with tempfile.TemporaryDirectory(prefix="n", dir="/tmp") as name:
        folder = Path(name)
        os.environ |= {"HOME": name, "RAY_TMPDIR": name}
        begin = time.perf_counter()
        found = run_ours(folder) if side == "ours" else run_naive(folder)
        return {"seconds": time.perf_counter() - begin, "accuracy": found}


def rows() -> Iterator[Row]:
    """Both sides once, and what is paired over seeds."""
    naive, ours = (in_own_process(__file__, side) for side in ("naive", "ours"))
    ratio = naive["seconds"] / ours["seconds"]
    against = "one Tune run a cell, OptunaSearch, stock fastai"
    yield Row(
        what=f"a whole small sweep, {len(ours['accuracy'])} cells, report and record included",
        against=against,
        reach=f"≥ {REACH:.0f} × less wall time",
        measured=f"{ratio:.1f} ×: {ours['seconds']:.0f} s, {naive['seconds']:.0f} s",
        reached=ratio >= REACH,
    )
    better = [value - naive["accuracy"][cell] for cell, value in ours["accuracy"].items()]
    mean = statistics.mean(better)
    error = statistics.stdev(better) / len(better) ** 0.5
    won = sum(difference >= 0 for difference in better)
    yield Row(
        what="test accuracy of that sweep, paired over cells and seeds",
        against=against,
        reach="no worse",
        measured=f"{100 * mean:+.1f} ± {100 * error:.1f} points, {won} of {len(better)} no worse",
        reached=mean >= -error,
    )


def main() -> None:
    """Measure and print."""
    if sys.argv[1:] in (["ours"], ["naive"]):
        print(json.dumps(measure(sys.argv[1])))
        return
    print(machine("ray", "optuna", "torch", "fastai"), "\n")
    print_table(rows())


if __name__ == "__main__":
    main()
