"""Cluster: Ray for a block, by joining the cluster this machine belongs to or one of its own.

The environment comes in (`RAY_ADDRESS`, or what `ray start` left on this machine); a connected Ray
goes out, or within seconds a `ClusterError` with the remedy. Ray itself asks a dead address for
minutes and prints each attempt, so the port is tried first, and joining in a process of its own.
"""

import os
import socket
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from logging import CRITICAL, ERROR, getLogger
from pathlib import Path
from typing import Any

from sweeps.errors import ClusterError, describe_error
from sweeps.programs import PYTHON
from sweeps.run.own_ray import OwnRay, not_up
from sweeps.run.signals import signals_as_before

CONNECT_SECONDS = 5.0
SETTINGS = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "300",  # nothing is restored from Tune's snapshots of all trials
    "RAY_AIR_NEW_OUTPUT": "0",  # the new one prints tables at verbose=0
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    # A thread per trial would keep an arena each, and none but the first keeps what was freed.
    "MALLOC_ARENA_MAX": "1",
}
JOIN = "import ray; ray.init(log_to_driver=False, logging_level='ERROR')"
JOIN_SECONDS = 60.0  # seconds where it works; Ray waits so long for a node on this machine
JOIN_RETRIES = "3"  # one second apart; Ray's 20 only make a refused token take longer


def cluster_address() -> str | None:
    """Address of the cluster this machine belongs to; None where a run starts a Ray of its own.

    Returns:
        `host:port` of the head, as `RAY_ADDRESS` names it or `ray start` kept it on this machine.
    """
    named = os.environ.get("RAY_ADDRESS", "")
    if named and named != "auto":
        return None if named == "local" else named
    file = _address_file()
    if file.is_file():
        return file.read_text(encoding="utf-8").strip()
    return named or None


@contextmanager
def ray_ahead() -> Iterator[OwnRay | None]:
    """A Ray of our own that starts while the block goes on; None where a cluster is joined."""
    _set_ray()
    if cluster_address() is not None:
        yield None
        return
    with OwnRay() as own:
        yield own


@contextmanager
def open_ray(own: OwnRay | None = None) -> Iterator[Any]:
    """Ray for a block: the cluster this machine belongs to, else one of our own, ended with it.

    Args:
        own: The one of our own, where it was started ahead.

    Raises:
        ClusterError: The cluster does not answer, or refuses this machine.
    """
    _set_ray()
    address = cluster_address()
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": ERROR}
    with ExitStack() as stack:
        stack.enter_context(signals_as_before())  # Ray and Tune leave handlers of their own
        if address is not None:
            check_answers(address)
            check_joins(address)
        elif own is None:
            own = stack.enter_context(OwnRay())
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        # Tune loads it, seconds, to count the users of its logger.
        stack.enter_context(_as_if_missing("mlflow"))
        import ray
        import ray.tune  # while a Ray of our own starts

        for name in ("ray", "ray.tune", "ray.train", "ray.data"):
            getLogger(name).setLevel(ERROR)
        # A worker that vanishes is a line of ours, not a traceback.
        getLogger("ray.tune.execution.tune_controller").setLevel(CRITICAL)
        # Nor is a full disk: nothing is restored from what Tune can not save then.
        getLogger("ray.tune.execution.experiment_state").setLevel(CRITICAL)
        # Nor are trials that broke by the names that Tune has for them.
        getLogger("ray.tune.tune").setLevel(CRITICAL)
        if own is None:
            ray.init(**quiet)
        else:
            _join(ray, own.address(), quiet)
            stack.callback(own.release)
        stack.callback(ray.shutdown)
        yield ray


def _join(ray: Any, address: str, quiet: dict[str, Any]) -> None:
    from ray.job_config import JobConfig

    job = JobConfig()
    job._client_job = True  # Ray's only way not to put the working folder first on workers' paths
    try:
        ray.init(address=address, job_config=job, **quiet)
    except Exception as error:  # Ray raises no kind of its own
        raise not_up(describe_error(error)) from error


