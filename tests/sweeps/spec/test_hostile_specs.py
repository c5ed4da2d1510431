"""Specs that are damaged, or made to break their reader: one message, exit code 2."""

import itertools
import random
import string

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from sweeps import cli
from sweeps.errors import SpecError
from sweeps.spec.load import load_spec, packaged_specs, spec_from_json
from sweeps.spec.values import SweepSpec

REST = "corpus: {kind: imdb}\nsizes: [500]\n"
LETTERS = [chr(ord("a") + i) for i in range(9)]
ALIAS_BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{after}: &{after} [{', '.join([f'*{before}'] * 9)}]\n"
    for before, after in itertools.pairwise(LETTERS)
)

HOSTILE = {
    "lists without end": ("name: " + "[" * 100_000, "nested more than 20 levels"),
    "mappings without end": ("name: " + "{a: " * 5000 + "1" + "}" * 5000, "nested more than 20"),
    "indentation without end": ("\n".join(" " * i + "a:" for i in range(1000)), "nested more"),
    "aliases of aliases": (f"{ALIAS_BOMB}name: *i\n{REST}", "name: must be text, found a list"),
    "an alias of itself": (f"name: &a [*a]\n{REST}", "name: must be text, found a list"),
    "an unknown alias": ("name: *a", "undefined alias"),
    "a key that is there twice": (f"name: a\nname: b\n{REST}", "name: is given twice, first in"),
    "a merge key": ("name: a\ncorpus: {<<: {kind: imdb}}\nsizes: [500]", "<<: is not a key"),
    "a whole number of 400 digits": (f"name: a\nretries: {'9' * 400}\n{REST}", "2^53"),
    "a float of 400 digits": (f"name: a\nbudget: {{hours: {'9' * 400}}}\n{REST}", "2^53"),
    "a whole number of 5000 digits": (f"name: a\nretries: {'9' * 5000}\n{REST}", "retries"),
    "seeds that fill the memory": (f"name: a\nseeds: 100000000000\n{REST}", "at most 10000"),
    "a bool that is none": (f"name: a\nretries: !!bool x\n{REST}", "retries: must be what its tag"),
    "an empty int": (f"name: a\nretries: !!int ''\n{REST}", "retries: must be what its tag"),
    "a date that is none": (f"name: a\nretries: !!timestamp x\n{REST}", "retries: must be what"),
    "a month 99": (f"name: a\nretries: 2001-99-99\n{REST}", "retries: month must be"),
    "a constructor": (
        f"name: !!python/object/apply:os.mkdir [pwned]\n{REST}",
        "name: must be text, found a list",
    ),
    "a constructor of text": (
        f"name: !!python/object/new:os.mkdir pwned\n{REST}",
        "name: has the tag tag:yaml.org,2002:python/object/new:os.mkdir, which is not known",
    ),
    "the home of nobody": (
        "name: a\ncorpus: {kind: csv, path: ~nobody-of-that-name/x}\nsizes: [500]",
        "home of a user there is",
    ),
    "a null character": (f'name: a\nstorage: "a\\0b"\n{REST}', "null characters"),
    "a lone surrogate": (f'name: a\n"\\ud800": 1\n{REST}', "lone surrogates"),
    "a name too long for a folder": (f"name: {'x' * 300}\n{REST}", "at most 100 bytes"),
    "the name of a folder all sweeps share": (f"name: tokens\n{REST}", "all sweeps share"),
    "a name that leads out of the storage": (f"name: ..\n{REST}", "name: must be letters"),
    "a file of another kind": ("x" * 4_000_001, "is it the corpus?"),
    "two documents": ("name: a\n---\nname: b\n", "another document"),
}


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def sweep(*arguments):
    return CliRunner().invoke(cli.app, [str(argument) for argument in arguments])


def is_one_message(result):
    """Refused by exit code 2 and a message alone."""
    is_told = result.stderr.strip() and "Traceback" not in result.output
    return result.exit_code == 2 and isinstance(result.exception, SystemExit) and is_told


