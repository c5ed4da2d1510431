"""Evidence: everything a report or an advice is made from, gathered once.

A sweep's paths and ledger come in; rows, scores, findings, what is extrapolated and what was
searched go out in one value that every section reads from.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from sweeps.answer.classes import Classes, find_classes
from sweeps.answer.extrapolation import Extrapolation, extrapolate
from sweeps.answer.findings import Findings, find, make_sweep_scores
from sweeps.answer.predictions import load_predictions
from sweeps.answer.results import ResultRow, make_rows
from sweeps.answer.scores import Point, Scores
from sweeps.answer.search_curves import SearchCurve, search_curve
from sweeps.answer.sources import recorded_tokens
from sweeps.answer.tried import SearchPanel, search_panels
from sweeps.paths import LABEL_POOL, SHARED_TEXT, SPENT_HOURS, SweepPaths
from sweeps.record.environment import describe_environment
from sweeps.search.ledger import Ledger
from sweeps.spec.values import SweepSpec
from sweeps.spec.volume import published_volume
from sweeps.storage import read_object

if TYPE_CHECKING:
    from ulm.text.tokens import TokenArray


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Evidence:
    """What a report or an advice is made from.

    Args:
        paths: Where the sweep lies.
        ledger: What is recorded of it.
        rows: One row per cell of the grid.
        scores: Their scores, without cells that are finished early.
        findings: What was found.
        model: The leading regime beyond its largest size; None where too little is finished.
        panels: What the searches tried.
        classes: What each cell makes of the classes of its test documents; None without
            predictions.
        unpredicted: Finished rows without predictions, where others have them.
        search_curves: What one more trial would have brought, one curve per panel that tells.
        tokens: Its documents; None where they are not on this machine.
        pool_documents: Documents that language models may see: theirs, else what is published of
            the corpus; None where neither is known.
        summary: What the last run left of its environment, memory and time; empty before its end.
    """

    paths: SweepPaths
    ledger: Ledger
    rows: tuple[ResultRow, ...]
    scores: Scores
    findings: Findings
    model: Extrapolation | None
    panels: tuple[SearchPanel, ...]
    classes: Classes | None
    unpredicted: tuple[ResultRow, ...]
    search_curves: tuple[SearchCurve, ...]
    tokens: "TokenArray | None"
    pool_documents: int | None
    summary: Mapping[str, Any]

    @classmethod
    def gather(cls, paths: SweepPaths, ledger: Ledger) -> Self:
        """Read predictions and compute everything."""
        spec, rows = ledger.spec, make_rows(ledger)
        predicted = load_predictions(paths, rows)
        hits = {cell: own.hits for cell, own in predicted.items()}
        samples = {
            row.seed: predicted[row.cell].documents
            for row in reversed(rows)  # of a seed's cells the first
            if row.cell in predicted
        }
        scores = make_sweep_scores(spec, rows, hits, samples)
        tokens = recorded_tokens(paths, spec)
        classes = find_classes(predicted, rows, () if tokens is None else tokens.label_names)
        findings = find(spec, scores, None if classes is None else classes.share)
        lead, panels = findings.lead, search_panels(ledger)
        return cls(
            paths=paths,
            ledger=ledger,
            rows=rows,
            scores=scores.settled(),
            findings=findings,
            model=None if lead is None else extrapolate(scores.settled(), lead.regime, spec.sizes),
            panels=panels,
            classes=classes,
            unpredicted=tuple(
                r for r in rows if r.is_finished and scores.lacks_hits((r.regime, r.size), r.seed)
            ),
            search_curves=tuple(c for panel in panels if (c := search_curve(panel)) is not None),
            tokens=tokens,
            pool_documents=(
                published_volume(spec.corpus).pool_documents
                if tokens is None
                else tokens.num_documents - tokens.num_tests
            ),
            summary=read_object(paths.summary_json),
        )

    @property
    def spec(self) -> SweepSpec:
        """The sweep's."""
        return self.ledger.spec

    @property
    def environment(self) -> Mapping[str, str]:
        """What it ran with, name → text; of this process where no run has ended."""
        plain = {k: v for k, v in self.summary.items() if isinstance(v, str | int | float)}
        told = {k: f"{v:.4g}" if isinstance(v, float) else str(v) for k, v in plain.items()}
        return told or describe_environment()

    @property
    def spent_hours(self) -> float | None:
        """The wall hours that the last run ended by; None where it ended otherwise."""
        found = self.summary.get(SPENT_HOURS)
        return None if found is None else float(found)

    @property
    def share_in_general(self) -> float | None:
        """Share of the domain's documents outside testing that general text holds, if recorded."""
        found = self.summary.get(SHARED_TEXT)
        return None if found is None else float(found)

    @property
    def pool_labels(self) -> int | None:
        """Documents of which labels are drawn, if recorded."""
        found = self.summary.get(LABEL_POOL)
        return None if found is None else int(found)

    @property
    def top(self) -> Point | None:
        """The leading regime at its largest finished size; None where none is finished."""
        lead = self.findings.lead
        if lead is None:
            return None
        sizes = [n for regime, n in self.scores.points if regime == lead.regime and n is not None]
        return lead.regime, max(sizes)
