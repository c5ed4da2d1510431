"""Notes: what the page of a run says of it, in Markdown (pure)."""

from collections.abc import Sequence

from sweeps.answer.results import ResultRow
from sweeps.record.models import FittedModel
from sweeps.record.views import VIEWS
from sweeps.search.records import TrialRecord
from sweeps.spec.cells import Cell

NOTE = "mlflow.note.content"
"""Tag that MLflow shows as the description of a run or an experiment."""
MAX_NOTE = 5000  # characters; MLflow refuses tags above 8000


def links() -> str:
    """A line for each view, with its chart."""
    return "\n".join(f"- {v.link(v.name)} ({v.link('chart', has_charts=True)})" for v in VIEWS)


def sweep_note(answer: Sequence[str]) -> str:
    """What the sweep found, and where it is seen.

    Args:
        answer: Sentences of the report, the first one first.
    """
    first, *others = answer
    found = "\n\n".join([first, *(["\n".join(f"- {text}" for text in others)] if others else [])])
    files = "Artifacts: `report.html` is the whole report, `accuracy.png` its figure."
    return f"{found[:MAX_NOTE]}\n\n{files}\n\n{links()}\n"


def experiment_note(name: str) -> str:
    """What an experiment holds.

    Args:
        name: Of the sweep.
    """
    kinds = "the sweep, its cells, their trials, and a curve per regime and seed"
    old = "A trial whose tag `ulm.state` is `superseded` no longer counts: another took its place"
    return f"Sweep `{name}`. The tag `kind` tells its runs apart: {kinds}. {old}.\n\n{links()}\n"


def cell_note(row: ResultRow, cell: Cell) -> str:
    """What came out of a cell and what was chosen for it."""
    read = "the labelled documents alone" if cell.size is None else f"{cell.size:,} documents"
    parts = [f"Regime `{cell.regime}` on {read}, seed {cell.seed}."]
    if row.is_failed:
        return f"{parts[0]} Failed: {row.failure}"
    if row.test_accuracy is not None:
        documents = f" on {row.test_documents:,} documents" if row.test_documents else ""
        parts.append(f"Test accuracy {100 * row.test_accuracy:.1f} %{documents}.")
    if row.validation_accuracy is not None:
        share = f"{100 * row.validation_accuracy:.1f} %"
        parts.append(f"Chosen on held-out labels, where it reached {share}.")
    if row.is_extended:
        parts.append("More trials are asked for: the score is of the search before.")
    return " ".join([*parts, f"{row.trials} trials."])


def model_note(model: FittedModel) -> str:
    """What a model was fitted on, and why it is the one that was kept."""
    size = "" if model.size is None else f"the largest size, {model.size:,} documents, and "
    return (
        f"Classifier of `{model.regime}`, fitted on all labels at {size}the first seed, "
        f"{model.seed}: the rule by which a sweep keeps one model of each regime. No score chose "
        f"it. On the test documents it has {100 * model.accuracy:.1f} % right."
    )


def trial_note(record: TrialRecord, cell: Cell) -> str:
    """What a trial tried."""
    stage = record.key.study.stage.words
    tried = ", ".join(f"{n.replace('_', ' ')} {value:.3g}" for n, value in record.params.items())
    first = f"Trial {record.key.number} of the {stage} of {cell.label}"
    return f"{first}: {tried}." if tried else f"{first}."


def curve_note(regime: str, seed: int) -> str:
    """What the points of a curve are."""
    return (
        f"Test accuracy of `{regime}` at seed {seed}; the step is the number of domain documents. "
        "A regime without a size has a level line."
    )
