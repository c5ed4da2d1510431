"""Session: what one run of a sweep holds open, and what it leaves behind.

A spec and its paths come in; ledger, recorder and control are opened, trials are run by the
function that is handed in, and summary, report and record are written. A run that ends early
leaves all it has: the next session goes on from the ledger.
"""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from typing import Any

from pyarrow import ArrowException

from sweeps.answer.predictions import fetch_predictions
from sweeps.answer.results import ResultRow, make_rows
from sweeps.errors import StorageError
from sweeps.paths import LABEL_POOL, SHARED_TEXT, SPENT_HOURS, TESTS_LEFT_OUT, SweepPaths
from sweeps.record.book import RunBook
from sweeps.record.datasets import dataset_of
from sweeps.record.environment import describe_environment
from sweeps.record.models import FittedModel
from sweeps.record.queued_recorder import QueuedRecorder
from sweeps.record.record_file import num_shown, settle
from sweeps.record.record_place import RecordPlace
from sweeps.record.store_process import StoreProcess
from sweeps.report.freshness import Report, confirm_record, digest_of, fresh_report
from sweeps.run.draws import general_text
from sweeps.run.memory import MemoryPeak
from sweeps.search.control import Control
from sweeps.search.listener import RunListener
from sweeps.search.studies import OptunaStudies
from sweeps.spec.cells import Cell, make_cells
from sweeps.spec.load import spec_to_json
from sweeps.spec.meaning import CONTENT
from sweeps.spec.values import SweepSpec
from sweeps.storage import read_object, remove_folder, write_whole
from ulm.text.listing import NO_LABEL, Part
from ulm.text.tokens import TokenArray

LOADING_SECONDS = 5.0  # of workers, while what records to MLflow would load as well


