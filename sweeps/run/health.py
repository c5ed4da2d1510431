"""Health: what a probe of a node means for a sweep (pure).

A `NodeProbe` and what is expected of every node come in; results go out, each failed one with its
remedy. Nothing is measured here: probes are made by `sweeps.run.nodes`, or by hand in tests.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sweeps.check_result import CheckResult

NOTE_SKEW_SECONDS, FAIL_SKEW_SECONDS = 2.0, 30.0
NOTE_FREE_GIB, FAIL_FREE_GIB = 10.0, 2.0
NOTE_OPEN_FILES = 4096
SET_UP_AGAIN = "rerun cluster/setup_node.sh on it, or replace it"


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeProbe:
    """What one node answered; None or empty where it was not asked.

    Args:
        node: Its name and address.
        silence: Why there is no answer at all.
        versions: Versions by name; None for what is missing.
        has_token: Whether Ray's token authentication is on there.
        read_error: Why the driver's file on the storage could not be read.
        write_error: Why a file could not be written to the storage.
        was_seen: Whether the driver found the file that the node wrote.
        gpus_advertised: GPUs that Ray may hand out there.
        gpus: Name and driver of each GPU.
        torch_gpus: GPUs that torch sees.
        builds_kernels: Whether Triton finds what it needs to build kernels for them.
        runs_mps: Whether NVIDIA's Multi-Process Service is there: with it trials that share a GPU
            compute side by side, without it by turns.
        free_gib: Free GiB by folder, or by its owner.
        holds_tokens: Whether the node's cache holds the sweep's token arrays.
        memory_gib: Memory of the machine.
        open_files: Files that a process may hold open.
        skew_seconds: How far its clock is ahead of the driver's, by what can be told.
    """

    node: str
    silence: str | None = None
    versions: Mapping[str, str | None] = field(default_factory=dict)
    has_token: bool | None = None
    read_error: str | None = None
    write_error: str | None = None
    was_seen: bool | None = None
    gpus_advertised: float = 0.0
    gpus: tuple[str, ...] = ()
    torch_gpus: int | None = None
    builds_kernels: bool | None = None
    runs_mps: bool | None = None
    free_gib: Mapping[str, float] = field(default_factory=dict)
    holds_tokens: bool | None = None
    memory_gib: float | None = None
    open_files: int | None = None
    skew_seconds: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Expected:
    """What every node is measured against.

    Args:
        versions: The driver's.
        storage: Storage of the sweep, a folder or a URI; None where none is tried.
        needs_token: Whether the cluster listens beyond one machine.
        tokens_gib: Size of the token arrays that a node would have to fetch.
        shares_gpus: Whether several trials hold a GPU.
    """

    versions: Mapping[str, str | None]
    storage: str | None = None
    needs_token: bool = True
    tokens_gib: float = 0.0
    shares_gpus: bool = False


def judge(probe: NodeProbe, expected: Expected) -> tuple[CheckResult, ...]:
    """What is good, doubtful and wrong about a node, in the order to show it."""
    if probe.silence is not None:
        detail = f"{probe.silence}: look at it with `ray status`, restart or remove it"
        return (CheckResult.failed("answer", detail),)
    judged = (
        CheckResult.ok("answer", "yes"),
        _judge_versions(probe, expected.versions),
        None if probe.has_token is None else _judge_token(probe.has_token, expected.needs_token),
        None if expected.storage is None else _judge_storage(probe, expected.storage),
        _judge_gpus(probe, expected.shares_gpus) if probe.gpus_advertised else None,
        _judge_disk(probe, expected.tokens_gib) if probe.free_gib else None,
        None if probe.holds_tokens is None else _judge_cache(probe.holds_tokens),
        None if probe.skew_seconds is None else _judge_clock(probe.skew_seconds),
        None
        if probe.memory_gib is None
        else CheckResult.ok("memory", f"{probe.memory_gib:.0f} GiB"),
        None if probe.open_files is None else _judge_open_files(probe.open_files),
    )
    return tuple(result for result in judged if result is not None)


def find_misfits(
    versions: Mapping[str, str | None], expected: Mapping[str, str | None]
) -> tuple[str, ...]:
    """One text for each version that is not the driver's."""
    return tuple(
        f"{name} is {versions.get(name) or 'missing'} and {wanted or 'missing'} on the driver"
        for name, wanted in expected.items()
        if versions.get(name) != wanted
    )


def skew_seconds(sent: float, there: float, received: float) -> float:
    """How far a clock is ahead of ours at least, after a question and its answer.

    Args:
        sent: When it was asked, on our clock.
        there: What it said.
        received: When the answer was here, on our clock.

    Returns:
        Seconds, negative where it is behind; 0 where the way there and back explains it.
    """
    if there > received:
        return there - received
    return min(0.0, there - sent)


