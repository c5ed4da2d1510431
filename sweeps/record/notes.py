"""Notes: what the page of a run says of it, in Markdown (pure)."""

from collections.abc import Mapping

from sweeps.answer.results import ResultRow
from sweeps.record.views import VIEWS
from sweeps.search.records import TrialRecord
from sweeps.spec.cells import Cell

MAX_NOTE = 5000  # characters; MLflow refuses tags above 8000


def first_section(markdown: str) -> str:
    """A Markdown page up to its second `## ` heading: title and answer."""
    parts = markdown.split("\n## ")
    return "\n## ".join(parts[:2])[:MAX_NOTE]


def sweep_note(answer: str) -> str:
    """The answer, then where the runs are seen.

    Args:
        answer: First section of the report.
    """
    links = [f"- {view.link(view.name)} ({view.link('chart', has_charts=True)})" for view in VIEWS]
    files = "The report with all figures is among the artifacts: `report.html`, `accuracy.png`."
    return "\n".join([answer.strip(), "", files, "", *links, ""])


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
    return " ".join([*parts, f"{row.trials} trials."])


def trial_note(record: TrialRecord, cell: Cell) -> str:
    """What a trial tried."""
    stage = record.key.study.stage.replace("_", " ")
    tried = _settings(record.params)
    first = f"Trial {record.key.number} of the {stage} of {cell.label}"
    return f"{first}: {tried}." if tried else f"{first}."


def curve_note(regime: str, seed: int) -> str:
    """What the points of a curve are."""
    return (
        f"Test accuracy of `{regime}` at seed {seed}; the step is the number of domain documents. "
        "A regime without a size has a level line."
    )


def _settings(params: Mapping[str, float]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value:.3g}" for name, value in params.items())
