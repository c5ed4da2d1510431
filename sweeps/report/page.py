"""Page: a sweep's report as files: HTML, Markdown, a figure and a table.

A sweep's paths and ledger come in; files in `paths.report` go out, each appearing whole (written
beside, then renamed). The page carries its figures inside and loads nothing, so it can be mailed.
It works on an unfinished sweep and says what is missing.
"""

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from sweeps.answer.results import ResultRow, to_csv
from sweeps.paths import SweepPaths
from sweeps.record.environment import describe_environment
from sweeps.report.blocks import Page
from sweeps.report.evidence import Evidence
from sweeps.report.freshness import digest_of, forget, remember
from sweeps.report.sections import accuracy_png, make_page, shown_answer
from sweeps.search.ledger import Ledger
from sweeps.storage import read_object, write_whole


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportFiles:
    """What `write_report` wrote.

    Args:
        html: The page.
        markdown: The same in Markdown, without the search figures.
        figure: Accuracy against size; None while no cell is finished.
        table: One line per cell.
        rows: The table's rows.
        answer: Its sentences, those that are folded away left out.
    """

    html: Path
    markdown: Path
    figure: Path | None
    table: Path
    rows: tuple[ResultRow, ...]
    answer: tuple[str, ...]

    @property
    def paths(self) -> tuple[Path, ...]:
        """Every file that was written."""
        files = (self.html, self.markdown, self.figure, self.table)
        return tuple(file for file in files if file is not None)


def words(text: str) -> Markup:
    """Escaped text, names between backticks as code, no line broken between number and percent."""
    unbroken = re.sub(r"(\d) %", "\\1\N{NO-BREAK SPACE}%", html.escape(text))
    return Markup(re.sub(r"`([^`]*)`", r"<code>\1</code>", unbroken))


def _cell(text: str) -> str:
    return text.replace("|", r"\|").replace("\n", " ")


def _templates() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=lambda name: name is not None and ".html" in name,
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    environment.filters |= {"words": words, "cell": _cell}
    return environment


def render_html(page: Page) -> bytes:
    """A page as one file that needs nothing else."""
    template = _templates().get_template("page.html.jinja")
    return template.render(page=page).encode()


def render_markdown(page: Page) -> bytes:
    """A page as Markdown; figures with a file of their own are linked."""
    return _templates().get_template("page.md.jinja").render(page=page).encode()


def _summary(paths: SweepPaths) -> dict[str, str]:
    """Wall time and memory of the last run, where one has ended."""
    found = read_object(paths.summary_json)
    plain = {k: v for k, v in found.items() if isinstance(v, str | int | float)}
    return {k: f"{v:.4g}" if isinstance(v, float) else str(v) for k, v in plain.items()}


def write_report(
    paths: SweepPaths, ledger: Ledger, *, environment: Mapping[str, str] | None = None
) -> ReportFiles:
    """Write the report of a sweep, finished or not.

    Args:
        paths: Where the sweep lies; `paths.report` is created.
        ledger: What is recorded of it.
        environment: Names and texts of what it ran with; None describes this process.

    Returns:
        The files and what they say.
    """
    forget(paths)
    shown = {**(describe_environment() if environment is None else environment), **_summary(paths)}
    evidence = Evidence.gather(paths, ledger, shown)
    page, figure = make_page(evidence), accuracy_png(evidence)
    paths.report.mkdir(parents=True, exist_ok=True)
    write_whole(paths.report_html, render_html(page))
    write_whole(paths.report_md, render_markdown(page))
    write_whole(paths.results_csv, to_csv(evidence.rows).encode())
    if figure is not None:
        write_whole(paths.accuracy_png, figure)
    files = ReportFiles(
        html=paths.report_html,
        markdown=paths.report_md,
        figure=None if figure is None else paths.accuracy_png,
        table=paths.results_csv,
        rows=evidence.rows,
        answer=shown_answer(evidence),
    )
    remember(paths, digest_of(paths, ledger), files.paths, files.answer)
    return files
