import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweeps.errors import SpecError
from sweeps.spec.load import (
    find_spec,
    load_spec,
    packaged_specs,
    spec_from_json,
    spec_to_json,
)
from sweeps.spec.searches import NeuralSearch, Range, SearchSpec
from sweeps.spec.values import LabelSpec, SweepSpec
from ulm.regimes import Regime
from ulm.text.corpora import CorpusSource

GOOD = """\
name: tiny
corpus: {kind: synthetic}
general: {kind: synthetic-general, epochs: 2}
labels: {train: 20}
sizes: [20, 40]
regimes: [bow, ulm+domain]
seeds: 3
search:
  classifier: {trials: 2, learning_rate: {log: [1e-3, 2E-2]}, decay: {range: [1, 4]}}
  language_model: {learning_rate: 1e-2}
"""

SIX_MISTAKES = """\
name: a/b
corpus: {kind: imbd}
labels: {train: 2, validation: 1.5}
sizes: [500, 200]
regimes: [bow, scrach]
trials: 3
"""


@pytest.fixture
def write(tmp_path):
    def write_text(text, name="spec.yaml"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write_text


def mistakes_of(path, overrides=None):
    with pytest.raises(SpecError, match=": ") as caught:
        load_spec(path, overrides)
    return [line.replace(f"{path.parent}/", "") for line in caught.value.mistakes]


def test_a_spec_is_read_with_its_defaults(write):
    spec = load_spec(write(GOOD))
    assert spec.seeds == (0, 1, 2)
    assert spec.regimes == (Regime.BOW, Regime.ULM_DOMAIN)
    assert spec.labels == LabelSpec(train=20)
    assert spec.search.classifier.learning_rate == Range(low=1e-3, high=2e-2, log=True)
    assert spec.search.classifier.decay == Range(low=1.0, high=4.0)
    assert spec.search.language_model.learning_rate == Range(low=0.01, high=0.01)
    assert spec.search.bow == SearchSpec().bow


def test_seeds_may_be_listed(write):
    assert load_spec(write(GOOD), {"seeds": "[3, 5]"}).seeds == (3, 5)


def test_all_six_mistakes_are_reported_with_line_and_key(write):
    mistakes = mistakes_of(write(SIX_MISTAKES))
    starts = [re.match(r"spec\.yaml:(\d+): ([\w.]+): ", mistake).groups() for mistake in mistakes]
    assert starts == [
        ("1", "name"),
        ("2", "corpus.kind"),
        ("3", "labels.train"),
        ("3", "labels.validation"),
        ("4", "sizes"),
        ("5", "regimes"),
        ("6", "trials"),
    ]
    assert "did you mean 'imdb'?" in mistakes[1]
    assert "found 'scrach'; did you mean scratch?" in mistakes[5]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("labels: {trian: 20}", "labels.trian: is not a key of labels; did you mean train?"),
        ("labels: 20", "labels: must be a mapping of train, validation, folds, found 20"),
        ("labels: {train: many}", "labels.train: must be a whole number, found 'many'"),
        ("labels: {train: 20.5}", "labels.train: must be a whole number, found 20.5"),
        ("labels: {train: yes}", "labels.train: must be a whole number, found yes"),
        ("labels: {train: 010}", "labels.train: must be a whole number, found 010"),
        ("labels: {train: }", "labels.train: must be a whole number, found nothing"),
        ("labels: {train: [20]}", "labels.train: must be a whole number, found a list"),
        ("budget: {hours: .nan}", "budget.hours: must be finite, found .nan"),
        ("budget: {hours: 'x'}", "budget.hours: must be a number, found 'x'"),
        ("sizes: 20", "sizes: must be a list, found 20"),
        ("sizes: {a: 20}", "sizes: must be a list, found a mapping"),
        ("sizes: []", "sizes: must name at least one size"),
        ("seeds: 0", "seeds: must name at least one seed"),
        ("seeds: few", "seeds: must be a whole number, found 'few'"),
        ("name: 2024", "name: must be text, found 2024; put it in quotes"),
        ("name: ''", "name: must be text, found nothing"),
        ("name: 2020-13-45", "name: month must be in 1..12, found 2020-13-45; put it in quotes"),
        ("name: !thing x", "name: has the tag !thing, which is not known here"),
        ("order: fast", "order: must be one of longest_first, smallest_first, found 'fast'"),
        ("? [a, b]\n: 3", "a list: is not a key of a spec"),
        ("name: one\nname: two", "name: is given twice, first in line 1"),
        ("general: {kind: wikitext-103, path: x}", "general.path: has no effect"),
        ("corpus: {kind: csv}", "corpus.kind: 'csv' needs a path, found none"),
        ("corpus: {kind: 3}", "corpus.kind: must be text, found 3"),
        ("corpus: {}", "corpus.kind: is missing; add it"),
        (
            "search: {classifier: {decay: {low: [1, 2]}}}",
            "search.classifier.decay: must be a number, {log: [low, high]} or {range: [low, high]},"
            " found {low: ..}",
        ),
        ("search: {classifier: {decay: {range: [1]}}}", "instead of two ends"),
        ("search: {classifier: {decay: {range: [1, x]}}}", "must be a number, found 'x'"),
        ("search: {classifier: {decay: [1, 2]}}", "found a list"),
        ("search: {classifier: {decay: x}}", "search.classifier.decay: must be a number, found"),
        (
            "search: {classifier: {decay: {log: [3, 2]}}}",
            "search.classifier.decay: low must not exceed high, found [3.0, 2.0]",
        ),
        (
            "search: {general: {decay: 2.6}}",
            "search.general.decay: is not a key of search.general; Allowed: trials, learning_rate",
        ),
        (
            "search: {classifier: {decay: 0.5}}",
            "search.classifier.decay: must be at least 1, found 0.5",
        ),
        (
            "general: {kind: wikitext-103}\nmodel: {layers: 2}",
            "model: must have embedding, hidden and layers (400, 1152, 3)",
        ),
    ],
)
def test_a_mistake_says_what_is_wrong_and_what_was_found(write, line, message):
    keys = {text.split(":")[0] for text in line.splitlines()}
    rest = ("name", "corpus", "general", "labels", "sizes")
    good = dict(zip(rest, GOOD.splitlines(), strict=False))
    text = "\n".join([line, *(value for key, value in good.items() if key not in keys)])
    mistakes = mistakes_of(write(text))
    assert len(mistakes) == 1
    assert message in mistakes[0]


