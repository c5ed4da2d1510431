"""Fleet: the node types of a Ray cluster file, what each holds and what an hour of it costs.

A cluster YAML comes in; its node types go out as frozen values that know how many trials fit on a
node. Prices are labels, which Ray's schema allows and Ray ignores: `labels: {price-per-hour:
"0.526", market: spot}`. The file that `ray up` leaves on a head has the same form.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from sweeps.errors import SweepError
from sweeps.spec.rules import require
from sweeps.spec.values import ResourceSpec, SweepSpec

PRICE_LABEL, MARKET_LABEL = "price-per-hour", "market"
BOOTSTRAP_CONFIG = Path("~/ray_bootstrap_config.yaml")
"""Where `ray up` leaves the cluster file on the head."""

IDLE_MINUTES = 5.0  # Ray's default of idle_timeout_minutes
MAX_WORKERS = 2  # and of max_workers
TOLERANCE = 1e-9  # 1 / 0.1 trials are 10 and not 9


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeType:
    """One kind of machine of a cluster.

    Args:
        name: As the file calls it.
        cpus: CPUs that Ray may give to trials on one node.
        gpus: GPUs of one node.
        maximum: Nodes at most; 1 for the head.
        price_per_hour: Money for one node hour, in any currency; None where the file does not say.
        market: How it is rented, e.g. `spot`; empty where the file does not say.
        is_head: Whether it is the head, which is there all the time.
    """

    name: str
    cpus: float
    gpus: float = 0.0
    maximum: int = 1
    price_per_hour: float | None = None
    market: str = ""
    is_head: bool = False

    def __post_init__(self) -> None:
        for name in ("cpus", "gpus", "maximum"):
            value = getattr(self, name)
            require(value >= 0, f"{name} must be >= 0, found {value}")
        price = self.price_per_hour
        require(
            price is None or (math.isfinite(price) and price >= 0),
            f"price_per_hour must be >= 0, found {price}",
        )

    def num_trials(self, *, cpus: float, gpus: float) -> int:
        """Trials that one node holds at once.

        Args:
            cpus: CPUs of one trial.
            gpus: GPUs of one trial; a share of one never spans two.
        """
        fit = math.floor(self.cpus / cpus + TOLERANCE)
        if gpus <= 0:
            return fit
        if gpus < 1:
            on_gpus = math.floor(self.gpus) * math.floor(1 / gpus + TOLERANCE)
        else:
            on_gpus = math.floor(self.gpus / gpus + TOLERANCE)
        return min(fit, on_gpus)


@dataclass(frozen=True, kw_only=True, slots=True)
class Fleet:
    """The machines a cluster may have.

    Args:
        name: What messages call it: the file.
        nodes: Its node types, the head first.
        max_workers: Nodes beside the head at most, all types together.
        idle_minutes: Minutes after which an idle worker is given back.
    """

    name: str
    nodes: tuple[NodeType, ...]
    max_workers: int
    idle_minutes: float = IDLE_MINUTES

    def holding(self, resources: ResourceSpec) -> tuple[NodeType, ...]:
        """Node types that hold at least one trial with these resources.

        Raises:
            SweepError: None does.
        """
        held = {"cpus": resources.cpus, "gpus": resources.gpus}
        types = tuple(node for node in self.nodes if node.maximum and node.num_trials(**held))
        if types:
            return types
        found = "; ".join(f"{n.name}: {n.cpus:g} CPUs, {n.gpus:g} GPUs" for n in self.nodes)
        raise SweepError(
            f"a node must hold a trial of {resources.cpus:g} CPUs and {resources.gpus:g} GPUs, "
            f"found in {self.name} only {found}: lower `resources` of the spec, or name larger "
            "nodes or more workers there"
        )

    def most_trials(self, *, cpus: float, gpus: float) -> int:
        """Trials of one kind that the largest cluster holds at once.

        Args:
            cpus: CPUs of one trial.
            gpus: GPUs of one trial.
        """
        held = [(node, node.num_trials(cpus=cpus, gpus=gpus)) for node in self.nodes]
        most, free = sum(trials for node, trials in held if node.is_head), self.max_workers
        for node, trials in sorted(held, key=lambda pair: pair[1], reverse=True):
            started = 0 if node.is_head else min(free, node.maximum)
            most += trials * started
            free -= started
        return most

    def price_per_accelerator_hour(self, resources: ResourceSpec) -> float | None:
        """Money for an accelerator (a CPU where a trial holds no GPU) held for an hour by trials.

        A node that holds fewer trials than it has accelerators for costs more for each. Of several
        node types the dearest counts, so that an estimate is not too low.

        Returns:
            None where a node type that holds trials has no price.

        Raises:
            SweepError: No node holds a trial.
        """
        accelerators = resources.gpus or float(resources.cpus)
        prices = []
        for node in self.holding(resources):
            if node.price_per_hour is None:
                return None
            trials = node.num_trials(cpus=resources.cpus, gpus=resources.gpus)
            prices.append(node.price_per_hour / (trials * accelerators))
        return max(prices)


@dataclass(frozen=True, kw_only=True, slots=True)
class Slots:
    """Trials that may be handed out at once.

    Args:
        total: Of all kinds.
        neural: Of those that hold a GPU where the spec asks for one: all but `bow`.
    """

    total: int
    neural: int


def load_fleet(file: Path) -> Fleet:
    """Read a cluster file.

    Raises:
        SweepError: It is none, or does not say what its nodes hold.
    """
    try:
        told = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise SweepError(
            f"a cluster file must be YAML that can be read, found {file} ({reason}): name one such "
            "as cluster/cluster.yaml"
        ) from None
    types = told.get("available_node_types") if isinstance(told, dict) else None
    if not isinstance(types, dict) or not types:
        raise SweepError(
            f"a cluster file must name its available_node_types, found none in {file}: what its "
            "nodes hold and cost is not known; set budget.price_per_accelerator_hour instead"
        )
    return fleet_of(told, str(file))


def fleet_of(told: Mapping[str, Any], name: str) -> Fleet:
    """The machines of a cluster file's content.

    Args:
        told: What `ray up` takes.
        name: What messages call it.

    Raises:
        SweepError: It does not say what its nodes hold.
    """
    types = told["available_node_types"]
    try:
        max_workers = int(told.get("max_workers", MAX_WORKERS))
        idle_minutes = float(told.get("idle_timeout_minutes", IDLE_MINUTES))
    except (TypeError, ValueError) as error:
        raise SweepError(
            f"{name}: {error}; max_workers and idle_timeout_minutes must be numbers"
        ) from None
    head = told.get("head_node_type")
    heads = [_node_type(key, types[key], name, 1, is_head=True) for key in types if key == head]
    workers = [
        _node_type(key, types[key], name, 0 if key == head else max_workers, most=max_workers)
        for key in types
    ]
    return Fleet(
        name=name,
        nodes=(*heads, *(node for node in workers if node.maximum)),
        max_workers=max_workers,
        idle_minutes=idle_minutes,
    )


def _node_type(
    key: str, told: Any, name: str, maximum: int, *, most: int = 0, is_head: bool = False
) -> NodeType:
    resources = told.get("resources") if isinstance(told, Mapping) else None
    if not isinstance(resources, Mapping) or "CPU" not in resources:
        raise SweepError(
            f"{name}: {key}: resources must say what a node holds, found {resources or 'none'}; "
            "e.g. `resources: {CPU: 8, GPU: 1}`"
        )
    try:
        labels = told.get("labels") or {}
        return NodeType(
            name=str(key),
            cpus=float(resources["CPU"]),
            gpus=float(resources.get("GPU", 0)),
            maximum=maximum if is_head else min(most, int(told.get("max_workers", maximum))),
            price_per_hour=_price(labels.get(PRICE_LABEL)),
            market=str(labels.get(MARKET_LABEL, "")),
            is_head=is_head,
        )
    except (AttributeError, TypeError, ValueError) as error:
        raise SweepError(
            f"{name}: {key}: {error}; numbers are written as in `max_workers: 4` and "
            '`labels: {price-per-hour: "0.526", market: spot}`'
        ) from None


def _price(label: Any) -> float | None:
    return None if label is None else float(label)


def with_price(spec: SweepSpec, bootstrap: Path = BOOTSTRAP_CONFIG) -> SweepSpec:
    """The spec with the price that is known of one accelerator hour.

    Args:
        spec: The sweep; its own `budget.price_per_accelerator_hour` counts first.
        bootstrap: The file a head was started from, asked silently.
    """
    file = bootstrap.expanduser()
    if spec.budget.price_per_accelerator_hour is not None or not file.is_file():
        return spec
    price = _price_here(spec.resources, file)
    return replace(spec, budget=replace(spec.budget, price_per_accelerator_hour=price))


def _price_here(resources: ResourceSpec, bootstrap: Path) -> float | None:
    try:
        return load_fleet(bootstrap).price_per_accelerator_hour(resources)
    except SweepError:  # own machines: nothing is known of them
        return None
