"""MLflow as a place to compare: what a person reaches there by clicks, in a real browser.

Screenshots go to the folder that `SWEEP_SCREENSHOTS` names, else to a temporary one; it is printed.
`SWEEP_RECORD` names a recorded sweep's folder to look at instead of the tiny one made here.
"""

import contextlib
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from playwright.sync_api import expect

from sweeps.paths import SweepPaths
from sweeps.storage import read_object
from tests.sweeps.recorded import record_sweep, trained_sweep
from ulm.regimes import Regime

pytestmark = pytest.mark.browser

PATIENCE_SECONDS = 240  # the machine may be busy
SIZE = (1440, 900)
expect.set_options(timeout=60_000)
REGIMES = [regime.value for regime in Regime]


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    """Paths of a sweep with every kind of run, its report and its models."""
    if folder := os.environ.get("SWEEP_RECORD"):
        return SweepPaths.at(Path(folder))
    spec, paths, context, records = trained_sweep(tmp_path_factory.mktemp("record"))
    assert record_sweep(spec, paths, context, records)
    return paths


@pytest.fixture(scope="module")
def address(record, tmp_path_factory):
    """MLflow's pages for that record, on loopback."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    home = tmp_path_factory.mktemp("home")
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--workers", "1"]
    quiet = {"HOME": str(home), "MLFLOW_DISABLE_TELEMETRY": "true", "PYTHONWARNINGS": "ignore"}
    with (home / "server.log").open("w") as log:
        server = subprocess.Popen(
            [*command, "--port", str(port), "--backend-store-uri", record.mlflow_uri],
            cwd=home,
            env={**os.environ, **quiet},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        wait_for(f"http://127.0.0.1:{port}/health", server, home / "server.log")
        yield f"http://127.0.0.1:{port}"
    finally:
        with contextlib.suppress(ProcessLookupError):  # it has ended by itself
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def wait_for(url, server, log):
    end = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            urllib.request.urlopen(url, timeout=60).close()
            return
        except OSError:
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.5)


@pytest.fixture(scope="module")
def keep(tmp_path_factory):
    """Keeps a screenshot under a name."""
    named = os.environ.get("SWEEP_SCREENSHOTS")
    folder = Path(named) if named else tmp_path_factory.mktemp("screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    print(f"screenshots: {folder}")

    def kept(page, name):
        page.screenshot(path=folder / f"{name}.png")

    return kept


@pytest.fixture
def runs(address, record, open_page):
    """The runs page of the sweep, reached from MLflow's first page."""
    page = open_page(address, size=SIZE).page
    page.get_by_text("Model training", exact=True).click()
    page.get_by_role("button", name="Close").last.click()  # the assistant
    page.get_by_role("link", name=record.name, exact=True).first.click()
    expect(page.get_by_text(re.compile(r"matching runs?"))).to_be_visible()
    return page


def open_view(page, name):
    page.get_by_test_id("saved-views-trigger").click()
    page.get_by_text(re.compile(f"^{name}")).last.click()  # the menu, not the description
    expect(page.get_by_text("viewing a shared view")).to_be_visible()
    page.get_by_role("button", name="Hide banner").click()


def count_curves(record):
    """Curve runs in the store; the table shows only the rows that are in sight."""
    query = "select count(*) from tags where key = 'kind' and value = 'curve'"
    with contextlib.closing(sqlite3.connect(record.mlflow_db)) as store:
        return store.execute(query).fetchone()[0]


COLOURS_ARE = """number => {
    const lines = [...document.querySelectorAll(".scatterlayer .trace .js-line")];
    return new Set(lines.map(line => line.style.stroke)).size === number;
}"""


def show_charts(page):
    """From the table to the chart of a view."""
    page.locator("label", has=page.locator("input[value='CHART']")).click()


def test_a_the_table_of_cells_is_read_at_once(runs, keep):
    open_view(runs, "cells")
    for column in ("test_accuracy", "validation_accuracy"):
        expect(runs.get_by_role("columnheader", name=column).first).to_be_visible()
    for regime in REGIMES:
        cell = runs.get_by_role("link", name=re.compile(rf"^{re.escape(regime)} (n=\d+ )?seed 0"))
        expect(cell.first).to_be_visible()
    expect(runs.get_by_role("link", name=re.compile(r"#\d"))).to_have_count(0)  # no trials
    keep(runs, "a_cells")


def test_b_comparing_the_curves_shows_accuracy_against_size_for_every_regime(runs, record, keep):
    curves = count_curves(record)
    open_view(runs, "curves")
    runs.reload()  # else the table keeps rows of the view before for a while, and selects them too
    expect(runs.get_by_text(re.compile(rf"^{curves}\s*matching run"))).to_be_visible()
    expect(runs.get_by_role("link", name="ulm+domain seed 0", exact=True)).to_be_visible()
    runs.get_by_role("checkbox").first.click()
    runs.get_by_role("button", name="Compare").first.click()
    expect(runs.get_by_text(f"Comparing {curves} Runs")).to_be_visible()
    runs.get_by_role("link", name="test_accuracy").first.click()
    for regime in REGIMES:
        expect(runs.get_by_role("link", name=f"{regime} seed 0", exact=True)).to_be_visible()
    # A level line has no height and so counts as hidden: the drawing is visible, lines are in it.
    expect(runs.locator(".main-svg").first).to_be_visible()
    expect(runs.locator(".scatterlayer .trace").nth(len(REGIMES) - 1)).to_be_attached()
    keep(runs, "b_compared")


def test_b_the_curves_have_a_chart_with_a_colour_for_every_regime(runs, keep):
    open_view(runs, "curves")
    show_charts(runs)
    # at once, since a chart is drawn anew whenever more of its numbers have come
    runs.wait_for_function(COLOURS_ARE, arg=len(REGIMES))
    keep(runs, "b_curves")


def test_c_parallel_coordinates_show_learning_rates_against_score(runs, keep):
    open_view(runs, "classifier trials")
    show_charts(runs)
    for axis in ("learning_rate", "validation_accuracy"):
        expect(runs.locator("svg text", has_text=re.compile(f"^{axis}$")).first).to_be_visible()
    keep(runs, "c_learning_rates")


def test_d_the_sweeps_page_shows_summary_figure_and_report(runs, record, keep):
    pages = runs.locator("a[href*='/runs/']")
    pages.filter(has_text=re.compile(f"^{re.escape(record.name)}$")).first.click()
    expect(runs.get_by_text("About this run")).to_be_visible()
    answer = read_object(record.report_stamp)["answer"][0]
    expect(runs.get_by_text(answer.split("`")[0].strip()[:20]).first).to_be_visible()
    keep(runs, "d_sweep")
    runs.get_by_role("tab", name="Artifacts").click()
    runs.get_by_text("accuracy.png", exact=True).first.click()
    expect(runs.locator("img[src^='blob:']").first).to_be_visible()
    keep(runs, "d_figure")
    runs.get_by_text("report.html", exact=True).first.click()
    report = runs.frame_locator("iframe").first
    expect(report.get_by_role("heading", name=record.name).first).to_be_visible()
    keep(runs, "d_report")
