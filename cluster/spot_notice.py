"""Spot notices: drains this node in Ray when the cloud says that it will take the machine back.

The cloud's metadata service is polled; on a notice, the Ray node of this machine is drained once
and the watcher ends. Ray then starts no new trial here, asks the autoscaler for a replacement, and
calls the loss a preemption: Tune restarts the trials from their last checkpoint and counts no
failure. `worker_start_ray_commands` runs it, a lock keeps it single; stdlib and Ray alone.

A decision worth knowing: AWS's rebalance recommendation is only logged. It may come hours before a
notice or without one, and a drained node can not be taken back. `--on-rebalance drain` drains.
"""

import argparse
import fcntl
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPException
from pathlib import Path
from typing import IO, Any, Protocol
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

AWS_URL = "http://169.254.169.254"
GCP_URL = "http://metadata.google.internal"
AWS_NOTICE_SECONDS = 120  # where the notice has no time of its own
GCP_NOTICE_SECONDS = 30
AWS_TOKEN_SECONDS = 21600
TIMEOUT_SECONDS = 2.0
EVERY_SECONDS = 2.0
LOCK = Path.home() / ".ulm-sweeps" / "spot_notice.lock"


@dataclass(frozen=True, kw_only=True, slots=True)
class Notice:
    """What the cloud announced.

    Args:
        reason: One line for logs and for Ray.
        seconds_left: Until the machine goes, at least 1; 0 where nobody knows.
        is_final: False for a recommendation, after which the machine may stay.
    """

    reason: str
    seconds_left: int
    is_final: bool = True


class Metadata(Protocol):
    """A cloud's metadata service."""

    def notice(self) -> Notice | None:
        """What is announced for this machine now, if anything.

        Raises:
            OSError: The service does not answer.
        """


class AwsMetadata:
    """EC2's instance metadata, version 2 (a session token, renewed when it is refused).

    Args:
        base_url: Where the service answers.
    """

    def __init__(self, base_url: str = AWS_URL) -> None:
        self._base_url = base_url
        self._token = ""

    def notice(self) -> Notice | None:
        """`spot/instance-action`, else the rebalance recommendation."""
        action = self._get("/latest/meta-data/spot/instance-action")
        if action is not None:
            return _aws_notice(action)
        if self._get("/latest/meta-data/events/recommendations/rebalance") is not None:
            return Notice(
                reason="AWS recommends to leave this machine", seconds_left=0, is_final=False
            )
        return None

    def _get(self, path: str) -> str | None:
        if not self._token:
            self._renew_token()
        try:
            return _fetch(self._base_url + path, {"X-aws-ec2-metadata-token": self._token})
        except HTTPError as error:
            if error.code == 404:  # nothing announced
                return None
            if error.code == 401:
                self._token = ""
            raise

    def _renew_token(self) -> None:
        header = {"X-aws-ec2-metadata-token-ttl-seconds": str(AWS_TOKEN_SECONDS)}
        self._token = _fetch(self._base_url + "/latest/api/token", header, method="PUT")


class GcpMetadata:
    """Compute Engine's instance metadata.

    Args:
        base_url: Where the service answers.
    """

    def __init__(self, base_url: str = GCP_URL) -> None:
        self._url = base_url + "/computeMetadata/v1/instance/preempted"

    def notice(self) -> Notice | None:
        """Whether this machine is being preempted."""
        if _fetch(self._url, {"Metadata-Flavor": "Google"}).strip().upper() != "TRUE":
            return None
        return Notice(reason="GCP preempts this machine", seconds_left=GCP_NOTICE_SECONDS)


def watch(
    metadata: Metadata,
    drain: Callable[[Notice], None],
    *,
    drains_on_rebalance: bool = False,
    every_seconds: float = EVERY_SECONDS,
    sleep: Callable[[float], None] = time.sleep,
) -> Notice:
    """Wait for a notice and drain once; a service or a drain that fails is tried again.

    Returns:
        The notice that was obeyed.
    """
    said = ""
    while True:
        try:
            notice = metadata.notice()
            if notice is not None and (notice.is_final or drains_on_rebalance):
                drain(notice)
                return notice
            news = notice.reason if notice is not None else ""
        except (OSError, HTTPException, RuntimeError) as error:  # RuntimeError: Ray's
            news = f"{type(error).__name__}: {error}; trying again"
        if news not in ("", said):
            _log(news)
            said = news
        sleep(every_seconds)


