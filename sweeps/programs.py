"""Programs: what to type for one of this environment, and how a run starts one of its own."""

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

PYTHON = (sys.executable, "-P")  # what lies in the user's folder is not taken for a library
ROOT = Path(__file__).resolve().parents[1]  # of the code that runs, installed or a clone


def with_this_code(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment in which Python finds the code that runs here, before any other."""
    found = environment.get("PYTHONPATH", "")
    return {**environment, "PYTHONPATH": f"{ROOT}{os.pathsep if found else ''}{found}"}


def typed(name: str) -> str:
    """Its name where a shell finds this environment's by that, else its path.

    Args:
        name: A program beside Python's, e.g. `mlflow`.

    Returns:
        A path below the working folder is told from there, as `.venv/bin/mlflow`.
    """
    beside = Path(sys.executable).with_name(name)
    found = shutil.which(name)
    if not beside.is_file() or (found is not None and Path(found).parent == beside.parent):
        return name
    here = Path.cwd()
    is_below = beside.is_relative_to(here) and beside.parent != here  # a bare name is no path
    return str(beside.relative_to(here) if is_below else beside)
