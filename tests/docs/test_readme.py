import re
import subprocess
from pathlib import Path

import pytest
from typer.main import get_command

from sweeps.cli import app

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
VERB = re.compile(r"(?<![\w.-])sweep ([a-z]+)")
TARGET = re.compile(r"(?<![\w./-])make ([a-z]+)")
FUTURE = "## What is not here yet"


def relative_links(text):
    targets = [target.partition("#")[0] for target in LINK.findall(text)]
    return [target for target in targets if target and "://" not in target]


def code_of(text):
    """Code, without its comments and without the section on what does not exist yet."""
    before, _, after = text.partition(FUTURE)
    present = before + after[after.find("\n## ") :] if "\n## " in after else before
    blocks = re.findall(r"```.*?```", present, flags=re.DOTALL)
    spans = re.findall(r"`[^`\n]+`", re.sub(r"```.*?```", "", present, flags=re.DOTALL))
    return "\n".join([re.sub(r"#.*", "", block) for block in blocks] + spans)


def missing_from(names, folder, is_there):
    return [name for name in names if not is_there((folder / name).resolve())]


@pytest.fixture(scope="module")
def is_there():
    """Whether a file is part of the repository; outside a checkout, whether it is on the disk."""
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files"], capture_output=True, text=True, check=False
    )
    if listed.returncode != 0 or not listed.stdout:
        return Path.exists
    tracked = {ROOT / name for name in listed.stdout.splitlines()}
    known = tracked | {folder for path in tracked for folder in path.parents}
    return known.__contains__


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_and_image_is_in_the_repository(page, is_there):
    links = relative_links(page.read_text(encoding="utf-8"))
    assert missing_from(links, page.parent, is_there) == []


def test_every_verb_that_the_readme_names_exists():
    named = set(VERB.findall(code_of(PAGES[0].read_text(encoding="utf-8"))))
    verbs = set(get_command(app).commands)
    assert named <= verbs
    assert verbs <= named, "a verb that the README does not show is not found by anyone"


def test_every_make_target_that_the_readme_names_exists():
    named = set(TARGET.findall(code_of(PAGES[0].read_text(encoding="utf-8"))))
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert {"demo", "test"} <= named
    assert named <= set(re.findall(r"^([a-z]+):", makefile, flags=re.MULTILINE))


def test_a_dead_link_and_an_unknown_verb_would_be_seen(is_there):
    text = "![figure](docs/none.png) [a](https://x.org) [b](README.md#words)\n`sweep fly x`\n"
    assert missing_from(relative_links(text), ROOT, is_there) == ["docs/none.png"]
    assert VERB.findall(code_of(text)) == ["fly"]
