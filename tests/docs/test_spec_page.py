"""docs/spec.md is what the code says."""

import runpy
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_of_spec_keys_is_current():
    made = runpy.run_path(str(DOCS / "make_spec.py"))["page"]()
    page = (DOCS / "spec.md").read_text(encoding="utf-8")
    assert page == made, "write it anew: python docs/make_spec.py > docs/spec.md"
