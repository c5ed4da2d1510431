"""Bill: how long a planned sweep takes on a fleet and what the nodes cost (pure).

A plan, its spec and a fleet come in; wall hours, node hours and money go out, by node type. The
wall time is the larger of two bounds: all work spread over every slot, and the longest chain of
trials that wait for each other. Workers are paid while they have work and until they are given
back as idle, the head for the whole time.
"""

import math
from dataclasses import dataclass

from sweeps.spec.fleet import Fleet, NodeType
from sweeps.spec.plan import SweepPlan
from sweeps.spec.values import ResourceSpec, SweepSpec


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeBill:
    """What the nodes of one type do.

    Args:
        node: The node type.
        count: Nodes the sweep can use at once.
        trials: Trials one node holds at once, beside those that need no accelerator.
        hours: Node hours, all nodes together.
    """

    node: NodeType
    count: int
    trials: int
    hours: float = 0.0

    @property
    def money(self) -> float | None:
        """What they cost; None where the price is not known."""
        price = self.node.price_per_hour
        return None if price is None else price * self.hours


@dataclass(frozen=True, kw_only=True, slots=True)
class Bill:
    """What a sweep costs on a fleet.

    Args:
        fleet: The fleet.
        nodes: One line per node type that is used, the head first.
        fits: Trials the largest cluster holds at once.
        wall_hours: Estimated wall hours from the first trial to the last.
        chain_hours: Hours of the longest chain of trials that wait for each other.
    """

    fleet: Fleet
    nodes: tuple[NodeBill, ...]
    fits: int
    wall_hours: float
    chain_hours: float

    @property
    def at_once(self) -> int:
        """Trials that run at once on the nodes that are used."""
        return sum(line.count * line.trials for line in self.nodes)

    @property
    def node_hours(self) -> float:
        """Hours of all nodes."""
        return sum(line.hours for line in self.nodes)

    @property
    def money(self) -> float | None:
        """What all nodes cost; None where a price is not known."""
        return None if self.unpriced else sum(line.money or 0.0 for line in self.nodes)

    @property
    def unpriced(self) -> tuple[str, ...]:
        """Node types that are used and have no price."""
        return tuple(line.node.name for line in self.nodes if line.money is None)


def make_bill(plan: SweepPlan, spec: SweepSpec, fleet: Fleet) -> Bill:
    """Spread the trials of a plan over a fleet.

    Raises:
        SweepError: A trial fits on no node.
    """
    wanted = plan.total.cells * spec.search.parallel_trials
    lines = _largest(fleet, spec.resources, wanted)
    slots = sum(line.count * line.trials for line in lines)
    shared_hours = sum(row.hours for row in plan.regimes if row.accelerator_hours > 0)
    busy_hours = shared_hours / min(slots, wanted)
    wall_hours = max(
        plan.chain_hours, busy_hours, (plan.total.hours - shared_hours) / _cpu_slots(lines, spec)
    )
    return Bill(
        fleet=fleet,
        nodes=tuple(_paid(line, busy_hours, wall_hours, fleet) for line in lines),
        fits=fleet.most_trials(cpus=spec.resources.cpus, gpus=spec.resources.gpus),
        wall_hours=wall_hours,
        chain_hours=plan.chain_hours,
    )


def bill_warnings(bill: Bill, resources: ResourceSpec) -> tuple[str, ...]:
    """What is paid for and not used, a sentence each.

    Args:
        bill: The bill.
        resources: What a trial of the sweep holds.
    """
    workers = [line.node for line in bill.nodes if not line.node.is_head]
    if resources.gpus > 0 or not workers or any(node.gpus == 0 for node in workers):
        return ()
    names = ", ".join(node.name for node in workers)
    return (
        f"resources.gpus is 0 and every worker has a GPU: {names} would be rented for its CPUs; "
        f"add --set resources.gpus=1, or name workers without GPUs in {bill.fleet.name}",
    )


def _largest(fleet: Fleet, resources: ResourceSpec, wanted: int) -> tuple[NodeBill, ...]:
    """The nodes that hold `wanted` trials at once, or as many as there may be; cheap ones first."""
    holding = fleet.holding(resources)
    lines = [_line(node, resources, 1) for node in fleet.nodes if node.is_head]
    left = wanted - sum(line.trials for line in lines)
    free = fleet.max_workers
    for node in sorted(holding, key=lambda node: _price_of_a_trial(node, resources)):
        trials = _trials(node, resources)
        count = max(0, min(node.maximum, free, math.ceil(left / trials)))
        if count and not node.is_head:
            lines.append(_line(node, resources, count))
            left, free = left - count * trials, free - count
    return tuple(lines)


def _line(node: NodeType, resources: ResourceSpec, count: int) -> NodeBill:
    return NodeBill(node=node, count=count, trials=_trials(node, resources))


def _trials(node: NodeType, resources: ResourceSpec) -> int:
    return node.num_trials(cpus=resources.cpus, gpus=resources.gpus)


def _price_of_a_trial(node: NodeType, resources: ResourceSpec) -> float:
    return (node.price_per_hour or 0.0) / _trials(node, resources)


def _cpu_slots(lines: tuple[NodeBill, ...], spec: SweepSpec) -> int:
    """Trials without accelerators, of `bow`, that the nodes hold at once."""
    cpus = spec.resources.cpus
    return sum(line.count * line.node.num_trials(cpus=cpus, gpus=0) for line in lines)


def _paid(line: NodeBill, busy_hours: float, wall_hours: float, fleet: Fleet) -> NodeBill:
    """A line with its hours."""
    alone = wall_hours if line.node.is_head else busy_hours + fleet.idle_minutes / 60
    return NodeBill(node=line.node, count=line.count, trials=line.trials, hours=line.count * alone)
