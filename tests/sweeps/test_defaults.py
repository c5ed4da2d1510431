from pathlib import Path

import pytest

from sweeps.defaults import spec_defaults
from sweeps.errors import SpecError
from sweeps.spec.load import load_recorded, load_spec, spec_to_json
from sweeps.spec.meaning import digest

SPEC = "name: tiny\ncorpus: {kind: synthetic}\nsizes: [500]\n"
MACHINE = {"SWEEP_STORAGE": "s3://bucket/runs", "MLFLOW_TRACKING_URI": "http://127.0.0.1:5000"}


@pytest.fixture
def load(tmp_path):
    def load_text(text, overrides=None, environment=MACHINE):
        file = tmp_path / "spec.yaml"
        file.write_text(text, encoding="utf-8")
        return load_spec(file, overrides, defaults=spec_defaults(environment))

    return load_text


def test_a_machine_says_where_sweeps_and_records_go(load):
    spec = load(SPEC)
    assert spec.storage == "s3://bucket/runs"
    assert spec.tracking.uri == "http://127.0.0.1:5000"


@pytest.mark.parametrize("tracking", ["", "tracking: {uri: null}\n", "tracking: {}\n"])
def test_null_is_nothing_said(load, tracking):
    assert load(SPEC + tracking).tracking.uri == "http://127.0.0.1:5000"
    assert load(f"{SPEC}{tracking}storage: null\n").storage == "s3://bucket/runs"


def test_the_spec_comes_before_the_machine(load):
    spec = load(SPEC + "storage: mine\ntracking: {uri: 'sqlite:////data/mlflow.db'}\n")
    assert (spec.storage, spec.tracking.uri) == ("mine", "sqlite:////data/mlflow.db")


def test_the_command_line_comes_before_both(load):
    overrides = {"storage": '"here"', "tracking.uri": "http://other"}
    spec = load(SPEC + "storage: mine\n", overrides)
    assert (spec.storage, spec.tracking.uri) == ("here", "http://other")


@pytest.mark.parametrize("environment", [{}, dict.fromkeys(MACHINE, "")])
def test_a_machine_that_says_nothing_leaves_the_defaults(load, environment):
    spec = load(SPEC, environment=environment)
    assert (spec.storage, spec.tracking.uri) == ("runs", None)


def test_a_mistake_of_the_spec_is_still_told_in_the_words_of_the_spec(load):
    with pytest.raises(SpecError, match=r"spec.yaml:4: tracking: must be a mapping of uri, found"):
        load(SPEC + "tracking: 5\n")


def test_where_a_sweep_is_run_does_not_change_what_it_means(load):
    assert digest(load(SPEC)) == digest(load(SPEC, environment={}))


def test_what_is_recorded_does_not_depend_on_the_machine_that_reads_it(load, tmp_path):
    file = Path(tmp_path) / "recorded.json"
    file.write_text(spec_to_json(load(SPEC)), encoding="utf-8")
    assert load_recorded(file) == load(SPEC)