def drain_node(notice: Notice, node_id: str = "") -> None:
    """Drain a Ray node, the one of this machine unless another is named.

    Args:
        notice: Becomes Ray's reason and deadline.
        node_id: Ray's hexadecimal id.

    Raises:
        RuntimeError: No node of this machine is alive, or Ray refuses.
    """
    from ray import _raylet
    from ray._private import services
    from ray.core.generated.autoscaler_pb2 import DrainNodeReason
    from ray.exceptions import RayError

    address = services.canonicalize_bootstrap_address_or_die("auto")
    reason = DrainNodeReason.Value("DRAIN_NODE_REASON_PREEMPTION")
    deadline_ms = int((time.time() + notice.seconds_left) * 1000) if notice.seconds_left else 0
    try:
        client = _raylet.GcsClient(address=address)  # type: ignore[attr-defined]  # compiled
        node = node_id or _own_node_id(client, services.get_node_ip_address(address))
        accepted, refusal = client.drain_node(node, reason, notice.reason, deadline_ms)
    except RayError as error:
        raise RuntimeError(f"Ray's head must answer at {address}, and does not: {error}") from None
    if not accepted:
        raise RuntimeError(f"Ray must drain node {node}, and refuses: {refusal}")
    _log(f"{notice.reason}: drained node {node}, {notice.seconds_left} s left")


def _own_node_id(client: Any, ip: str) -> str:
    from ray.core.generated.gcs_pb2 import GcsNodeInfo

    infos = client.get_all_node_info(timeout=10).values()
    alive = GcsNodeInfo.GcsNodeState.ALIVE
    nodes = [i.node_id.hex() for i in infos if i.state == alive and i.node_manager_address == ip]
    if len(nodes) != 1:
        raise RuntimeError(
            f"this machine ({ip}) must have one live Ray node, found {len(nodes)}; see `ray status`"
        )
    return str(nodes[0])


def _aws_notice(text: str) -> Notice:
    """`{"action": "terminate", "time": "2026-01-01T00:02:00Z"}` as AWS writes it."""
    try:
        content = json.loads(text)
        at = datetime.fromisoformat(content["time"]).astimezone(UTC)
        action, seconds = content["action"], (at - datetime.now(UTC)).total_seconds()
    except (ValueError, KeyError, TypeError):  # announced all the same
        action, seconds = "interrupt", AWS_NOTICE_SECONDS
    return Notice(reason=f"AWS will {action} this machine", seconds_left=max(1, int(seconds)))


def _fetch(url: str, headers: dict[str, str], method: str = "GET") -> str:
    request = Request(url, headers=headers, method=method)
    opener = build_opener(ProxyHandler({}))  # link-local: never through a proxy
    with opener.open(request, timeout=TIMEOUT_SECONDS) as answer:
        text: str = answer.read().decode()
    return text


def _log(line: str) -> None:
    print(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} spot_notice: {line}", flush=True)


def _hold_lock(path: Path) -> IO[str] | None:
    """The open lock file, or None where another watcher holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.open("w", encoding="utf-8")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file


def _metadata(cloud: str, url: str | None) -> Metadata:
    if cloud == "aws":
        return AwsMetadata(url or AWS_URL)
    return GcpMetadata(url or GCP_URL)


def main(arguments: list[str] | None = None) -> int:
    """Watch until a notice came and the node is drained."""
    parser = argparse.ArgumentParser(description="Drain this Ray node on a spot notice.")
    parser.add_argument("--cloud", choices=("aws", "gcp"), required=True)
    parser.add_argument("--metadata-url", help="base address of the metadata service")
    parser.add_argument("--node-id", default="", help="Ray node; default: the one of this machine")
    parser.add_argument("--on-rebalance", choices=("log", "drain"), default="log")
    parser.add_argument("--every", type=float, default=EVERY_SECONDS, help="seconds between polls")
    options = parser.parse_args(arguments)
    lock = _hold_lock(LOCK)
    if lock is None:
        _log("another watcher runs on this machine")
        return 0
    with lock:
        _log(f"watching {options.cloud}")
        watch(
            _metadata(options.cloud, options.metadata_url),
            lambda notice: drain_node(notice, options.node_id),
            drains_on_rebalance=options.on_rebalance == "drain",
            every_seconds=options.every,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
