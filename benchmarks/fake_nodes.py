"""Fake nodes: a Ray cluster on one machine whose autoscaler starts and ends worker nodes.

A number of workers and their resources come in; a cluster runs for a block of code. Nodes are Ray's
own processes, started by Ray's fake provider; everything above it (demand, autoscaler, idle time,
draining) is what runs in a cloud. `ray stop` ends every Ray it can see, so all of it belongs into
namespaces of its own: `in_namespaces` runs a command there.
"""

import contextlib
import fcntl
import json
import os
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ray.autoscaler._private.fake_multi_node.node_provider import (
    FAKE_HEAD_NODE_ID,
    FakeMultiNodeProvider,
)

NAMESPACES = ("unshare", "-n", "-p", "-f", "-m", "-i", "--mount-proc", "--kill-child")
HEAD = "ray.head.default"  # what the fake provider calls the type of the head
OBJECT_STORE_BYTES = 80_000_000
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1


class Provider(FakeMultiNodeProvider):  # type: ignore[misc]
    """Ray's fake provider under a name that `provider: {type: external}` can import.

    `type: fake_multinode` needs an example file that Ray's wheel leaves out.
    """


def configuration(workers: int, cpus: int, idle_minutes: float) -> dict[str, Any]:
    """What `ray up` would take: a head without CPUs and up to `workers` nodes.

    Args:
        workers: Most nodes of the one kind.
        cpus: CPUs of each.
        idle_minutes: How long a node may have nothing to do.
    """
    memory = {"object_store_memory": OBJECT_STORE_BYTES}
    empty_lists = ("initialization_commands", "setup_commands", "head_setup_commands")
    more_lists = ("worker_setup_commands", "head_start_ray_commands", "worker_start_ray_commands")
    return {
        "cluster_name": "fake",
        "max_workers": workers,
        "upscaling_speed": 1.0,
        "idle_timeout_minutes": idle_minutes,
        "head_node_type": HEAD,
        "available_node_types": {
            HEAD: {"resources": {"CPU": 0, **memory}, "node_config": {}, "max_workers": 0},
            "worker": {
                "resources": {"CPU": cpus, **memory},
                "node_config": {},
                "min_workers": 0,
                "max_workers": workers,
            },
        },
        "provider": {
            "type": "external",
            "module": "fake_nodes.Provider",
            "launch_multiple": True,
            "head_node_id": FAKE_HEAD_NODE_ID,
        },
        **{name: {} for name in ("auth", "docker", "file_mounts")},
        **{name: [] for name in (*empty_lists, *more_lists, "cluster_synced_files")},
        **{name: [] for name in ("rsync_exclude", "rsync_filter")},
        "file_mounts_sync_continuously": False,
    }


@contextlib.contextmanager
def fake_cluster(config: Mapping[str, Any], folder: Path) -> Iterator[None]:
    """A head that scales by a configuration, for a block; the calling process may join it."""
    file = folder / "cluster.json"
    file.write_text(json.dumps(config), encoding="utf-8")
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(__file__).parent),
        "AUTOSCALER_UPDATE_INTERVAL_S": "1",
        "RAY_FAKE_CLUSTER": "1",
        "RAY_enable_autoscaler_v2": "1",
        "RAY_CLOUD_INSTANCE_ID": FAKE_HEAD_NODE_ID,
        "RAY_OVERRIDE_NODE_ID_FOR_TESTING": FAKE_HEAD_NODE_ID,
    }
    ray = str(Path(sys.executable).with_name("ray"))
    head = (ray, "start", "--head", "--num-cpus=0", f"--autoscaling-config={file}")
    quiet = ("--include-dashboard=false", f"--object-store-memory={OBJECT_STORE_BYTES}")
    _checked((*head, *quiet), environment)
    try:
        yield
    finally:
        _checked((ray, "stop", "--force"), environment)


def _checked(command: Sequence[str], environment: Mapping[str, str]) -> None:
    done = subprocess.run(command, env=dict(environment), capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")


def why_no_namespaces() -> str | None:
    """Why namespaces can not be made here; None where they can."""
    try:
        done = subprocess.run((*NAMESPACES, "true"), capture_output=True, text=True)
    except OSError as error:
        return str(error)
    return done.stderr.strip() if done.returncode else None


def in_namespaces(command: Sequence[str], timeout_seconds: float) -> str:
    """Run a command with processes, a network and a home of its own.

    Returns:
        Its stdout.

    Raises:
        RuntimeError: It failed; with its stderr.
        subprocess.TimeoutExpired: It took too long, and was ended with all it had started.
    """
    with tempfile.TemporaryDirectory(prefix="n", dir="/tmp") as home:  # paths of sockets are short
        done = subprocess.run(
            (*NAMESPACES, *command),
            env={**os.environ, "HOME": home, "RAY_TMPDIR": home},
            capture_output=True,
            text=True,
            timeout=timeout_seconds,
        )
    if done.returncode:
        raise RuntimeError(f"{command[-1]}: exit code {done.returncode}\n{done.stderr}")
    return done.stdout


def bring_up_loopback() -> None:
    """The loopback device of a new network namespace is down; this is `ip link set lo up`."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        name = b"lo".ljust(16, b"\0")
        found = fcntl.ioctl(control, SIOCGIFFLAGS, name + b"\0" * 16)
        (flags,) = struct.unpack_from("H", found, 16)
        fcntl.ioctl(control, SIOCSIFFLAGS, name + struct.pack("H", flags | IFF_UP).ljust(16, b"\0"))
