"""Environment: what a sweep ran with, as names and texts that a record and a report can show.

Nothing comes in but the machine itself; a flat dictionary of texts goes out: versions of the
libraries, git commit, hardware, the command. Libraries are asked for their version without being
imported.
"""

import getpass
import os
import platform
import shlex
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

from sweeps.passwords import redact_uri

LIBRARIES = ("ulm-sweeps", "torch", "fastai", "ray", "optuna", "mlflow", "numpy", "scikit-learn")


def _version(library: str) -> str | None:
    try:
        return version(library)
    except PackageNotFoundError:
        return None


def _git(*arguments: str) -> str | None:
    folder = Path(__file__).resolve().parent
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            timeout=5,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def git_commit() -> str | None:
    """Commit the package was run from, `+changes` where files differ; None outside a checkout."""
    commit = _git("rev-parse", "HEAD")
    if not commit:
        return None
    return commit + ("+changes" if _git("status", "--porcelain", "--untracked-files=no") else "")


def processor() -> str:
    """Name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def user_name() -> str:
    """Login name; `unknown` where the system has none for this user id."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"


def describe_environment() -> dict[str, str]:
    """Name → text, in the order to show them; what is not known is left out."""
    found: dict[str, str | None] = {
        "git_commit": git_commit(),
        "python": platform.python_version(),
        **{library: _version(library) for library in LIBRARIES},
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "processor": f"{processor()}, {os.cpu_count()} logical cores",
        "memory": f"{psutil.virtual_memory().total / 2**30:.1f} GiB",
        "command": redact_uri(shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])),
    }
    return {name: text for name, text in found.items() if text}
