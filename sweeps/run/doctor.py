"""Doctor: whether every node of a cluster is fit for a sweep, before it is paid for.

A spec, or the environment of a node where none is named, comes in; a diagnosis per node goes out,
the driver's first. `run` asks the quick part itself, and refuses with one `ClusterError` that names
every unfit node: a node that differs would train under other versions, or lose its results.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sweeps.arguments import STORAGE_VARIABLE
from sweeps.check_result import CheckResult
from sweeps.defaults import TRACKING_VARIABLE
from sweeps.errors import ClusterError, StorageError, TrackingError
from sweeps.paths import SweepPaths, is_uri
from sweeps.record.tracking import check_tracking
from sweeps.run.absent import absent_workers
from sweeps.run.autoscaler import autoscaler_config
from sweeps.run.cluster import cluster_address, open_ray
from sweeps.run.health import Expected, judge
from sweeps.run.nodes import (
    StorageTry,
    addresses,
    alive_nodes,
    listens_beyond_one_machine,
    probe_nodes,
    try_storage,
)
from sweeps.run.probe import find_versions
from sweeps.spec.values import SweepSpec
from ulm.text.corpora import CorpusSource
from ulm.text.stamps import recall, stamp_source

DRIVER = "driver"


@dataclass(frozen=True, kw_only=True, slots=True)
class Diagnosis:
    """What was found about one machine.

    Args:
        node: Its name and address, or `driver`.
        results: In the order to show them.
    """

    node: str
    results: tuple[CheckResult, ...]

    @property
    def failures(self) -> tuple[str, ...]:
        """`NODE: what is wrong: remedy`, one line each."""
        return self._lines("failed")

    @property
    def notes(self) -> tuple[str, ...]:
        """What is doubtful, one line each."""
        return self._lines("note")

    def _lines(self, result: str) -> tuple[str, ...]:
        return tuple(f"{self.node}: {f.detail}" for f in self.results if f.result == result)


def examine_cluster(
    spec: SweepSpec | None, environment: Mapping[str, str]
) -> tuple[Diagnosis, ...]:
    """Look at every node of the cluster this machine belongs to.

    Args:
        spec: Sweep whose storage, tracking and token arrays are asked for.
        environment: Names `SWEEP_STORAGE` and `MLFLOW_TRACKING_URI` where there is no spec.

    Raises:
        ClusterError: This machine belongs to none, or can not join it.
    """
    if cluster_address() is None:
        raise ClusterError(
            "the doctor looks at a cluster, this machine belongs to none: run it on the head "
            "(ray exec cluster/cluster.yaml 'sweep check --cluster'), or set RAY_ADDRESS"
        )
    storage = SweepPaths.of(spec).storage if spec else _absolute(environment.get(STORAGE_VARIABLE))
    tracking = spec.tracking.uri if spec else environment.get(TRACKING_VARIABLE) or None
    arrays = () if spec is None else tuple(_token_arrays(spec))
    with open_ray() as ray:
        driver, *nodes = _diagnose(
            ray,
            storage,
            fully=True,
            arrays=arrays,
            shares_gpus=spec is not None and 0 < spec.resources.gpus < 1,
        )
        config = autoscaler_config(ray.get_runtime_context().gcs_address)
        absent = absent_workers(config, addresses(ray))
    if tracking is not None:
        driver = replace(driver, results=(_tracking(tracking), *driver.results))
    missing = (
        Diagnosis(node=name, results=(CheckResult.failed("answer", why),))
        for name, why in absent.items()
    )
    return (driver, *nodes, *missing)


def require_fit_nodes(ray: Any, storage: str) -> None:
    """Look, before anything is trained, for what would lose or falsify trials on some node.

    Args:
        ray: A connected Ray.
        storage: Storage of the sweep, an absolute path or a URI.

    Raises:
        ClusterError: Versions differ, the storage can not be used, or tokens are off somewhere;
            one line for each node.
    """
    found = _diagnose(ray, storage, fully=False)
    failures = [line for diagnosis in found for line in diagnosis.failures]
    if failures:
        lines = "\n".join(failures)
        raise ClusterError(
            f"every node must be fit for the sweep, {len(failures)} findings; nothing was trained "
            f"(sweep check --cluster shows all):\n{lines}"
        )


def _diagnose(
    ray: Any,
    storage: str | None,
    *,
    fully: bool,
    arrays: Sequence[Path] = (),
    shares_gpus: bool = False,
) -> tuple[Diagnosis, ...]:
    """Diagnoses of the driver and of all nodes."""
    is_copied = storage is not None and is_uri(storage)
    names = [folder.name for folder in arrays] if is_copied else []
    with ExitStack() as stack:
        tried, results = _try(stack, storage)
        expected = Expected(
            versions=find_versions(),
            storage=None if tried is None else storage,
            needs_token=listens_beyond_one_machine(alive_nodes(ray)),
            tokens_gib=_gib(arrays) if is_copied else 0.0,
            shares_gpus=shares_gpus,
        )
        probes = probe_nodes(ray, fully=fully, tried=tried, tokens=names)
    nodes = (Diagnosis(node=p.node, results=judge(p, expected)) for p in probes)
    return (Diagnosis(node=DRIVER, results=results), *nodes)


def _try(
    stack: ExitStack, storage: str | None
) -> tuple[StorageTry | None, tuple[CheckResult, ...]]:
    """Files that try the storage while a stack is open, and what the driver finds."""
    if storage is None:
        return None, ()
    try:
        tried = stack.enter_context(try_storage(storage))
    except StorageError as error:
        return None, (CheckResult.failed("storage", str(error)),)
    return tried, (CheckResult.ok("storage", "read and written"),)


def _tracking(uri: str) -> CheckResult:
    try:
        check_tracking(uri)
    except TrackingError as error:
        return CheckResult.failed("tracking", str(error))
    return CheckResult.ok("tracking", "answers")


def _absolute(storage: str | None) -> str | None:
    if not storage or is_uri(storage):
        return storage or None
    return str(Path(storage).expanduser().absolute())


def _token_arrays(spec: SweepSpec) -> Iterator[Path]:
    """Token arrays of a sweep that lie on this machine already."""
    cache = SweepPaths.of(spec).tokens
    sources: tuple[CorpusSource | None, ...] = (spec.corpus, spec.general.source)
    for source in sources:
        stamp = None if source is None or not cache.is_dir() else stamp_source(source)
        folder = None if stamp is None else recall(cache, stamp)
        if folder is not None and folder.is_dir():
            yield folder


def _gib(folders: Sequence[Path]) -> float:
    files = (file for folder in folders for file in folder.iterdir() if file.is_file())
    return sum(file.stat().st_size for file in files) / 2**30
