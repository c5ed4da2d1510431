"""Capacity: how many trials a cluster has room for, as it is and at its largest (pure).

Nodes come in as Ray or an autoscaler's configuration describes them; slots go out, or an error
where no node could ever hold a trial. Counted node by node: three CPUs on each of two nodes hold
two trials of two CPUs, not three.

Slots are those of the *largest* cluster the autoscaler may start. Tune asks for a node for every
trial that was handed out, so the autoscaler hears at once of all trials the ledger is ready for and
not of one at a time; a trial without a node waits, and costs nothing while it does. Nothing is
asked for beyond that (`ray.autoscaler.sdk.request_resources`): between two stages of a cell the
next trial is handed out in the step of Tune that ends the one before, so nodes do not fall idle
there, and a node held for trials that are not ready yet would be paid for and do nothing.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sweeps.errors import CapacityError
from sweeps.spec.values import ResourceSpec, SweepSpec
from ulm.regimes import Regime


@dataclass(frozen=True, kw_only=True, slots=True)
class Nodes:
    """Nodes that are alike.

    Args:
        cpus: CPUs of one.
        gpus: GPUs of one.
        count: How many there are, or may be.
    """

    cpus: float
    gpus: float = 0.0
    count: int = 1

    def __str__(self) -> str:
        return f"{self.count} × {self.cpus:g} CPUs and {self.gpus:g} GPUs"


@dataclass(frozen=True, kw_only=True, slots=True)
class Capacity:
    """The nodes of a cluster.

    Args:
        fixed: Those that are there: the head, or all nodes of a cluster as it is.
        workers: Those an autoscaler may start.
        max_workers: How many of them at most, whatever their kind.
    """

    fixed: tuple[Nodes, ...]
    workers: tuple[Nodes, ...] = ()
    max_workers: int = 0

    def most(self, per_node: Callable[[Nodes], int]) -> int:
        """The most trials the cluster can hold, from what one node can hold."""
        trials = sum(per_node(nodes) * nodes.count for nodes in self.fixed)
        free = self.max_workers
        for nodes in sorted(self.workers, key=per_node, reverse=True):
            started = min(free, nodes.count)
            trials += per_node(nodes) * started
            free -= started
        return trials


@dataclass(frozen=True, kw_only=True, slots=True)
class Slots:
    """Trials that may be handed out at once.

    Args:
        total: Of all kinds.
        neural: Of those that hold a GPU where the spec asks for one: all but `bow`.
    """

    total: int
    neural: int


def slots(spec: SweepSpec, current: Capacity, maximum: Capacity | None = None) -> Slots:
    """Trials a sweep may have handed out at once.

    Args:
        spec: The sweep, with the resources of one trial.
        current: The cluster as it is.
        maximum: The largest one its autoscaler may start; None where it has no autoscaler.

    Raises:
        CapacityError: No node, also of the largest cluster, holds a trial the sweep consists of.
    """
    clusters = [current] if maximum is None else [current, maximum]
    held = spec.resources
    total = max(cluster.most(lambda nodes: _on_one_node(nodes, held, 0.0)) for cluster in clusters)
    neural = max(
        cluster.most(lambda nodes: _on_one_node(nodes, held, held.gpus)) for cluster in clusters
    )
    if Regime.BOW in spec.regimes and total == 0:
        raise _too_small(held, 0.0, clusters)
    if any(regime is not Regime.BOW for regime in spec.regimes) and neural == 0:
        raise _too_small(held, held.gpus, clusters)
    return Slots(total=total, neural=neural)


def current_capacity(nodes: Iterable[Mapping[str, Any]]) -> Capacity:
    """The cluster as it is, from `ray.nodes()`."""
    alive = [node["Resources"] for node in nodes if node["Alive"]]
    return Capacity(fixed=tuple(_nodes(resources, count=1) for resources in alive))


def largest_capacity(config: Mapping[str, Any]) -> Capacity:
    """The largest cluster a configuration allows.

    Args:
        config: What `ray up` takes, as the head of the cluster has it: with the resources of every
            node type filled in. A type without resources counts for nothing.
    """
    types: Mapping[str, Mapping[str, Any]] = config.get("available_node_types") or {}
    head = config.get("head_node_type") or next(iter(types), None)
    workers = tuple(
        _nodes(kind.get("resources") or {}, count=int(kind.get("max_workers") or 0))
        for kind in types.values()
    )
    allowed = config.get("max_workers")
    return Capacity(
        fixed=tuple(
            _nodes(kind.get("resources") or {}, count=1)
            for name, kind in types.items()
            if name == head
        ),
        workers=workers,
        max_workers=sum(each.count for each in workers) if allowed is None else int(allowed),
    )


def _nodes(resources: Mapping[str, Any], *, count: int) -> Nodes:
    cpus, gpus = float(resources.get("CPU") or 0.0), float(resources.get("GPU") or 0.0)
    return Nodes(cpus=cpus, gpus=gpus, count=count)


def _on_one_node(nodes: Nodes, held: ResourceSpec, gpus: float) -> int:
    by_cpus = int(nodes.cpus // held.cpus)
    if gpus == 0:
        return by_cpus
    if gpus < 1:  # a share of a GPU is a share of one GPU: 0.4 of two GPUs fit four times
        return min(by_cpus, int(nodes.gpus) * int(1 / gpus + 1e-9))
    return min(by_cpus, int(nodes.gpus // gpus))


def _too_small(held: ResourceSpec, gpus: float, clusters: Iterable[Capacity]) -> CapacityError:
    every = {
        str(nodes)
        for cluster in clusters
        for nodes in (*cluster.fixed, *cluster.workers)
        if nodes.count
    }
    asked = f"{held.cpus} CPUs" + (f" and {gpus:g} GPUs" if gpus else "")
    remedy = "lower resources.cpus or resources.gpus" if gpus else "lower resources.cpus"
    return CapacityError(
        f"a node must hold the {asked} of one trial, also if only at the cluster's largest, found "
        f"{', '.join(sorted(every)) or 'no node'}: {remedy} (e.g. --set resources."
        f"{'gpus=0' if gpus else 'cpus=1'}), or give the cluster nodes that are large enough"
    )
