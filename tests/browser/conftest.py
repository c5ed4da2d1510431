"""A real browser for tests: the system's Chromium, headless, driven by playwright.

Nothing is downloaded: where no Chromium is installed the tests skip. Every page notes what went
wrong in it and what it asked for, see `Visit`.
"""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
SWITCHES = [
    "--no-sandbox",  # tests may run as root
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]
DESKTOP, PHONE = (1280, 900), (390, 844)
PATIENCE_MS = 60_000  # the machine may be busy


@dataclass(frozen=True, kw_only=True, slots=True)
class Visit:
    """A page that is open, and what happened in it.

    Args:
        page: playwright's page.
        errors: Console errors and exceptions nobody caught.
        requests: Addresses that were asked for, the page's own included.
    """

    page: Page
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def outside(self, host: str = "") -> list[str]:
        """What was asked of any other place than the page itself, `data:` or a host."""
        near = ("data", "blob", "file", "about")
        return [
            url
            for url in self.requests
            if urlsplit(url).scheme not in near and urlsplit(url).netloc != host
        ]


Opened = Callable[..., Visit]


@pytest.fixture(scope="module")  # while it is open no other test of this process can use asyncio
def browser() -> Iterator[Browser]:
    """Chromium; skips where there is none."""
    executable = next(filter(None, map(shutil.which, NAMES)), None)
    if executable is None:
        pytest.skip(f"needs Chromium: none of {', '.join(NAMES)} is on the path")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=executable, args=SWITCHES)
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser) -> Iterator[Opened]:
    """Opens an address: `open_page(url, size=PHONE, scheme="dark")` gives a `Visit`."""
    contexts = []

    def opened(url: str, *, size: tuple[int, int] = DESKTOP, scheme: str = "light") -> Visit:
        context = browser.new_context(
            viewport={"width": size[0], "height": size[1]}, color_scheme=scheme
        )
        contexts.append(context)
        context.set_default_timeout(PATIENCE_MS)
        visit = Visit(page=context.new_page())
        visit.page.on("request", lambda request: visit.requests.append(request.url))
        visit.page.on("pageerror", lambda error: visit.errors.append(str(error)))
        visit.page.on(
            "console", lambda said: visit.errors.append(said.text) if said.type == "error" else None
        )
        visit.page.goto(url)
        return visit

    yield opened
    for context in contexts:
        context.close()
