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

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sweeps.errors import CapacityError
from sweeps.spec.fleet import Fleet, NodeType, Slots, fleet_of
from sweeps.spec.values import ResourceSpec, SweepSpec
from ulm.regimes import Regime


def slots(spec: SweepSpec, current: Fleet, largest: Fleet | None = None) -> Slots:
    """Trials a sweep may have handed out at once.

    Args:
        spec: The sweep, with the resources of one trial.
        current: The cluster as it is.
        largest: What its autoscaler may make of it; None where it has none.

    Raises:
        CapacityError: No node, also of the largest cluster, holds a trial the sweep consists of.
    """
    fleets = [current] if largest is None else [current, largest]
    held = spec.resources
    total = max(fleet.most_trials(cpus=held.cpus, gpus=0) for fleet in fleets)
    neural = max(fleet.most_trials(cpus=held.cpus, gpus=held.gpus) for fleet in fleets)
    if Regime.BOW in spec.regimes and total == 0:
        raise _too_small(held, 0.0, fleets)
    if any(regime is not Regime.BOW for regime in spec.regimes) and neural == 0:
        raise _too_small(held, held.gpus, fleets)
    return Slots(total=total, neural=neural)


def idle_gpus(spec: SweepSpec, current: Fleet, largest: Fleet | None = None) -> str | None:
    """What to say where a cluster has GPUs, or may get some, and no trial holds one.

    Args:
        spec: The sweep.
        current: The cluster as it is.
        largest: What its autoscaler may make of it; None where it has none.
    """
    nodes = current.nodes + (() if largest is None else largest.nodes)
    trains = any(regime is not Regime.BOW for regime in spec.regimes)
    if spec.resources.gpus > 0 or not trains or not any(node.gpus for node in nodes):
        return None
    return (
        "resources.gpus is 0: trials train on CPUs, also on this cluster's machines with GPUs; "
        "--set resources.gpus=1 uses them"
    )


def current_fleet(nodes: Sequence[Mapping[str, Any]]) -> Fleet:
    """The cluster as it is, from `ray.nodes()`."""
    alive = [node["Resources"] for node in nodes if node["Alive"]]
    types = tuple(
        NodeType(name=str(index), cpus=each.get("CPU", 0.0), gpus=each.get("GPU", 0.0))
        for index, each in enumerate(alive)
    )
    return Fleet(name="the cluster", nodes=types, max_workers=len(types))


def largest_fleet(config: Mapping[str, Any]) -> Fleet:
    """The largest cluster an autoscaler may make.

    Args:
        config: What `ray up` takes, as the head of the cluster has it: with the resources of every
            node type filled in. A type without resources holds nothing.
    """
    types = {
        key: {**kind, "resources": {"CPU": 0, **(kind.get("resources") or {})}}
        for key, kind in (config.get("available_node_types") or {}).items()
    }
    return fleet_of({**config, "available_node_types": types}, "the autoscaler's configuration")


def _too_small(held: ResourceSpec, gpus: float, fleets: Iterable[Fleet]) -> CapacityError:
    kinds = Counter(
        f"{node.cpus:g} CPUs and {node.gpus:g} GPUs"
        for fleet in fleets
        for node in fleet.nodes
        for _ in range(node.maximum)
    )
    found = ", ".join(f"{count} × {kind}" for kind, count in sorted(kinds.items()))
    asked = f"{held.cpus} CPUs" + (f" and {gpus:g} GPUs" if gpus else "")
    remedy = "lower resources.cpus or resources.gpus" if gpus else "lower resources.cpus"
    return CapacityError(
        f"a node must hold the {asked} of one trial, also if only at the cluster's largest, found "
        f"{found or 'no node'}: {remedy} (e.g. --set resources."
        f"{'gpus=0' if gpus else 'cpus=1'}), or give the cluster nodes that are large enough"
    )
