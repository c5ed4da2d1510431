"""Page: a sweep's report as files: HTML, Markdown, a figure and a table.

A sweep's paths and ledger come in; files in `paths.report` go out, each appearing whole (written
beside, then renamed). The page carries its figures inside and loads nothing, so it can be mailed.
It works on an unfinished sweep and says what is missing.
"""

import html
import re
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from sweeps.answer.results import to_csv
from sweeps.paths import SweepPaths
from sweeps.report.blocks import Page
from sweeps.report.evidence import Evidence
from sweeps.report.freshness import Report, digest_of, forget, remember
from sweeps.report.sections import accuracy_png, make_page, shown_answer
from sweeps.search.ledger import Ledger
from sweeps.storage import write_whole


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


def write_report(paths: SweepPaths, ledger: Ledger) -> Report:
    """Write the report of a sweep, finished or not.

    Args:
        paths: Where the sweep lies; `paths.report` is created.
        ledger: What is recorded of it.

    Returns:
        Its files: the page, the same in Markdown without the search figures, accuracy against size
        where a cell is finished, and one line per cell. What it says first, sentences that are
        folded away left out.
    """
    forget(paths)
    evidence = Evidence.gather(paths, ledger)
    page, figure = make_page(evidence), accuracy_png(evidence)
    content = {paths.report_html: render_html(page), paths.report_md: render_markdown(page)}
    if figure is not None:
        content[paths.accuracy_png] = figure
    content[paths.results_csv] = to_csv(evidence.rows).encode()
    paths.report.mkdir(parents=True, exist_ok=True)
    for file, written in content.items():
        write_whole(file, written)
    report = Report(files=tuple(content), answer=shown_answer(evidence))
    remember(paths, digest_of(paths, ledger), report)
    return report
