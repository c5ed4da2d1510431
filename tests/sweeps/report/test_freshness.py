from dataclasses import replace

import pytest

from sweeps.paths import SweepPaths
from sweeps.report import page
from sweeps.report.freshness import confirm_record, digest_of, fresh_report
from tests.sweeps.example_sweep import example_records, example_spec, replayed

SPEC = example_spec(sizes=(100,))
RECORDS = example_records(SPEC)


@pytest.fixture
def paths(tmp_path):
    return SweepPaths(storage=str(tmp_path), name=SPEC.name)


def files_of(paths, spec=SPEC, records=RECORDS):
    report = fresh_report(paths, digest_of(paths, replayed(spec, records)))
    return () if report is None else report.files


def test_a_report_is_fresh_until_what_it_shows_changes(paths):
    assert files_of(paths) == ()
    written = page.write_report(paths, replayed(SPEC, RECORDS)).files
    assert files_of(paths) == written
    assert files_of(paths, records=RECORDS[::-1]) == written, "the order of records shows nothing"
    assert files_of(paths, records=RECORDS[:-1]) == ()
    assert files_of(paths, spec=replace(SPEC, seeds=(0, 1, 2))) == ()
    paths.summary_json.write_text('{"wall_seconds": 7}', encoding="utf-8")
    assert files_of(paths) == ()


def test_what_a_fresh_report_says_first_is_known_without_reading_it(paths):
    written = page.write_report(paths, replayed(SPEC, RECORDS))
    kept = fresh_report(paths, digest_of(paths, replayed(SPEC, RECORDS)))
    assert kept.answer == written.answer
    assert len(kept.answer) > 1


def test_a_report_with_a_file_missing_is_stale(paths):
    page.write_report(paths, replayed(SPEC, RECORDS))
    paths.accuracy_png.unlink()
    assert files_of(paths) == ()


@pytest.mark.parametrize("told", ["", "{}", "[]", '{"digest": 1, "files": []}'])
def test_a_damaged_stamp_is_no_stamp(paths, told):
    page.write_report(paths, replayed(SPEC, RECORDS))
    paths.report_stamp.write_text(told, encoding="utf-8")
    assert files_of(paths) == ()


def test_a_report_that_could_not_be_finished_is_stale(paths, monkeypatch):
    page.write_report(paths, replayed(SPEC, RECORDS))

    def full_disk(path, content):
        raise OSError("no space left")

    monkeypatch.setattr(page, "write_whole", full_disk)
    with pytest.raises(OSError, match="no space left"):
        page.write_report(paths, replayed(SPEC, RECORDS))
    assert files_of(paths) == ()


def test_a_complete_record_is_remembered_until_anything_changes(paths):
    def report():
        return fresh_report(paths, digest_of(paths, replayed(SPEC, RECORDS)))

    confirm_record(paths, "sqlite:///a")
    assert report() is None, "there is no report to be in it"
    written = page.write_report(paths, replayed(SPEC, RECORDS))
    assert report().record == written.record == ""
    confirm_record(paths, "sqlite:///a")
    assert report() == replace(written, record="sqlite:///a"), "it stays fresh"
    page.write_report(paths, replayed(SPEC, RECORDS))
    assert report().record == "", "a new report is not yet recorded"
