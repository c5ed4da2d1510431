"""Programs: what to type for a program of this environment, in a line that is to be copied."""

import shutil
import sys
from pathlib import Path


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
