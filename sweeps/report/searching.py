"""Searching: which learning rates were tried, which were as good, and whether it was enough.

Evidence comes in; a section with its figures goes out.
"""

from collections.abc import Sequence
from itertools import groupby

from sweeps.answer.results import ResultRow
from sweeps.answer.search_curves import (
    FEWEST_TRIALS,
    RateSensitivity,
    SearchCurve,
    Verdict,
    rate_sensitivities,
)
from sweeps.answer.tried import SearchPanel
from sweeps.report.blocks import Block, Bullets, Fold, Gallery, Plot, Section, Table, Text
from sweeps.report.canvas import to_svg
from sweeps.report.evidence import Evidence
from sweeps.report.phrases import NONE, counted, digits, joined, number
from sweeps.report.search_plots import draw_expected, draw_panel, range_of_scores
from sweeps.spec.cells import Stage

_WORDS = {
    Verdict.ENOUGH: "enough, the last trial brought next to nothing",
    Verdict.NOT_ENOUGH: "not enough, the last trial still brought a gain",
    Verdict.CANNOT_TELL: "cannot tell, what the last trial brought may be chance",
}
_TOO_FEW = "cannot tell, fewer than three trials"
_UNTOLD = "cannot tell, some searches have fewer than two trials with a score"


def searching_section(evidence: Evidence) -> Section | None:
    """The section; None where nothing was searched."""
    if not evidence.panels:
        return None
    curves = evidence.search_curves
    blocks: list[Block] = []
    if curves:
        rule = Text(text=_rule(evidence.spec.labels.num_held_out), is_soft=True)
        blocks += [Bullets(items=tuple(_verdicts(curves))), rule, _expected(curves)]
    for stage, panels in groupby(evidence.panels, key=lambda panel: panel.stage):
        blocks.append(_tried(stage, tuple(panels), evidence.spec.sizes))
    sensitivities = rate_sensitivities(evidence.panels)
    if sensitivities:
        note = Text(
            text="Each seed has a best rate, and a lowest and a highest that are as good: within "
            "one standard error of the held-out labels for classifiers, within 0.01 nats for "
            "language models. Shown are their medians over seeds. Edge counts the seeds whose best "
            "rate lies at the end of the searched range.",
            is_soft=True,
        )
        blocks.append(
            Fold(
                title="Which learning rates are as good as the best, by size",
                blocks=(note, sensitivity_table(sensitivities)),
            )
        )
    return Section(title="Was the search enough?", blocks=tuple(blocks))


def needed_rates(evidence: Evidence) -> str | None:
    """Which learning rates the leading regime needs at its largest size; None where none is tried.

    Those its scores are of, and which held-out labels and documents call as good: what is not
    chosen is never scored on the test documents.
    """
    lead = evidence.findings.lead
    if lead is None:
        return None
    panels = [p for p in evidence.panels if p.regime == lead.regime]
    finished = {row.size for row in evidence.rows if row.regime == lead.regime and row.is_finished}
    by_size = [{r.size: r for r in rate_sensitivities([p])} for p in panels]
    common = {size for sizes in by_size for size in sizes if all(size in s for s in by_size)}
    largest = max((size for size in common & finished if size is not None), default=None)
    if largest is None:
        return None
    rates = joined(
        f"{panel.stage.words} {_chosen(evidence.rows, panel, largest)} (as good, in the median "
        f"over seeds: {_span(sizes[largest].low, sizes[largest].high)}; searched: "
        f"{_span(panel.searched.low, panel.searched.high)})"
        for panel, sizes in zip(panels, by_size, strict=True)
    )
    return (
        f"Learning rates that held-out data chose for `{lead.regime}` with {number(largest)} "
        f"documents, of those that were tried: {rates}."
    )


def _chosen(rows: Sequence[ResultRow], panel: SearchPanel, size: int) -> str:
    """The rates that the scores of a regime at a size are of, the smallest to the largest."""
    is_lm = panel.stage is Stage.LANGUAGE_MODEL
    found = (
        row.lm_learning_rate if is_lm else row.classifier_learning_rate
        for row in rows
        if row.is_finished and (row.regime, row.size) == (panel.regime, size)
    )
    rates = [rate for rate in found if rate is not None]
    return _span(min(rates), max(rates))


