"""Sections: the report in the order in which it is read.

Evidence comes in; a page of sections goes out: the answer with its figure, what speaks against it,
which regime is first at which size, how sure that is, what more text brings, what it cost, what was
searched, what goes wrong, and at the end, folded, everything that was measured.
"""

from sweeps.answer.findings import Findings
from sweeps.report import series
from sweeps.report.blocks import Block, Bullets, Fold, Page, Plot, Section, Text
from sweeps.report.by_size import by_size_section
from sweeps.report.canvas import to_png, to_svg
from sweeps.report.caveats import caveats
from sweeps.report.certainty import certainty_section
from sweeps.report.curve_plots import MARKS, NARROW, WIDE, draw_curves
from sweeps.report.evidence import Evidence
from sweeps.report.growth import beyond_section, growth_section
from sweeps.report.mistaken import mistaken_section
from sweeps.report.money import money_section
from sweeps.report.phrases import counted, number, percent
from sweeps.report.searching import needed_rates, searching_section
from sweeps.report.sentences import answer, gaps_of, state_of
from sweeps.report.tables import (
    cells_table,
    data_table,
    environment_table,
    means_table,
    recalls_table,
)
from ulm.regimes import Regime

ACCURACY_FILE = "accuracy.png"
_SHOWN_SENTENCES = 5
_LOSSES_INCHES = (WIDE[0], 3.2), (NARROW[0], 3.4)

LEVELS = {
    Regime.BOW.value: "TF-IDF with logistic regression",
    Regime.SCRATCH.value: "the classifier with a random encoder",
}
"""Regimes without a size axis whose names do not say what they are."""


def make_page(evidence: Evidence) -> Page:
    """The report of one sweep."""
    spec, rows = evidence.spec, evidence.rows
    sections = (
        answer_section(evidence),
        Section(
            title="Before you believe it",
            blocks=(Bullets(items=caveats(evidence)),),
        ),
        by_size_section(evidence.findings),
        _scores(evidence),
        certainty_section(evidence),
        growth_section(evidence),
        beyond_section(evidence),
        money_section(evidence),
        searching_section(evidence),
        mistaken_section(evidence),
        _cells(evidence),
        _made_with(evidence),
    )
    return Page(
        title=spec.name,
        subtitle=(
            f"How much unlabelled domain text pays off with {number(spec.labels.train)} labels? "
            f"{state_of(rows)}"
        ),
        sections=tuple(section for section in sections if section is not None),
    )


def shown_answer(evidence: Evidence) -> tuple[str, ...]:
    """The sentence at the top and those below it that are not folded away."""
    sentences = answer(evidence.spec, evidence.findings, evidence.rows)[:_SHOWN_SENTENCES]
    rates = needed_rates(evidence)
    return sentences if rates is None else (*sentences, rates)


def answer_section(evidence: Evidence) -> Section:
    """The sentence, the figure, and the rest of the answer."""
    first, *shown = shown_answer(evidence)
    blocks: list[Block] = [Text(text=first, is_lead=True)]
    if evidence.findings.curves:
        blocks.append(accuracy_plot(evidence))
    if shown:
        blocks.append(Bullets(items=tuple(shown)))
    more = answer(evidence.spec, evidence.findings, evidence.rows)[_SHOWN_SENTENCES:]
    if more:
        blocks.append(Fold(title="More comparisons in words", blocks=(Bullets(items=more),)))
    return Section(title="Answer", blocks=tuple(blocks))


def accuracy_plot(evidence: Evidence) -> Plot:
    """Accuracy against size, for a page and for a phone."""
    figure = series.accuracy_figure(evidence.spec, evidence.findings, evidence.model)
    alt = f"Test accuracy against domain documents: {describe_curves(evidence.findings)}"
    alt = " ".join([f"{alt}.", *gaps_of(evidence.rows)]).replace("`", "")
    wide, narrow = (
        to_svg(draw_curves(figure, "{:.1f} %", inches=inches), alt) for inches in (WIDE, NARROW)
    )
    return Plot(
        svg=wide, narrow=narrow, alt=alt, caption=_caption(evidence, figure), file=ACCURACY_FILE
    )


def accuracy_png(evidence: Evidence) -> bytes | None:
    """The same as a picture with a title; None while nothing is finished."""
    figure = series.accuracy_figure(evidence.spec, evidence.findings, evidence.model)
    if figure.is_empty:
        return None
    below = [subtitle(evidence.findings), *_marks(figure), *gaps_of(evidence.rows)]
    title = ("Test accuracy (%) by domain documents", *(line.replace("`", "") for line in below))
    return to_png(draw_curves(figure, "{:.1f} %", title=title))


def _marks(figure: series.CurveFigure) -> list[str]:
    """What the marks of a gap mean."""
    return [f"{MARKS[:1].upper()}{MARKS[1:]}."] if figure.has_gaps else []