def _set_ray() -> None:
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)


@contextmanager
def _as_if_missing(library: str) -> Iterator[None]:
    """For a block, importing a library that is not loaded yet fails as if it were not installed."""
    if library in sys.modules:
        yield
        return
    sys.modules[library] = None  # type: ignore[assignment]  # what Python's import system asks for
    try:
        yield
    finally:
        del sys.modules[library]


def check_answers(address: str) -> None:
    """Try whether anything listens at an address.

    Args:
        address: `host:port` of a cluster's head.

    Raises:
        ClusterError: Nothing does, or it is no such address.
    """
    host, _, port = address.rpartition(":")
    if "://" in address or not host or not port.isdigit():
        raise ClusterError(
            f"RAY_ADDRESS must be host:port of the cluster's head, found {address}; unset it on a "
            "node of the cluster, or to run on this machine alone"
        )
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS).close()
    except OSError as error:
        source = "RAY_ADDRESS" if os.environ.get("RAY_ADDRESS") else str(_address_file())
        raise ClusterError(
            f"the head of the cluster must answer at {address}, named by {source}, found "
            f"{describe_error(error)}: start it (ray up, ray start --head), correct {source}, or "
            "remove it to run on this machine alone"
        ) from None


def check_joins(address: str, timeout_seconds: float = JOIN_SECONDS) -> None:
    """Join a cluster once, in a process of its own.

    There Ray may print, hang and give up as it likes: its attempts take minutes and can not be
    interrupted, and where it finds no token it ends the process it is in.

    Args:
        address: `host:port` of the head, which answers.
        timeout_seconds: How long to wait.

    Raises:
        ClusterError: The cluster refuses this machine, or says nothing.
    """
    try:
        done = subprocess.run(
            [*PYTHON, "-c", JOIN],
            env={**os.environ, "RAY_NUM_REDIS_GET_RETRIES": JOIN_RETRIES},
            capture_output=True,
            text=True,
            timeout=timeout_seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        printed = late.stderr.decode(errors="replace") if late.stderr else ""
        raise refusal(address, f"{printed}\nno answer in {timeout_seconds:.0f} s") from None
    if done.returncode != 0:
        raise refusal(address, done.stderr)


def refusal(address: str, printed: str) -> ClusterError:
    """What Ray printed when it could not join, as an error for the user.

    Args:
        address: The head's.
        printed: What Ray wrote to stderr; the last line names the error.
    """
    text = " ".join(printed.split())
    if "AuthenticationError" in text or "InvalidAuthToken" in text:
        return ClusterError(
            f"this machine must hold the token of the cluster, the head at {address} refuses it: "
            "copy ~/.ray/auth_token of the head to the same place here, and set RAY_AUTH_MODE=token"
        )
    if "ersion mismatch" in text:
        found = text[text.index("ersion mismatch") - 1 :][:300]
        return ClusterError(
            f"this machine must have the versions of the cluster's head at {address}, found "
            f"{found}: rerun cluster/setup_node.sh where they differ"
        )
    if "No node info found" in text:
        return ClusterError(
            f"a sweep must run on a node of its cluster, this machine is none of the one at "
            f"{address}: use `ray submit` or `ray exec` with the cluster file"
        )
    lines = [line.strip() for line in printed.splitlines() if line.strip()]
    return ClusterError(
        f"the cluster at {address} can not be joined ({lines[-1] if lines else 'no reason given'}):"
        " see `ray status` on its head, and whether the port is the head's"
    )


def _address_file() -> Path:
    """Where `ray start` keeps the address of the cluster it started or joined."""
    names = ("RAY_TMPDIR", "TMPDIR") if sys.platform.startswith("linux") else ("RAY_TMPDIR",)
    root = next((os.environ[name] for name in names if name in os.environ), "/tmp")
    return Path(root) / "ray" / "ray_current_cluster"
