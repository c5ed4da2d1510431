"""Nothing that is read can run code: the calls that could are not there, read from the sources."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
UNPICKLES = {"pickle.load", "pickle.loads", "joblib.load", "cloudpickle.load", "cloudpickle.loads"}
RUNS = {"eval", "exec", "yaml.load", "yaml.unsafe_load", "yaml.full_load", "marshal.loads"}
# What a process reads from the pipe to one it has started itself.
OWN_PIPES = {"sweeps/record/store_process.py"}


def calls(path):
    """Dotted name and keywords of every call in a file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), {key.arg: key.value for key in node.keywords}


def is_true(value):
    return isinstance(value, ast.Constant) and value.value is True


def findings(name, path):
    for called, options in calls(path):
        if called in RUNS or (called in UNPICKLES and name not in OWN_PIPES):
            yield f"{name}: {called}"
        if called == "torch.load" and not is_true(options.get("weights_only")):
            yield f"{name}: torch.load without weights_only"
        if called in ("np.load", "numpy.load") and is_true(options.get("allow_pickle")):
            yield f"{name}: {called} with allow_pickle"


def test_nothing_that_is_read_can_run_code():
    sources = [
        path for folder in ("ulm", "sweeps", "cluster") for path in (ROOT / folder).rglob("*.py")
    ]
    assert len(sources) > 100
    found = [f for path in sources for f in findings(str(path.relative_to(ROOT)), path)]
    assert found == []


def test_the_reader_of_calls_sees_what_it_looks_for(tmp_path):
    file = tmp_path / "x.py"
    file.write_text("torch.load(a)\npickle.loads(b)\nnp.load(c, allow_pickle=True)\neval(d)\n")
    assert len(list(findings("x.py", file))) == 4