def test_what_is_missing_is_named(write):
    mistakes = mistakes_of(write("labels: {train: 20}"))
    assert [m.split(": ")[1] for m in mistakes] == ["corpus", "name", "sizes"]
    assert all("is missing; add it" in mistake for mistake in mistakes)


def test_a_mistake_in_labels_causes_no_second_one_in_sizes(write):
    text = GOOD.replace("labels: {train: 20}", "labels: {train: '20'}")
    assert len(mistakes_of(write(text))) == 1
    assert len(mistakes_of(write(text), {"labels.train": "[]"})) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "spec.yaml:1: spec: is empty"),
        ("# only words\n", "spec.yaml:1: spec: is empty"),
        ("just text", "spec.yaml:1: spec: must be a mapping of name, corpus"),
        ("name: [\nsizes: 3", "spec.yaml:2: yaml: "),
        ("name: \x07", "spec.yaml:1: yaml: special characters are not allowed"),
        ("a: 1\n---\nb: 2", "spec.yaml:2: yaml: but found another document"),
    ],
)
def test_what_is_no_spec_at_all_is_one_message(write, text, message):
    mistakes = mistakes_of(write(text), {"seeds": "1"} if text == "just text" else None)
    assert len(mistakes) == 1
    assert mistakes[0].startswith(message)


def test_text_that_is_not_utf8_is_placed(tmp_path):
    path = tmp_path / "spec.yaml"
    path.write_bytes(b"name: x\n# caf\xe9\n")
    assert mistakes_of(path) == ["spec.yaml:2: spec: must be UTF-8 text; save it as UTF-8"]