def _judge_versions(probe: NodeProbe, expected: Mapping[str, str | None]) -> CheckResult:
    misfits = find_misfits(probe.versions, expected)
    if misfits:
        return CheckResult.failed("versions", f"{', '.join(misfits)}: {SET_UP_AGAIN}")
    return CheckResult.ok("versions", "the driver's")


def _judge_token(has_token: bool, needs_token: bool) -> CheckResult:
    if has_token:
        return CheckResult.ok("token", "on")
    if not needs_token:
        return CheckResult.note(
            "token", "Ray's token authentication is off; all nodes are on one machine"
        )
    return CheckResult.failed(
        "token",
        "Ray's token authentication is off, whoever reaches the node may run code there: set "
        "RAY_AUTH_MODE=token with the same ~/.ray/auth_token on every node, and start Ray again",
    )


def _judge_storage(probe: NodeProbe, storage: str) -> CheckResult:
    is_uri = "://" in storage
    for did, error in (("read", probe.read_error), ("write", probe.write_error)):
        if error is not None:
            remedy = (
                "check the bucket and this node's rights to it (instance profile, service account)"
                if is_uri
                else "mount the same folder on every node, or name a bucket with SWEEP_STORAGE"
            )
            return CheckResult.failed("storage", f"it can not {did} {storage} ({error}): {remedy}")
    if probe.was_seen is False:
        return CheckResult.failed(
            "storage",
            f"what it writes to {storage} does not reach the driver: mount the same folder on "
            "every node, or name a bucket with SWEEP_STORAGE",
        )
    return CheckResult.ok("storage", "read and written")


def _judge_gpus(probe: NodeProbe, shares_gpus: bool) -> CheckResult:
    seen = probe.torch_gpus or 0
    if seen >= probe.gpus_advertised:
        if probe.builds_kernels is False:
            return CheckResult.note(
                "gpu",
                "it trains more slowly than it could, without the kernels that Triton "
                "builds with a C compiler and Python's headers: install gcc and python3-dev",
            )
        if shares_gpus and probe.runs_mps is False:
            return CheckResult.note(
                "gpu",
                "the trials that share a GPU there take turns, which gains little: start NVIDIA's "
                "MPS before Ray (nvidia-cuda-mps-control -d), or set resources.gpus to 1",
            )
        return CheckResult.ok("gpu", "; ".join(_counted(probe.gpus)) or f"{seen} seen by torch")
    there = "; ".join(_counted(probe.gpus)) or "none known to nvidia-smi"
    return CheckResult.failed(
        "gpu",
        f"Ray hands out {probe.gpus_advertised:g} GPUs and torch sees {seen} ({there}): install "
        "the NVIDIA driver or take an image that has it, or start the node without GPUs",
    )


def _counted(names: Iterable[str]) -> list[str]:
    every = list(names)
    return [f"{every.count(name)} × {name}" for name in dict.fromkeys(every)]


def _judge_disk(probe: NodeProbe, tokens_gib: float) -> CheckResult:
    fetched = 0.0 if probe.holds_tokens else tokens_gib
    folder, free = min(probe.free_gib.items(), key=lambda item: item[1])
    shown = f"{free:.1f} GiB free in {folder} folder"
    needed = max(FAIL_FREE_GIB, fetched)
    if free < needed:
        return CheckResult.failed(
            "disk",
            f"{shown}, at least {needed:.1f} GiB are needed: free some, give the node a larger "
            "disk, or name a folder with SWEEP_CACHE (token arrays) or --temp-dir (Ray)",
        )
    if free < NOTE_FREE_GIB:
        return CheckResult.note("disk", f"{shown}, little for checkpoints and logs")
    return CheckResult.ok("disk", f"{free:.0f} GiB")


def _judge_cache(is_warm: bool) -> CheckResult:
    return CheckResult.ok(
        "cache", "warm" if is_warm else "cold, the first trial fetches the tokens"
    )


def _judge_clock(skew: float) -> CheckResult:
    shown = f"its clock is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} the driver's"
    if abs(skew) > FAIL_SKEW_SECONDS:
        return CheckResult.failed(
            "clock", f"{shown}: run a time service (chrony, systemd-timesyncd) on both"
        )
    if abs(skew) > NOTE_SKEW_SECONDS:
        return CheckResult.note("clock", f"{shown}; times in the record differ by that")
    return CheckResult.ok("clock", "the driver's")


def _judge_open_files(limit: int) -> CheckResult:
    if limit < NOTE_OPEN_FILES:
        detail = f"{limit} open files a process; `ulimit -n 65536` before `ray start`"
        return CheckResult.note("files", detail)
    return CheckResult.ok("files", f"{limit:,}")
