"""Probe: facts about the machine it runs on, for the doctor and for a trial's first look.

A request in plain words comes in, a dictionary of plain values goes out. The file is sent to the
nodes as it is here (pickled by value) and imports the standard library alone until something is
asked for, so that it answers on a node where the package is old or missing.
"""

import hashlib
import importlib.util
import os
import platform
import resource
import shutil
import subprocess
import sys
import sysconfig
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

LIBRARIES = ("ray", "torch", "fastai", "optuna", "mlflow")
PACKAGES = ("ulm", "sweeps")
GIB = 2**30
GPU_SECONDS = 60.0
MPS_FOLDER = "/tmp/nvidia-mps"  # where CUDA programs look for it


def find_versions() -> dict[str, str | None]:
    """Versions by name: Python, the libraries, and this package with a digest of its sources.

    The build of a library (`+cpu`, `+cu128`) is left out: a head without a GPU may have another.
    """
    found = {"python": platform.python_version()}
    return {**found, **{name: _version(name) for name in LIBRARIES}, "ulm-sweeps": _own_version()}


def read_clock() -> float:
    """Unix seconds of this machine."""
    return time.time()


def probe_quickly(request: dict[str, Any]) -> dict[str, Any]:
    """What a run asks before its first trial: versions, token, storage.

    Args:
        request: `driver_file` and `node_file`, places on the storage to read and to write, and the
            `word` that is in the first and goes into the second; without them no storage is tried.
    """
    facts: dict[str, Any] = {
        "versions": find_versions(),
        "has_token": os.environ.get("RAY_AUTH_MODE", "").lower() == "token",
    }
    if "word" in request:
        facts["read_error"] = _error_of(lambda: _read(request["driver_file"], request["word"]))
        facts["write_error"] = _error_of(lambda: _write(request["node_file"], request["word"]))
    return facts


def probe_fully(request: dict[str, Any]) -> dict[str, Any]:
    """What the doctor asks.

    Args:
        request: As for `probe_quickly`; `gpus` the node advertises, `ray_folder`, and the names of
            the `tokens` its cache may hold.
    """
    cache = Path(os.environ.get("SWEEP_CACHE") or "~/.cache/ulm-sweeps").expanduser()
    names = request.get("tokens", ())
    return {
        **probe_quickly(request),
        **_gpus(request.get("gpus", 0)),
        "free_gib": {str(cache): _free_gib(cache), "Ray's": _free_gib(Path(request["ray_folder"]))},
        "holds_tokens": all(any(cache.glob(f"{name}-*")) for name in names) if names else None,
        "memory_gib": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB,
        "open_files": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
    }


def _version(library: str) -> str | None:
    try:
        return version(library).partition("+")[0]
    except PackageNotFoundError:
        return None


def _own_version() -> str | None:
    folders = [_folder(package) for package in PACKAGES]
    if None in folders:
        return None
    content = hashlib.sha256()
    for folder in folders:
        for file in sorted(Path(str(folder)).rglob("*.py")):
            content.update(str(file.relative_to(str(folder))).encode())
            content.update(file.read_bytes())
    return f"{_version('ulm-sweeps')} (sources {content.hexdigest()[:10]})"


def _folder(package: str) -> str | None:
    found = importlib.util.find_spec(package)
    return None if found is None or found.origin is None else str(Path(found.origin).parent)


def _read(place: str, word: str) -> None:
    from sweeps.storage import read_bytes

    found = read_bytes(place)
    if found != word.encode():
        raise OSError(f"{place} holds something else than the driver wrote")


def _write(place: str, word: str) -> None:
    from sweeps.storage import put_bytes

    put_bytes(word.encode(), place)


def _error_of(act: Any) -> str | None:
    try:
        act()
    except Exception as error:  # pyarrow, credentials, network and an old package: each has its own
        return f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]
    return None


def _gpus(advertised: float) -> dict[str, Any]:
    """In a process of its own: a driver that hangs ends with it, and Ray hides GPUs from tasks."""
    if not advertised:
        return {}
    code = "import torch; print(torch.cuda.device_count())"
    torch_sees = _output(sys.executable, "-P", "-c", code)  # of the node: probes travel by value
    query = ("--query-gpu=name,driver_version", "--format=csv,noheader")
    lines = _output("nvidia-smi", *query) if shutil.which("nvidia-smi") else ""
    headers = Path(sysconfig.get_path("include")) / "Python.h"
    service = Path(os.environ.get("CUDA_MPS_PIPE_DIRECTORY") or MPS_FOLDER)
    return {
        "builds_kernels": headers.exists() and any(map(shutil.which, ("gcc", "clang"))),
        "gpus": [line.strip() for line in lines.splitlines() if line.strip()],
        "runs_mps": (service / "control").exists(),
        "torch_gpus": int(torch_sees) if torch_sees.strip().isdigit() else 0,
    }


def _output(*command: str) -> str:
    """What a command prints; nothing where it fails or hangs."""
    environment = {n: v for n, v in os.environ.items() if n != "CUDA_VISIBLE_DEVICES"}
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=GPU_SECONDS,
            check=True,
            env=environment,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout


def _free_gib(folder: Path) -> float:
    """Free space where a folder is, or will be made."""
    nearest = next(place for place in (folder, *folder.parents) if place.exists())
    return shutil.disk_usage(nearest).free / GIB
