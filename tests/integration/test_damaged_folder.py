"""A run folder in which a file is damaged: the verbs that read it answer, or say what is wrong."""

import random

import pytest
from typer.testing import CliRunner

from sweeps import cli
from sweeps.report.page import write_report
from tests.sweeps.example_sweep import example_spec, replayed

CONTENTS = {
    "nothing": b"",
    "half an object": b"{",
    "a list": b"[1, 2]",
    "a number": b"3",
    "other values": b'{"digest": [], "files": 3, "peak": 5, "wall_seconds": {}, "format": "x"}',
    "nesting without end": b"[" * 200_000,
    "not UTF-8": b"\xff\xfe\x00",
    "noise": random.Random(0).randbytes(5000),
}


@pytest.mark.parametrize("what", CONTENTS)
def test_a_damaged_file_of_a_run_folder_is_left_out_or_named(what, paths):
    spec = example_spec(storage=str(paths.root), sizes=(100,))
    write_report(paths, replayed(spec, ()))
    for file in (paths.summary_json, paths.report_stamp, paths.spec_json, paths.ledger_db):
        whole = file.read_bytes()
        file.write_bytes(CONTENTS[what])
        for verb in ("status", "report", "advise"):
            result = CliRunner().invoke(cli.app, [verb, str(paths.folder)])
            told = (verb, file.name, result.output, result.exception)
            assert result.exit_code in (0, 2), told
            assert "Traceback" not in result.output, told
            if result.exit_code == 2:
                assert file.name in result.stderr, told
        file.write_bytes(whole)
