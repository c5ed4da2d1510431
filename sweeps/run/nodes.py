"""Nodes: one probe on every node of a cluster, all at once, each with a limit of time.

A connected Ray comes in; a `NodeProbe` per node that is alive goes out, silent ones included. The
storage is tried both ways: every node reads what the driver wrote, and the driver reads what each
node wrote, because a folder that can be written need not be the same folder everywhere.
"""

import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sweeps.errors import StorageError, describe_error
from sweeps.paths import below, is_uri
from sweeps.run import probe
from sweeps.run.health import NodeProbe, skew_seconds
from sweeps.storage import put_bytes, read_bytes, remove_folder

ANSWER_SECONDS = 90.0  # a new worker process on a cold disk, and torch in another one
CLOCK_SECONDS = 10.0

Node = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class StorageTry:
    """Files by which a storage is tried.

    Args:
        folder: Place that holds them; removed afterwards.
        word: What is in each.
    """

    folder: str
    word: str

    @property
    def driver_file(self) -> str:
        """What the driver writes and every node reads."""
        return below(self.folder, "driver")

    def node_file(self, node: Node) -> str:
        """What a node writes and the driver reads."""
        return below(self.folder, str(node["NodeID"]))

    def saw(self, node: Node) -> bool:
        """Whether the driver finds what a node wrote."""
        try:
            return read_bytes(self.node_file(node)) == self.word.encode()
        except OSError:
            return False


@contextmanager
def try_storage(storage: str) -> Iterator[StorageTry]:
    """Files that try a storage for a block; nothing stays behind.

    Args:
        storage: Absolute path or URI.

    Raises:
        StorageError: The driver can not write there.
    """
    word = uuid.uuid4().hex
    tried = StorageTry(folder=below(storage, f".sweep-check-{word[:8]}"), word=word)
    missing = () if is_uri(storage) else _missing(Path(storage))
    try:
        put_bytes(word.encode(), tried.driver_file)
    except (OSError, ValueError) as error:
        raise StorageError(
            f"storage must be a place the driver can write, found {storage} "
            f"({describe_error(error)}); set storage, or check the rights of this machine"
        ) from None
    try:
        yield tried
    finally:
        remove_folder(tried.folder)
        for folder in missing:
            if not any(folder.iterdir()):
                folder.rmdir()


def alive_nodes(ray: Any) -> tuple[Node, ...]:
    """The nodes of a cluster as Ray describes them, the driver's own included."""
    return tuple(node for node in ray.nodes() if node["Alive"])


def addresses(ray: Any) -> set[str]:
    """Addresses of the nodes that are alive."""
    return {node["NodeManagerAddress"] for node in alive_nodes(ray)}


def label_of(node: Node) -> str:
    """How a node is called in messages: its name and its address."""
    address, host, name = (
        node["NodeManagerAddress"],
        node["NodeManagerHostname"],
        node.get("NodeName"),
    )
    return f"{host if name in (None, '', address) else name} ({address})"


def listens_beyond_one_machine(nodes: Sequence[Node]) -> bool:
    """Whether a cluster spans more than one address."""
    return len({node["NodeManagerAddress"] for node in nodes}) > 1


def probe_nodes(
    ray: Any,
    *,
    fully: bool,
    tried: StorageTry | None,
    tokens: Sequence[str],
) -> tuple[NodeProbe, ...]:
    """Ask every node that is alive.

    Args:
        ray: A connected Ray.
        fully: Everything the doctor shows, or what a run asks before it begins.
        tried: Files on the storage to read and write; None to leave it alone.
        tokens: Names of token arrays that a node's cache may hold.

    Returns:
        One probe per node, those left out that went away meanwhile.
    """
    ray.cloudpickle.register_pickle_by_value(probe)
    try:
        nodes = alive_nodes(ray)
        act = probe.probe_fully if fully else probe.probe_quickly
        asked = {_on(ray, node, act).remote(_request(node, tried, tokens)): node for node in nodes}
        answers = ask(ray, asked, ANSWER_SECONDS)
        left = {node["NodeID"] for node in alive_nodes(ray)}
        return tuple(
            _probe_of(ray, node, answers[node["NodeID"]], tried, with_clock=fully)
            for node in nodes
            if node["NodeID"] in left
        )
    finally:
        ray.cloudpickle.unregister_pickle_by_value(probe)


def _on(ray: Any, node: Node, act: Any) -> Any:
    """A function as a task of a node that holds nothing there and is not repeated."""
    strategy = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
        node["NodeID"], soft=False
    )
    return ray.remote(num_cpus=0, max_retries=0, scheduling_strategy=strategy)(act)


def _request(node: Node, tried: StorageTry | None, tokens: Sequence[str]) -> dict[str, Any]:
    socket = Path(node.get("ObjectStoreSocketName") or "/tmp/none")
    request: dict[str, Any] = {
        "gpus": node["Resources"].get("GPU", 0.0),
        "ray_folder": str(socket.parent),
        "tokens": list(tokens),
    }
    if tried is not None:
        files = {"driver_file": tried.driver_file, "node_file": tried.node_file(node)}
        request |= {**files, "word": tried.word}
    return request


def ask(
    ray: Any, asked: Mapping[Any, Node], timeout_seconds: float
) -> dict[str, dict[str, Any] | str]:
    """Wait for what tasks answer, for a limited time.

    Args:
        ray: A connected Ray.
        asked: Node of each task, by the reference to its answer.
        timeout_seconds: For all of them; those that are late are given up.

    Returns:
        Facts by id of the node, or in a text why there are none.
    """
    deadline = time.monotonic() + timeout_seconds
    answers: dict[str, dict[str, Any] | str] = {}
    waiting = list(asked)
    while waiting and (left := deadline - time.monotonic()) > 0:
        ready, waiting = ray.wait(waiting, num_returns=1, timeout=left)
        for answer in ready:
            answers[asked[answer]["NodeID"]] = _facts(ray, answer)
    for late in waiting:
        ray.cancel(late, force=True)
        answers[asked[late]["NodeID"]] = f"no answer in {timeout_seconds:.0f} s"
    return answers


def _facts(ray: Any, answer: Any) -> dict[str, Any] | str:
    try:
        facts: dict[str, Any] = ray.get(answer)
    except ray.exceptions.RayError as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        return f"the probe failed there ({lines[-1] if lines else type(error).__name__})"
    return facts


def _probe_of(
    ray: Any,
    node: Node,
    answer: dict[str, Any] | str,
    tried: StorageTry | None,
    *,
    with_clock: bool,
) -> NodeProbe:
    if isinstance(answer, str):
        return NodeProbe(node=label_of(node), silence=answer)
    facts: dict[str, Any] = {**answer, "gpus": tuple(answer.get("gpus", ()))}
    return NodeProbe(
        node=label_of(node),
        gpus_advertised=node["Resources"].get("GPU", 0.0) if with_clock else 0.0,
        was_seen=None if tried is None else tried.saw(node),
        skew_seconds=_skew(ray, node) if with_clock else None,
        **facts,
    )


def _skew(ray: Any, node: Node) -> float | None:
    """Asked last, of a process that is there already, so that the way takes milliseconds."""
    sent = time.time()
    try:
        there = ray.get(_on(ray, node, probe.read_clock).remote(), timeout=CLOCK_SECONDS)
    except ray.exceptions.RayError:
        return None
    return skew_seconds(sent, there, time.time())


def _missing(folder: Path) -> tuple[Path, ...]:
    """The folders that would have to be made for one, the deepest first."""
    return tuple(place for place in (folder, *folder.parents) if not place.exists())
