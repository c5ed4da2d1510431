from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeps.arguments import is_found, project_folder, rejoin, sweep_folder

FILES = {"my spec.yaml", "my", "a b", "a b c.yaml", "sweeps/specs/demo.yaml", "the store", "x=y z"}


def joined(line, files=FILES):
    return rejoin(line.split(), files.__contains__)


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("run sweeps/specs/demo.yaml --quiet", ["run", "sweeps/specs/demo.yaml", "--quiet"]),
        ("run a b", ["run", "a b"]),
        ("run a b c.yaml --quiet", ["run", "a b c.yaml", "--quiet"]),
        ("plan x --storage the store", ["plan", "x", "--storage", "the store"]),
        ("plan x --storage=the store", ["plan", "x", "--storage=the store"]),
        ("run x --set path=a b", ["run", "x", "--set", "path=a b"]),
        ("run x --set path=my", ["run", "x", "--set", "path=my"]),
        ("run x=y z", ["run", "x=y z"]),
        ("run no such file.yaml", ["run", "no", "such", "file.yaml"]),
        (
            "run x --set sizes=[100, 400] --quiet",
            ["run", "x", "--set", "sizes=[100, 400]", "--quiet"],
        ),
        ("run x --set=corpus={kind: csv} y", ["run", "x", "--set=corpus={kind: csv}", "y"]),
        ("run x --set a=[1, --quiet", ["run", "x", "--set", "a=[1,", "--quiet"]),
        ("", []),
    ],
)
def test_words_that_a_shell_split_are_joined_again(line, meant):
    assert joined(line) == meant


def test_a_word_that_names_a_file_stays_alone():
    assert joined("run my spec.yaml") == ["run", "my", "spec.yaml"]


def test_an_option_is_never_joined_to_a_name():
    assert joined("run a --b", {"a --b"}) == ["run", "a", "--b"]


@given(st.lists(st.text("ab[]{}-=. ", min_size=1).filter(str.strip)), st.sets(st.text("ab ")))
def test_joining_loses_no_letter(words, files):
    assert " ".join(rejoin(words, files.__contains__)) == " ".join(words)


@given(st.lists(st.text("ab-=.", min_size=1)))
def test_words_stay_as_they_are_where_nothing_exists(words):
    assert rejoin(words, lambda word: False) == words


def test_a_name_is_found_here_in_the_clone_and_on_the_storage(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    environment = {"SWEEP_PROJECT": str(tmp_path / "clone"), "SWEEP_STORAGE": str(tmp_path / "all")}
    for name in ("here.yaml", "clone/my specs/x.yaml", "all/my sweep"):
        Path(name).mkdir(parents=True)
    for name in ("here.yaml", "my specs/x.yaml", "runs/my sweep"):
        assert is_found(name, environment)
    assert not is_found("runs/other", environment)
    assert not is_found("", environment)
    assert not is_found("my specs/x.yaml", {})


def test_a_sweep_is_looked_for_on_the_shared_folder_by_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "all" / "demo").mkdir(parents=True)
    environment = {"SWEEP_STORAGE": str(tmp_path / "all")}
    assert sweep_folder(Path("runs/demo"), environment) == tmp_path / "all" / "demo"
    assert sweep_folder(Path("runs/other"), environment) == Path("runs/other")
    assert sweep_folder(Path("status runs/demo"), environment) == Path("status runs/demo")
    Path("runs/demo").mkdir(parents=True)
    assert sweep_folder(Path("runs/demo"), environment) == Path("runs/demo")


def test_a_sweep_with_uri_storage_stays_where_its_local_copy_lies():
    environment = {"SWEEP_STORAGE": "s3://bucket/all"}
    assert sweep_folder(Path("runs/demo"), environment) == Path("runs/demo")


def test_a_laptop_has_no_mounted_clone():
    assert project_folder({}) is None
    assert project_folder({"SWEEP_PROJECT": ""}) is None
    assert project_folder({"SWEEP_PROJECT": "~/clone"}) == Path.home() / "clone"