def _span(low: float, high: float) -> str:
    ends = dict.fromkeys((digits(low), digits(high)))
    return " to ".join(ends)


def _verdicts(curves: Sequence[SearchCurve]) -> list[str]:
    """One sentence per stage and verdict, regimes taken together."""
    sentences = []
    for stage in Stage:
        for word in (*_WORDS.values(), _UNTOLD, _TOO_FEW):
            own = [c for c in curves if c.stage is stage and _word(c) == word]
            if own:
                regimes = joined(f"`{curve.regime}`" for curve in own)
                sentences.append(f"{stage.words} of {regimes}: {word}.")
    return [sentence[0].upper() + sentence[1:] for sentence in sentences]


def _word(curve: SearchCurve) -> str:
    if len(curve.expected) < FEWEST_TRIALS:
        return _TOO_FEW
    if curve.num_untold and curve.verdict is Verdict.CANNOT_TELL:
        return _UNTOLD
    return _WORDS[curve.verdict]


def _rule(num_held_out: int) -> str:
    return (
        "Enough: what the last trial brought is, with its whole interval over studies, below half "
        "a point (0.01 nats for language models). Not enough: it is more, and for a classifier "
        f"more than {number(num_held_out)} held-out labels bring by chance where all rates are "
        "equally good (99 % quantile). More labels, not more trials, make the second smaller. A "
        "trial that diverged counts, as the worst of its search."
    )


def _expected(curves: Sequence[SearchCurve]) -> Gallery:
    plots = []
    for stage in Stage:
        own = [curve for curve in curves if curve.stage is stage]
        if own:
            what = "validation loss" if stage is Stage.LANGUAGE_MODEL else "validation accuracy (%)"
            alt = f"Expected best {what} of the {stage.words} after k trials: " + "; ".join(
                f"{curve.regime} from {curve.expected[0]:.2f} to {curve.expected[-1]:.2f}"
                for curve in own
            )
            title = f"{stage.words}: {what}"
            plots.append(Plot(svg=to_svg(draw_expected(own, title), alt), alt=alt))
    return Gallery(
        plots=tuple(plots),
        is_large=True,
        caption="Expected best validation score after so many trials, mean over the studies of a "
        "regime. It is still steep at its end where the search was too short or labels are few.",
    )


def _tried(stage: Stage, panels: Sequence[SearchPanel], sizes: Sequence[int]) -> Gallery:
    scores = range_of_scores(panels)
    what = "loss (nats per token)" if stage is Stage.LANGUAGE_MODEL else "accuracy (%)"
    plots = []
    for panel in panels:
        trials = sum(len(study) for study in panel.studies)
        alt = (
            f"{stage.words} of {panel.regime}: validation {what} of {counted(trials, 'trial')} "
            f"against the searched value, {panel.searched.low:g} to {panel.searched.high:g}"
        )
        plots.append(Plot(svg=to_svg(draw_panel(panel, sizes, scores), alt), alt=alt))
    return Gallery(
        plots=tuple(plots),
        caption=f"Validation {what} of every {stage.words} that was tried. A line is one cell; "
        "the stronger its colour, the more domain documents; ringed: chosen; hollow: stopped "
        "early; cross: diverged or broken; grey lines: the ends of the searched range.",
    )


def sensitivity_table(sensitivities: Sequence[RateSensitivity]) -> Table:
    """Best rate and rates as good, by stage, regime and size."""
    lines = tuple(
        (
            found.stage.words,
            found.regime,
            NONE if found.size is None else number(found.size),
            digits(found.best),
            _span(found.low, found.high),
            f"{found.num_at_edge} of {found.num_studies}",
        )
        for found in sensitivities
    )
    header = ("stage", "regime", "documents", "best", "as good", "at an edge")
    return Table(header=header, lines=lines, num_text=2)