def band(findings: Findings, fewest: int = 2) -> str:
    """What brackets and bands are, in a few words; empty where there are none.

    Args:
        findings: What was found.
        fewest: Seeds from which on a point has one.
    """
    documents = "test documents" if findings.draws_documents else ""
    if findings.num_seeds == 1:
        return f"95 % interval over {documents}" if documents else ""
    counts = [n for p in findings.curves if (n := p.accuracy.num_seeds) >= fewest]
    if not counts:
        return ""
    ends = dict.fromkeys((min(counts), max(counts)))
    seeds = f"95 % interval over {' to '.join(map(str, ends))} seeds"
    return f"{seeds} and {documents}" if documents else seeds


def subtitle(findings: Findings) -> str:
    """What lines, bands and dots are."""
    shown = band(findings, series.WITHOUT_BAND + 1)
    if not shown and findings.num_seeds > 1:
        most = max(point.accuracy.num_seeds for point in findings.curves)
        return f"mean over {counted(most, 'seed')}; dots: single seeds; for a band they are too few"
    if any(point.accuracy.num_seeds == series.WITHOUT_BAND for point in findings.curves):
        shown += f", none over {series.WITHOUT_BAND}"
    return f"mean over seeds; band: {shown}; dots: single seeds" if shown else "one seed"


def _caption(evidence: Evidence, figure: series.CurveFigure) -> str:
    text = (
        f"Test accuracy in percent: {subtitle(evidence.findings)}. Documents are counted in all, "
        f"the {number(evidence.spec.labels.train)} labelled ones included."
    )
    text = " ".join([text, *_marks(figure), *gaps_of(evidence.rows)])
    if figure.levels:
        text += " Level lines are regimes without a size axis, their seeds at the left"
        shown = {level.regime for level in figure.levels}
        named = [f"`{regime}` is {what}" for regime, what in LEVELS.items() if regime in shown]
        text += f": {', '.join(named)}." if named else "."
    if figure.region is not None:
        text += (
            " Beyond the dotted line it is extrapolated: dashed, a form of the curve each; "
            "hatched, what these and their intervals allow."
        )
    return text


def describe_curves(findings: Findings) -> str:
    """The means of every regime in words, for people who do not see the figure."""
    said = []
    for regime in dict.fromkeys(point.regime for point in findings.curves):
        own = [point for point in findings.curves if point.regime == regime]
        values = ", ".join(
            percent(p.accuracy.value) + ("" if p.size is None else f" at {number(p.size)}")
            for p in own
        )
        said.append(f"{regime} {values}")
    return "; ".join(said)


def _scores(evidence: Evidence) -> Section | None:
    findings = evidence.findings
    if not findings.curves:
        return None
    shown = band(findings)
    note = f"Mean test accuracy in percent{', with the ' + shown if shown else ''}."
    if any(point.one_run is not None for point in findings.curves):
        where = "documents of this source at large"
        if not findings.draws_documents:
            where = "these test documents"
        note += f" One run more: where another seed would score on {where}, with 95 %."
    blocks: list[Block] = [Text(text=note, is_soft=True), means_table(evidence.spec, findings)]
    blocks += _recalls(evidence)
    losses = series.loss_figure(evidence.spec, evidence.rows)
    if not losses.is_empty:
        alt = "Validation loss of the chosen language models against domain documents"
        wide, narrow = (
            to_svg(draw_curves(losses, "{:.2f}", inches=inches), alt) for inches in _LOSSES_INCHES
        )
        caption = f"{alt}, nats per token; mean over seeds, dots: single seeds."
        blocks.append(Plot(svg=wide, narrow=narrow, alt=alt, caption=caption))
    return Section(title="Scores", blocks=tuple(blocks))


def _recalls(evidence: Evidence) -> tuple[Block, ...]:
    """What accuracy hides of classes that are many or uneven."""
    classes = evidence.classes
    recalls = classes.recalls(evidence.scores) if classes and classes.hides_some else {}
    if classes is None or not recalls:
        return ()
    note = (
        "Recall is the share of a class's test documents that are found, here the mean of "
        f"{len(classes.names)} classes, each counted the same. Never said are those that test "
        "documents have and no prediction names, the fewest and the most of any seed."
    )
    table = recalls_table(evidence.spec, evidence.findings, evidence.rows, classes, recalls)
    return table, Text(text=note, is_soft=True)


def _cells(evidence: Evidence) -> Section:
    note = (
        "Settings are those the search chose: peak learning rates, the divisor of the "
        "classifier's from one layer group to the one below (decay), and the inverse "
        "regularisation of `bow` (C). Steps and time are of the chosen language model, the chosen "
        "classifier and the final fit; the whole search is under Cost. In full precision: "
        "`results.csv` beside this page."
    )
    fold = Fold(
        title=f"All {len(evidence.rows)} cells with their settings",
        blocks=(Text(text=note, is_soft=True), cells_table(evidence.rows)),
    )
    return Section(title="Cells", blocks=(fold,))


def _made_with(evidence: Evidence) -> Section:
    machine = environment_table(evidence.environment)
    return Section(
        title="Made with",
        blocks=(
            data_table(evidence.spec, evidence.rows),
            Fold(title="Versions, machine, fingerprints", blocks=(machine,)),
        ),
    )