@pytest.mark.parametrize("what", HOSTILE)
def test_what_is_made_to_break_the_reader_is_refused(what, tmp_path):
    text, message = HOSTILE[what]
    (tmp_path / "mine.yaml").write_text(text, encoding="utf-8")
    result = sweep("plan", "mine.yaml")
    assert is_one_message(result), (result.output, result.exception)
    assert message in result.stderr
    assert len(result.stderr) < 3000
    assert [path.name for path in tmp_path.iterdir()] == ["mine.yaml"], "no code of it ran"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "latin-1"])
def test_a_spec_in_another_encoding_is_refused_with_the_remedy(encoding, tmp_path):
    (tmp_path / "mine.yaml").write_bytes(f"name: café\n{REST}".encode(encoding))
    assert "must be UTF-8 text; save it as UTF-8" in sweep("plan", "mine.yaml").stderr


def test_an_override_is_held_to_the_same(tmp_path):
    (tmp_path / "mine.yaml").write_text(f"name: a\n{REST}", encoding="utf-8")
    for value in ("[" * 10_000, "!!bool x", '"\\0"', "{", "*a"):
        assert is_one_message(sweep("plan", "mine.yaml", "--set", f"retries={value}"))


VALUES = ["", "-1", "0", "1e400", ".nan", "null", "true", "[]", "{}", "[1, [2]]", "&a x", "!!int x"]
VALUES += ['"\\0"', "'", "2024-01-01", "9" * 30, "0x1f", "{log: [1, 0]}", "{range: [a, b]}", "*a"]


def mutated(text, generator):
    """A copy with one to three of: a value, a line, a byte replaced, repeated or removed."""
    for _ in range(generator.randint(1, 3)):
        lines = text.split("\n")
        at = generator.randrange(len(lines))
        match generator.randrange(6):
            case 0:
                lines[at] = lines[at].partition(":")[0] + ": " + generator.choice(VALUES)
            case 1:
                lines.insert(at, generator.choice(lines))
            case 2:
                lines.pop(at)
            case 3:
                lines[at] = " " * generator.randint(1, 5) + lines[at]
            case _:
                place = generator.randrange(max(1, len(lines[at])))
                letter = generator.choice(string.printable)
                lines[at] = lines[at][:place] + letter + lines[at][place + 1 :]
        text = "\n".join(lines) or "#"
    return text


@pytest.mark.parametrize("start", range(0, 200, 50))
def test_mutated_copies_of_the_real_specs_are_planned_or_refused(start, tmp_path):
    specs = [path.read_text(encoding="utf-8") for path in packaged_specs().values()]
    codes = []
    for seed in range(start, start + 50):
        text = mutated(specs[seed % len(specs)], random.Random(seed))
        (tmp_path / "mine.yaml").write_text(text, encoding="utf-8")
        result = sweep("plan", "mine.yaml")
        assert result.exit_code == 0 or is_one_message(result), (seed, result.exception, text)
        codes.append(result.exit_code)
    assert set(codes) == {0, 2}, "a test of nothing"


leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.dates()
names = st.sampled_from([*SweepSpec.__dataclass_fields__, "kind", "path", "trials", "log", "range"])
trees = st.recursive(
    leaves,
    lambda below: (
        st.lists(below, max_size=3)
        | st.dictionaries(names | st.text(max_size=4), below, max_size=4)
    ),
    max_leaves=12,
)


def mistakes_of(text):
    try:
        spec_from_json(text, "mine.yaml")
    except SpecError as error:
        return error.mistakes
    return ()


@settings(max_examples=150, deadline=None)
@given(tree=st.dictionaries(names, trees, max_size=8), flow=st.booleans())
def test_any_yaml_is_a_spec_or_refused(tree, flow):
    text = yaml.dump(tree, default_flow_style=flow, allow_unicode=True)
    mistakes = mistakes_of(text)
    assert all(line.startswith("mine.yaml:") for line in mistakes)


@settings(max_examples=150, deadline=None)
@given(data=st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-8")))
def test_any_bytes_are_a_spec_or_refused(tmp_path_factory, data):
    file = tmp_path_factory.getbasetemp() / "any.yaml"
    file.write_bytes(data)
    with pytest.raises(SpecError, match=r"any\.yaml:\d+: "):
        load_spec(file)
