"""Import directions of design.md, read from the sources: nothing is imported here."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# library → the only files of sweeps/ that may import it, anywhere in the file
ONLY_IN = {
    "optuna": {"sweeps/search/studies.py", "sweeps/search/trial_rows.py"},
    "mlflow": {f"sweeps/record/mlflow_{part}.py" for part in ("client", "models", "store")},
    "ray": {
        "sweeps/search/searcher.py",
        "sweeps/search/bridge.py",  # what it shares with the next two: trials as Tune has them
        "sweeps/search/hangs.py",
        "sweeps/search/waits.py",
        "sweeps/run/actors.py",
        "sweeps/run/launch.py",
        "sweeps/run/cluster.py",  # joins Ray, for runs and for the doctor
        "sweeps/run/own_ray.py",  # starts it
        "sweeps/run/trial.py",
        "sweeps/run/reporter.py",
        "sweeps/run/checkpoints.py",
        "sweeps/run/trial_folders.py",
        "sweeps/run/autoscaler.py",  # reads a RayCluster with the code of Ray's own autoscaler
    },
}
HEAVY = ("torch", "fastai", "ray", "optuna", "mlflow", "pandas", "sklearn", "matplotlib")
PURE = ("sweeps/spec/", "sweeps/search/ledger.py", "sweeps/errors.py", "sweeps/paths.py")

# Room below room: a folder imports from those to its left, and from its own room.
TOWER = (("spec",), ("search",), ("record", "answer", "live"), ("report",), ("advice", "run"))
# A seam: control calls a recorder and knows its Protocol alone.
SEAM = "sweeps/search/control.py imports sweeps.record.recorder"


def sources(folder):
    return sorted(path for path in (ROOT / folder).rglob("*.py") if "__pycache__" not in path.parts)


def imported(path, *, top_level_only=False):
    """Dotted names a file imports; the names after `from x import` are left out."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = tree.body if top_level_only else ast.walk(tree)
    names = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.add(node.module)
    return names


def is_below(name, package):
    return name == package or name.startswith(f"{package}.")


def offenders(paths, packages, **options):
    return {
        f"{path.relative_to(ROOT)} imports {name}"
        for path in paths
        for name in imported(path, **options)
        for package in packages
        if is_below(name, package)
    }


def test_the_reader_of_imports_sees_all_forms(tmp_path):
    file = tmp_path / "x.py"
    file.write_text("import ray.tune as t\ndef f():\n    from optuna.samplers import TPESampler\n")
    assert imported(file) == {"ray.tune", "optuna.samplers"}
    assert imported(file, top_level_only=True) == {"ray.tune"}


def test_ulm_knows_nothing_of_sweeps_and_its_libraries():
    assert offenders(sources("ulm"), ("sweeps", "cluster", *ONLY_IN)) == set()


@pytest.mark.parametrize("library", ONLY_IN)
def test_a_library_is_imported_in_its_adapter_only(library):
    others = [p for p in sources("sweeps") if str(p.relative_to(ROOT)) not in ONLY_IN[library]]
    assert offenders(others, [library]) == set()


def test_pure_parts_import_nothing_heavy():
    pure = [p for p in sources("sweeps") if str(p.relative_to(ROOT)).startswith(PURE)]
    assert len(pure) > 5
    assert offenders(pure, HEAVY) == set()


def test_the_folders_of_sweeps_stand_on_what_is_below_them():
    for height, room in enumerate(TOWER):
        higher = [name for names in TOWER[height + 1 :] for name in names]
        above = [f"sweeps.{name}" for name in (*higher, "cli", "sweep", "checks", "tables")]
        for folder in room:
            assert offenders(sources(f"sweeps/{folder}"), above) <= {SEAM}


def test_the_command_line_imports_nothing_heavy_before_a_verb_needs_it():
    command_line = [ROOT / "sweeps" / name for name in ("cli.py", "sweep.py")]
    assert offenders(command_line, HEAVY, top_level_only=True) == set()