def test_an_unreadable_file_is_one_message(write, monkeypatch):
    path = write(GOOD)

    def refuse(self, **_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_text", refuse)
    assert mistakes_of(path) == ["spec.yaml:0: spec: cannot be read: Permission denied"]


def test_a_missing_file_names_the_nearest_and_the_packaged(write):
    path = write(GOOD, "my-sweep.yaml").parent / "my-swep.yaml"
    (mistake,) = mistakes_of(path)
    assert "there is no such file; did you mean" in mistake
    assert "my-sweep.yaml?" in mistake
    assert "Packaged specs: demo, imdb, imdb_small" in mistake
    (mistake,) = mistakes_of(path.parent / "nothing-alike-at-all")
    assert "did you mean" not in mistake


def test_a_folder_is_no_spec(tmp_path):
    (mistake,) = mistakes_of(tmp_path)
    assert "is a folder, not a spec" in mistake


@pytest.mark.parametrize("name", ["demo", "demo.yaml", "specs/demo.yaml", "sweeps/specs/demo.yaml"])
def test_a_packaged_spec_is_found_by_name_anywhere(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "demo").mkdir()  # a run folder of the same name is no spec
    assert find_spec(Path(name)) == packaged_specs()["demo"]


def test_a_relative_path_is_looked_up_in_the_clone_of_a_cluster_before_the_package(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "clone" / "sweeps" / "specs" / "demo.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(GOOD, encoding="utf-8")
    name = "sweeps/specs/demo.yaml"
    assert find_spec(Path(name), tmp_path / "clone") == file
    assert load_spec(name, project=tmp_path / "clone").name == "tiny"
    assert find_spec(Path(name), tmp_path / "no-clone") == packaged_specs()["demo"]
    assert find_spec(Path(name)) == packaged_specs()["demo"]


def test_a_file_of_the_user_hides_a_packaged_spec(write, monkeypatch):
    path = write(GOOD, "demo.yaml")
    monkeypatch.chdir(path.parent)
    assert find_spec(Path("demo.yaml")) == Path("demo.yaml")
    with pytest.raises(SpecError, match="there is no such file"):
        find_spec(Path("elsewhere/demo.yaml"))


def test_paths_are_relative_to_the_spec_and_overrides_to_the_working_directory(write, monkeypatch):
    text = GOOD.replace("kind: synthetic}", "kind: csv, path: ../data/my.csv}")
    path = write(text)
    assert load_spec(path).corpus.path == path.parent.parent / "data" / "my.csv"
    monkeypatch.chdir("/")
    assert load_spec(path, {"corpus.path": "my.csv"}).corpus.path == Path("/my.csv")


def test_overrides_replace_add_and_make_sections(write):
    overrides = {"labels.train": "8", "resources.cpus": "2", "search.bow.trials": "7"}
    spec = load_spec(write(GOOD), overrides)
    assert (spec.labels.train, spec.resources.cpus, spec.search.bow.trials) == (8, 2, 7)
    assert spec.search.classifier.trials == 2


def test_a_wrong_override_is_placed_on_the_command_line(write):
    mistakes = mistakes_of(write(SIX_MISTAKES), {"labels.trian": "3", "labels.folds": ""})
    assert mistakes[-1].startswith("--set labels.trian=3: labels.trian: is not a key of labels")
    path = write(GOOD)
    assert mistakes_of(path, {"seeds.x": "3"}) == ["--set seeds.x=3: seeds: is no section, found 3"]
    assert mistakes_of(path, {"sizes": "[1"})[0].startswith("--set sizes=[1:1: yaml: ")


def test_json_gives_an_equal_spec(write):
    spec = load_spec(write(GOOD), {"corpus": "{kind: csv, path: my.csv}", "budget.hours": "1e-05"})
    assert spec_from_json(spec_to_json(spec)) == spec


def test_a_key_that_came_after_a_sweep_was_recorded_has_the_value_all_had_before():
    said = json.loads(spec_to_json(load_spec("imdb")))
    assert spec_from_json(json.dumps(said)).language_model.clip == 0.25
    del said["language_model"]["clip"]
    assert spec_from_json(json.dumps(said)).language_model.clip is None


def test_json_of_another_version_is_refused_with_its_key():
    text = spec_to_json(load_spec("demo")).replace('"sizes"', '"domain_sizes"')
    with pytest.raises(SpecError, match=r"run/spec.json:\d+: domain_sizes: is not a key"):
        spec_from_json(text, "run/spec.json")


rates = st.floats(min_value=1e-9, max_value=1e9, allow_nan=False)


@settings(max_examples=50, deadline=None)
@given(
    ends=st.tuples(rates, rates),
    log=st.booleans(),
    name=st.from_regex(r"[a-zé0-9][a-zé0-9._-]{0,8}", fullmatch=True),
)
def test_any_spec_survives_json(ends, log, name):
    low, high = sorted(ends)
    search = replace(NeuralSearch(), learning_rate=Range(low=low, high=high, log=log))
    spec = SweepSpec(
        name=name,
        corpus=CorpusSource(kind="imdb"),
        sizes=(500,),
        search=SearchSpec(classifier=search),
    )
    again = spec_from_json(spec_to_json(spec))
    ranges = [s.search.classifier.learning_rate for s in (spec, again)]
    assert (ranges[0].low, ranges[0].high) == (ranges[1].low, ranges[1].high)
    assert ranges[0].log == ranges[1].log or ranges[0].is_fixed
    assert again.name == name


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_refused_with_a_place(text):
    with pytest.raises(SpecError, match=r"^spec\.json:"):
        spec_from_json(text)


def test_a_general_model_that_was_left_out_is_named_where_it_does_not_fit(tmp_path):
    file = tmp_path / "own.yaml"
    file.write_text("name: own\ncorpus: {kind: imdb}\nsizes: [500]\nmodel: {hidden: 96}\n")
    with pytest.raises(SpecError, match=r"`general`, also where it is left out.*wikitext-2"):
        load_spec(file)
