"""Autoscaler: what the cluster this driver runs on may grow to.

The address of a cluster comes in; the autoscaler's configuration goes out as Ray keeps it, or None
where nothing grows. Ray 2.60 tells its own drivers the limits on one vendor's platform only
(`get_max_resources_from_cluster_config`), so they are read where the autoscaler reads them: in the
file named on the command line of its process, which runs beside the driver on the head, and on
Kubernetes from the RayCluster, with the rights the head's pod has for it.
"""

import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil
import yaml

_log = logging.getLogger(__name__)

MONITOR = "monitor.py"
SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


def autoscaler_config(
    gcs_address: str, command_lines: Iterable[Sequence[str]] | None = None
) -> dict[str, Any] | None:
    """The configuration of a cluster's autoscaler.

    Args:
        gcs_address: `host:port` of the cluster's head service.
        command_lines: Words of the processes to look through; this machine's where left out.

    Returns:
        With `available_node_types`, `head_node_type` and `max_workers`; None where the cluster has
        no autoscaler, or its limits can not be read (which is logged).
    """
    file = config_file(command_lines or _command_lines(), gcs_address)
    try:
        if file is not None:
            return _read(file)
        if os.environ.get("RAY_CLUSTER_NAME") and (SERVICE_ACCOUNT / "namespace").is_file():
            return _ray_cluster(os.environ["RAY_CLUSTER_NAME"])
    except (OSError, ValueError, LookupError, yaml.YAMLError) as error:
        _log.warning(
            "the limits of the autoscaler can not be read (%s): trials are handed out for the "
            "nodes there are now, and the cluster grows with them only",
            " ".join(str(error).split()),
        )
    return None


def config_file(command_lines: Iterable[Sequence[str]], gcs_address: str) -> Path | None:
    """The file that a cluster's autoscaler was started with, from the processes of the head."""
    for words in command_lines:
        options = dict(word.split("=", 1) for word in words if "=" in word)
        is_monitor = any(word.endswith(MONITOR) for word in words)
        if is_monitor and options.get("--gcs-address") == gcs_address:
            named = options.get("--autoscaling-config")
            return None if named is None else Path(named).expanduser()
    return None


def _command_lines() -> Iterator[list[str]]:
    for process in psutil.process_iter(["cmdline"]):
        yield process.info["cmdline"] or []


def _read(file: Path) -> dict[str, Any]:
    config = yaml.safe_load(file.read_text(encoding="utf-8"))
    if not isinstance(config, dict):
        raise ValueError(f"{file} must hold a mapping, found {type(config).__name__}")
    return config


def _ray_cluster(name: str) -> dict[str, Any]:
    """The RayCluster as an autoscaler's configuration; errors of the request are OSErrors."""
    from ray.autoscaler._private.kuberay.autoscaling_config import (
        _derive_autoscaling_config_from_ray_cr,
    )
    from ray.autoscaler._private.kuberay.node_provider import KubernetesHttpApiClient

    namespace = (SERVICE_ACCOUNT / "namespace").read_text(encoding="utf-8").strip()
    found = KubernetesHttpApiClient(namespace).get(f"rayclusters/{name}")
    config: dict[str, Any] = _derive_autoscaling_config_from_ray_cr(found)
    return config
