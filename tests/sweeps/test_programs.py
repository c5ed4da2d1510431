import sys

from sweeps.programs import typed


def test_a_program_is_typed_so_that_it_works_where_no_environment_is_active(tmp_path, monkeypatch):
    folder = tmp_path / "project" / ".venv" / "bin"
    folder.mkdir(parents=True)
    (folder / "mlflow").touch(mode=0o755)
    monkeypatch.setattr(sys, "executable", str(folder / "python"))
    monkeypatch.setenv("PATH", "/usr/bin")
    monkeypatch.chdir(tmp_path)
    assert typed("mlflow") == "project/.venv/bin/mlflow"
    monkeypatch.chdir(folder)
    assert typed("mlflow") == str(folder / "mlflow"), "a bare name is looked for on PATH alone"
    assert typed("sweep") == "sweep", "it is not there"
    monkeypatch.setenv("PATH", str(folder))
    assert typed("mlflow") == "mlflow"
