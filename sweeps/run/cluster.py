"""Cluster: Ray for a block of code, by joining the cluster this machine belongs to or by its own.

The environment comes in (`RAY_ADDRESS`, or what `ray start` left on this machine); a connected Ray
goes out, or within seconds a `ClusterError` with the remedy. Ray itself asks a dead address for
minutes and prints each attempt, so the port is tried first and Ray's own words are kept and read.
"""

import os
import socket
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from logging import ERROR, getLogger
from pathlib import Path
from typing import Any

from sweeps.errors import ClusterError
from sweeps.record.environment import describe_error

OBJECT_STORE_BYTES = 100 * 2**20  # nothing of size passes through it: workers map files
CONNECT_SECONDS = 5.0
SETTINGS = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "RAY_AIR_NEW_OUTPUT": "0",  # the new one prints tables at verbose=0
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "MALLOC_ARENA_MAX": "2",  # a thread per trial would keep an arena each
}
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
def open_ray() -> Iterator[Any]:
    """Ray for a block: the cluster this machine belongs to, else one of our own, ended with it.

    Raises:
        ClusterError: The cluster does not answer, or refuses this machine.
    """
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    address = cluster_address()
    if address is not None:
        check_answers(address)
        os.environ.setdefault("RAY_NUM_REDIS_GET_RETRIES", JOIN_RETRIES)
    import ray

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in ("ray", "ray.tune", "ray.train", "ray.data"):
            getLogger(name).setLevel(ERROR)
        quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": ERROR}
        if address is not None:
            _join(lambda: ray.init(**quiet), address)
        else:
            ray.init(
                address="local",
                include_dashboard=False,
                object_store_memory=OBJECT_STORE_BYTES,
                **quiet,
            )
        try:
            yield ray
        finally:
            ray.shutdown()


def check_answers(address: str, timeout_seconds: float = CONNECT_SECONDS) -> None:
    """Try whether anything listens at an address.

    Args:
        address: `host:port` of a cluster's head.
        timeout_seconds: How long to wait.

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
        socket.create_connection((host.strip("[]"), int(port)), timeout_seconds).close()
    except OSError as error:
        source = "RAY_ADDRESS" if os.environ.get("RAY_ADDRESS") else str(_address_file())
        raise ClusterError(
            f"the head of the cluster must answer at {address}, named by {source}, found "
            f"{describe_error(error)}: start it (ray up, ray start --head), correct {source}, or "
            "remove it to run on this machine alone"
        ) from None


def refusal(address: str, error: BaseException, printed: str) -> ClusterError:
    """What an error of `ray.init` means for the user.

    Args:
        address: The head's.
        error: What Ray raised.
        printed: What Ray wrote to stderr meanwhile.
    """
    found = describe_error(error)
    if type(error).__name__ == "AuthenticationError" or "InvalidAuthToken" in printed:
        return ClusterError(
            f"this machine must hold the token of the cluster, the head at {address} refuses it: "
            "copy ~/.ray/auth_token of the head to the same place here, and set RAY_AUTH_MODE=token"
        )
    if "ersion mismatch" in found:
        return ClusterError(
            f"this machine must have the versions of the cluster's head at {address}, found: "
            f"{found}; rerun cluster/setup_node.sh where they differ"
        )
    if "No node info found" in found:
        return ClusterError(
            f"a sweep must run on a node of its cluster, this machine is none of the one at "
            f"{address}: use `ray submit` or `ray exec` with the cluster file"
        )
    return ClusterError(
        f"the cluster at {address} can not be joined ({found}): see `ray status` on its head, and "
        "whether the port is the head's"
    )


def _join(connect: Callable[[], Any], address: str) -> None:
    with _kept_stderr() as printed:
        try:
            connect()
        except Exception as error:  # Ray raises its own kinds and RuntimeError
            refused = refusal(address, error, printed())
        else:
            return
    raise refused


@contextmanager
def _kept_stderr() -> Iterator[Callable[[], str]]:
    """Keeps what this process writes to stderr, libraries in C++ included, for a block."""
    sys.stderr.flush()
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as kept:

        def read() -> str:
            kept.seek(0)
            return kept.read().decode(errors="replace")

        os.dup2(kept.fileno(), 2)
        try:
            yield read
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)


def _address_file() -> Path:
    """Where `ray start` keeps the address of the cluster it started or joined."""
    return Path(os.environ.get("RAY_TMPDIR", "/tmp")) / "ray" / "ray_current_cluster"
