"""Absent: workers that a cluster file names and that have not joined, and why.

An autoscaler's configuration and the addresses that have joined come in; each missing address goes
out with what its SSH server says and the remedy. Only machines with fixed addresses can be missed,
those of a cloud come when they are wanted. It is asked because Ray does not tell: with a wrong
address or a refused key the head alone is a cluster, and trains for days instead of hours.
"""

import socket
import subprocess
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

LOG_IN_SECONDS = 5
SSH = (
    *("ssh", "-o", "BatchMode=yes", "-o", f"ConnectTimeout={LOG_IN_SECONDS}"),
    *("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"),
    *("-o", "LogLevel=ERROR"),
)

Auth = Mapping[str, Any]


def absent_workers(
    config: Mapping[str, Any] | None,
    joined: Collection[str],
    log_in: "Callable[[Auth, str], str | None] | None" = None,
) -> dict[str, str]:
    """Why machines of a cluster file are missing, by address.

    Args:
        config: What `ray up` left on the head; None where no autoscaler runs.
        joined: Addresses of the nodes that are alive.
        log_in: Tries the way to a machine; `try_log_in` where left out.

    Returns:
        `what is wrong: remedy` of each; empty where all are there.
    """
    provider = (config or {}).get("provider") or {}
    named = provider.get("worker_ips", ()) if provider.get("type") == "local" else ()
    missing = [name for name in named if _address_of(name) not in joined]
    if not missing:
        return {}
    attempt = partial(log_in or try_log_in, (config or {}).get("auth") or {})
    with ThreadPoolExecutor(max_workers=16) as pool:
        return dict(zip(missing, map(explain, pool.map(attempt, missing)), strict=True))


def try_log_in(auth: Auth, address: str) -> str | None:
    """Log in to a machine as Ray does from the head.

    Args:
        auth: `auth` of the cluster file.
        address: Its address or name.

    Returns:
        What SSH says where it does not work.
    """
    options: list[str] = []
    if key := auth.get("ssh_private_key"):
        options += ["-i", str(Path(key).expanduser())]
    if proxy := auth.get("ssh_proxy_command"):
        options += ["-o", f"ProxyCommand={proxy}"]
    command = [*SSH, *options, f"{auth.get('ssh_user', 'root')}@{address}", "true"]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=3 * LOG_IN_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    lines = done.stderr.strip().splitlines() or ["no reason given"]
    return None if done.returncode == 0 else lines[-1]


def explain(said: str | None) -> str:
    """What is wrong with a missing machine, and the remedy.

    Args:
        said: What SSH said; None where it can be logged in to.
    """
    again = "and call `ray up` again"
    if said is None:
        return (
            "it can be logged in to and has not joined the cluster: see `ray monitor` with the "
            "cluster file, its setup may be running or have failed"
        )
    if "Permission denied" in said:
        return (
            f"it refuses the key ({said}): let ssh_user there accept the key of ssh_private_key, "
            f"{again}"
        )
    return f"it can not be reached ({said}): start it or correct its address, {again}"


def _address_of(name: str) -> str:
    try:
        return socket.gethostbyname(name)
    except OSError:
        return name
