"""The browser fixture itself: a page that breaks its word is noticed."""

import pytest

pytestmark = pytest.mark.browser


def written(folder, body):
    page = folder / "page.html"
    page.write_text(f"<!doctype html><title>a page</title>{body}", encoding="utf-8")
    return page.as_uri()


def test_a_still_page_has_no_errors_and_asks_nobody(open_page, tmp_path):
    visit = open_page(written(tmp_path, "<p>words</p>"))
    assert visit.page.title() == "a page"
    assert (visit.errors, visit.outside()) == ([], [])


def test_errors_and_requests_to_other_places_are_noticed(open_page, tmp_path):
    broken = "<img src='http://elsewhere.invalid/x.png'><script>throw new Error('broken')</script>"
    visit = open_page(written(tmp_path, broken))
    assert any("broken" in error for error in visit.errors)
    assert visit.outside() == ["http://elsewhere.invalid/x.png"]