class RunSession:
    """One run: its control and recorder, from opening to closing.

    Args:
        spec: The sweep.
        paths: Its files.
        listener: Hears what goes on.
        tokens: Token arrays of its corpora, whose fingerprints and cost are recorded.
        general: Store key of the pretrained general model, where there is one.

    Raises:
        MeaningError: The recorded cells mean something else.
        StorageError: The ledger can not be opened.
    """

    def __init__(
        self,
        spec: SweepSpec,
        paths: SweepPaths,
        listener: RunListener,
        *,
        tokens: Sequence[TokenArray],
        general: str | None = None,
    ) -> None:
        self._spec = spec
        self._paths = paths
        self._listener = listener
        self._cells: Sequence[Cell] = make_cells(spec)
        self._environment = {
            **describe_environment(),
            **{f"fingerprint {t.name}": t.fingerprint for t in tokens},
            **{f"tokenising {t.name}": cost_of(t) for t in tokens},
        }
        self._facts = _facts(tokens)
        fingerprints = [t.fingerprint for t in tokens] + ([] if general is None else [general])
        studies = OptunaStudies(spec.ledger.url or paths.ledger_url, spec.name, listener.message)
        self._has_published = False
        with ExitStack() as undo:
            undo.callback(studies.close)
            self.control = Control(
                spec,
                self._cells,
                studies,
                lambda: self._open_recorder(studies.sweep_id, tokens),
                listener,
                general_encoder=general,
                content={k: f[:16] for k, f in zip(CONTENT, fingerprints, strict=False)},
            )
            undo.pop_all()
        write_whole(paths.spec_json, spec_to_json(spec).encode())
        self._begin_facts()

    def _open_recorder(self, sweep: str, tokens: Sequence[TokenArray]) -> QueuedRecorder:
        datasets = [
            dataset_of(array, role)
            for array, role in zip(tokens, ("domain", "general"), strict=False)
        ]
        book = RunBook(
            spec=self._spec, cells=self._cells, environment=self._environment, datasets=datasets
        )
        commit = self._environment.get("git_commit")
        place = RecordPlace.of(self._spec, self._paths, sweep=sweep, commit=commit)
        return QueuedRecorder(
            name="mlflow", book=book, store=StoreProcess(place), grace_seconds=LOADING_SECONDS
        )

    def train(self, run_trials: Callable[[Control], None]) -> None:
        """Run what is missing; where nothing is, `run_trials` is not called."""
        if self.control.has_work:
            run_trials(self.control)

    def _begin_facts(self) -> None:
        """What a report says of an environment, should this run not end in order."""
        facts = read_object(self._paths.summary_json) or {**self._environment, **self._facts}
        if self.control.has_work:
            facts.pop(SPENT_HOURS, None)
        self._write_facts(facts)

    def _write_facts(self, facts: Mapping[str, Any]) -> None:
        write_whole(self._paths.summary_json, json.dumps(facts, indent=2).encode())

    def keep_facts(self, wall_seconds: float, memory: MemoryPeak) -> None:
        """Write `summary.json`: environment, memory and wall time of all runs that ended in order.

        The last of them leaves its wall hours too where it ended because they were spent.
        """
        earlier = read_object(self._paths.summary_json)
        is_cut_short = self.control.is_cut_short
        if "runs" in earlier and not self.control.num_trained and not is_cut_short:
            return
        peak = MemoryPeak(**earlier["peak"]).larger(memory) if "peak" in earlier else memory
        facts: dict[str, Any] = {
            **self._environment,
            **self._facts,
            "wall_seconds": round(wall_seconds + float(earlier.get("wall_seconds", 0.0)), 1),
            "runs": int(earlier.get("runs", 0)) + 1,
            "peak_memory": str(peak),
            "peak": asdict(peak),
        }
        if is_cut_short:
            facts[SPENT_HOURS] = self._spec.budget.hours
        self._write_facts(facts)

    def answer(self) -> tuple[str, ...]:
        """Write the report and hand it to the recorder; a finished sweep leaves no trial folders.

        One with a trial that is asked again keeps them: it goes on from its checkpoint. A report
        that shows all this already stays as it is, and so does a record beside the sweep that is
        known to be complete.

        Returns:
            What the report says first.
        """
        self._fetch_predictions()
        digest = digest_of(self._paths, self.control.ledger)
        report = fresh_report(self._paths, digest) or self._write_report()
        if not (self._record_is_here and report.record == self._record):
            self._publish(report)
        if all(record.is_over for record in self.control.records):
            self._remove_trial_folders()
        return report.answer

    @property
    def _record_is_here(self) -> bool:
        """Whether the record is a file beside the sweep; what a server holds is not known."""
        return self._spec.tracking.uri is None and self._paths.mlflow_db.is_file()

    @property
    def _record(self) -> str:
        """Which record it is and how much it shows; what a person deleted is missing."""
        shown = num_shown(self._paths.mlflow_db, self._spec.name)
        return f"{self._paths.mlflow_uri}, {shown} runs and models"

    def _publish(self, report: Report) -> None:
        if self.control.num_trained:  # else it hears of all when it is opened
            self.control.recorder.reconcile(self.control.records, self.control.superseded)
        self.control.tell_spent()
        rows = make_rows(self.control.ledger)
        files = (self._paths.spec_json, *report.files)
        self.control.recorder.publish(rows, files, self._models(rows), report.answer)
        self._has_published = True

    def _models(self, rows: Sequence[ResultRow]) -> tuple[FittedModel, ...]:
        from sweeps.run.shelf import ModelShelf

        shelf = ModelShelf(self._paths.shared(self._paths.models))
        try:
            return shelf.kept(rows, self._paths.models)
        except StorageError as error:
            self._listener.message(f"the record lacks the fitted models: {error}")
            return ()

    def _fetch_predictions(self) -> None:
        try:
            fetch_predictions(self._paths)
        except StorageError as error:
            self._listener.message(f"the report lacks predictions of test documents: {error}")

    def _remove_trial_folders(self) -> None:
        shutil.rmtree(self._paths.ray, ignore_errors=True)
        if self._paths.is_remote:
            place = self._paths.shared(self._paths.ray)
            try:
                remove_folder(place)
            except (OSError, ArrowException) as error:
                self._listener.message(f"{place} is no longer needed, and stays ({error})")

    def _write_report(self) -> Report:
        from sweeps.report.page import write_report  # figures: seconds to load

        return write_report(self._paths, self.control.ledger)

    def close(self) -> None:
        """End what still runs, and wait within limits for the recorder."""
        try:
            self.control.close()
        finally:
            is_recorded = self.control.close_recorder()
        if self._record_is_here:
            settle(self._paths.mlflow_db)
            if is_recorded and self._has_published:
                confirm_record(self._paths, self._record)


def _facts(tokens: Sequence[TokenArray]) -> dict[str, float]:
    """Of how many documents labels are drawn; what general text shares with the domain."""
    if not tokens:
        return {}
    domain, *others = tokens
    has_label = (domain.parts == Part.LABELLED) & (domain.labels != NO_LABEL)
    facts: dict[str, float] = {LABEL_POOL: int(has_label.sum())}
    for general in others:
        found = general_text(general, domain)
        share = round(found.share_of_domain, 4)
        facts |= {TESTS_LEFT_OUT: found.num_left_out, SHARED_TEXT: share}
    return facts


def cost_of(tokens: TokenArray) -> str:
    """What making a token array took and left out, in words."""
    cost, left_out = tokens.cost, str(tokens.left_out)
    text = f"{cost.wall_seconds:.0f} s, peak {cost.peak_gib:.2f} GiB, {cost.processes} processes"
    return text + (f", without {left_out}" if left_out else "")
