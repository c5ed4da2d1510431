"""A tiny sweep that was really trained and recorded: every kind of run, report, models."""

import sys
from pathlib import Path

from sweeps.answer.results import make_rows
from sweeps.paths import SweepPaths
from sweeps.record.book import RunBook
from sweeps.record.datasets import dataset_of
from sweeps.record.environment import describe_environment
from sweeps.record.queued_recorder import QueuedRecorder
from sweeps.record.record_place import RecordPlace
from sweeps.record.store_process import StoreProcess
from sweeps.report.page import write_report
from sweeps.run.encoders import EncoderStore
from sweeps.run.shelf import ModelShelf
from sweeps.spec.cells import make_cells
from tests.sweeps.example_sweep import replayed
from ulm.text.tokens import load_tokens

sys.path.append(str(Path(__file__).parent / "run"))
from tiny import context_of, run_in_process, tiny_spec


def trained_sweep(storage):
    """(spec, paths, context, records) of a tiny sweep, trained in this process."""
    import torch

    torch.set_num_threads(1)  # threads that wait for each other are slow where others work too
    spec = tiny_spec(storage)
    paths = SweepPaths.of(spec)
    context = context_of(spec, paths.tokens)
    control = run_in_process(spec, context, EncoderStore(context.encoders))
    return spec, paths, context, control.ledger.attempts


def record_sweep(spec, paths, context, records):
    """Record it with report and models, as a run's end does; returns whether all was recorded."""
    environment = describe_environment()
    book = RunBook(
        spec=spec,
        cells=make_cells(spec),
        environment=environment,
        datasets=[dataset_of(load_tokens(context.domain), "domain")],
    )
    place = RecordPlace.of(spec, paths, commit=environment.get("git_commit"))
    recorder = QueuedRecorder(
        name="mlflow", book=book, store=StoreProcess(place), close_seconds=300
    )
    recorder.reconcile(records)
    ledger = replayed(spec, records)
    report, rows = write_report(paths, ledger), make_rows(ledger)
    models = ModelShelf(context.models).kept(rows, paths.models)
    recorder.publish(rows, report.files, models, report.answer)
    return recorder.close()
