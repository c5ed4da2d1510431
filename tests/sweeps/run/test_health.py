from dataclasses import replace

import pytest

from sweeps.check_result import CheckResult
from sweeps.run.doctor import Diagnosis
from sweeps.run.health import Expected, NodeProbe, find_misfits, judge, skew_seconds
from sweeps.tables import diagnoses_table

VERSIONS = {"python": "3.11.7", "torch": "2.13.0", "ulm-sweeps": "0.1.0 (sources 0123456789)"}
EXPECTED = Expected(versions=VERSIONS, storage="s3://bucket/runs", tokens_gib=1.0)
FIT = NodeProbe(
    node="worker (10.0.0.2)",
    versions=VERSIONS,
    has_token=True,
    was_seen=True,
    gpus_advertised=1.0,
    gpus=("Tesla T4, 550.54",),
    torch_gpus=1,
    free_gib={"/cache": 80.0, "Ray's": 40.0},
    holds_tokens=True,
    memory_gib=15.5,
    open_files=65536,
    skew_seconds=0.0,
)


def found(what, **changes):
    results = {f.what: f for f in judge(replace(FIT, **changes), EXPECTED)}
    return results[what]


def test_nothing_is_wrong_with_a_node_that_is_fit():
    results = judge(FIT, EXPECTED)
    assert {result.result for result in results} == {"ok"}
    assert len(results) == 10


@pytest.mark.parametrize(
    ("what", "changes", "message"),
    [
        (
            "versions",
            {"versions": {**VERSIONS, "torch": "2.11.0"}},
            "torch is 2.11.0 and 2.13.0 on the driver: rerun cluster/setup_node.sh",
        ),
        ("versions", {"versions": {**VERSIONS, "ulm-sweeps": None}}, "ulm-sweeps is missing and"),
        ("token", {"has_token": False}, "token authentication is off"),
        ("storage", {"read_error": "OSError: no such bucket"}, "can not read s3://bucket/runs"),
        ("storage", {"write_error": "OSError: ACCESS_DENIED"}, "rights to it"),
        ("storage", {"was_seen": False}, "does not reach the driver: mount the same folder"),
        ("gpu", {"torch_gpus": 0, "gpus": ()}, "hands out 1 GPUs and torch sees 0 (none known"),
        ("gpu", {"torch_gpus": 0}, "torch sees 0 (1 × Tesla T4, 550.54)"),
        ("gpu", {"gpus_advertised": 2.0}, "hands out 2 GPUs and torch sees 1"),
        ("disk", {"free_gib": {"/cache": 1.5, "Ray's": 40.0}}, "1.5 GiB free in /cache folder"),
        ("disk", {"free_gib": {"/cache": 1.5}, "holds_tokens": False}, "at least 2.0 GiB"),
        ("clock", {"skew_seconds": -31.0}, "31 s behind the driver's: run a time service"),
        ("answer", {"silence": "no answer in 90 s"}, "no answer in 90 s: look at it with"),
    ],
)
def test_a_fault_of_a_node_fails_with_its_remedy(what, changes, message):
    result = found(what, **changes)
    assert result.result == "failed"
    assert message in result.detail
    assert ": " in result.detail, "what is wrong: remedy"


@pytest.mark.parametrize(
    ("what", "changes"),
    [
        ("disk", {"free_gib": {"/cache": 9.0}}),
        ("clock", {"skew_seconds": 2.5}),
        ("clock", {"skew_seconds": -2.5}),
        ("files", {"open_files": 1024}),
        ("gpu", {"builds_kernels": False}),
    ],
)
def test_what_is_doubtful_is_a_note(what, changes):
    assert found(what, **changes).result == "note"


def test_trials_that_share_a_gpu_by_turns_are_a_note_with_the_remedy():
    sharing = replace(EXPECTED, shares_gpus=True)
    results = [
        next(f for f in judge(replace(FIT, runs_mps=runs), expected) if f.what == "gpu")
        for runs, expected in ((False, sharing), (True, sharing), (False, EXPECTED))
    ]
    assert [result.result for result in results] == ["note", "ok", "ok"]
    assert "nvidia-cuda-mps-control -d" in results[0].detail


def test_a_disk_must_hold_the_tokens_that_are_not_there_yet():
    large = replace(EXPECTED, tokens_gib=20.0)
    cold = replace(FIT, holds_tokens=False, free_gib={"/cache": 15.0})
    results = {f.what: f for f in judge(cold, large)}
    assert results["disk"].result == "failed"
    assert "at least 20.0 GiB are needed" in results["disk"].detail
    assert results["cache"].detail.startswith("cold")
    assert {f.what: f.result for f in judge(replace(cold, holds_tokens=True), large)}[
        "disk"
    ] == "ok"


def test_a_cluster_on_one_machine_may_go_without_a_token():
    off = replace(FIT, has_token=False)
    results = {f.what: f for f in judge(off, replace(EXPECTED, needs_token=False))}
    assert results["token"].result == "note"


def test_a_folder_that_is_not_shared_has_the_remedy_for_folders():
    unshared = replace(FIT, read_error="FileNotFoundError: /runs/x", was_seen=False)
    results = {f.what: f for f in judge(unshared, replace(EXPECTED, storage="/runs"))}
    assert "it can not read /runs (FileNotFoundError: /runs/x): mount" in results["storage"].detail


def test_what_was_not_asked_is_not_judged():
    quick = NodeProbe(node="worker", versions=VERSIONS, has_token=True)
    found = judge(quick, Expected(versions=VERSIONS))
    assert [f.what for f in found] == ["answer", "versions", "token"]


@pytest.mark.parametrize(
    ("there", "skew"),
    [(100.2, 0.0), (100.6, 0.1), (99.9, -0.1), (140.0, 39.5), (60.0, -40.0)],
)
def test_a_clock_is_only_as_wrong_as_the_way_there_and_back_can_not_explain(there, skew):
    assert skew_seconds(100.0, there, 100.5) == pytest.approx(skew)


def test_misfits_name_both_versions():
    assert find_misfits({"ray": "2.59.0"}, {"ray": "2.60.0"}) == (
        "ray is 2.59.0 and 2.60.0 on the driver",
    )
    assert find_misfits(VERSIONS, VERSIONS) == ()


def test_failures_and_notes_name_their_node():
    results = judge(replace(FIT, has_token=False, open_files=100), EXPECTED)
    diagnosis = Diagnosis(node=FIT.node, results=results)
    assert [line.partition(": ")[0] for line in diagnosis.failures] == ["worker (10.0.0.2)"]
    assert diagnosis.notes == (
        "worker (10.0.0.2): 100 open files a process; `ulimit -n 65536` before `ray start`",
    )


def test_the_table_has_a_row_per_node_and_a_column_per_check():
    driver = Diagnosis(node="driver", results=(CheckResult.failed("tracking", "long"),))
    table = diagnoses_table((driver, Diagnosis(node=FIT.node, results=judge(FIT, EXPECTED))))
    assert table.row_count == 2
    assert [str(column.header) for column in table.columns][:4] == [
        "node",
        "tracking",
        "answer",
        "versions",
    ]
    assert [str(cell) for cell in table.columns[1].cells] == ["failed", ""]
