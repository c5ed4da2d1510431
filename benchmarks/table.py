"""The table that benchmark scripts share: what, against what, what was to be reached, measured.

A script ends with `print_table` over `Row` values; `bench.py` runs scripts one after the other,
reads their rows back with `read_rows` and prints them as one table. A `Ratio` is a speed-up
measured interleaved: the two sides take turns, so that a slow minute of the machine hits both.

A process has one thread, as a trial of a sweep has where nothing else is said (`resources.cpus`);
`OMP_NUM_THREADS` says otherwise. On a machine that others use, `BENCH_BUSY=1` counts processor
seconds instead of wall seconds; the line above each table says which.
"""

import contextlib
import multiprocessing
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from multiprocessing.connection import Connection
from pathlib import Path

HEADER = "| what | against | reach | measured | reached |"
RULE = "| :--- | :--- | :--- | :--- | :--- |"
BUSY = os.environ.get("BENCH_BUSY") == "1"
THREADS = int(os.environ.setdefault("OMP_NUM_THREADS", "1"))  # for processes started from here
clock = time.process_time if BUSY else time.perf_counter
PAUSE_SECONDS = 0.5  # idle threads of the other side spin for a while
VERDICTS = {"yes": True, "NO": False, "-": None}


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One line of the table.

    Args:
        what: What was measured, sizes included.
        against: What it was compared with in the same run.
        reach: What was to be reached, in words.
        measured: What was found, in words.
        reached: Whether it was; None where nothing was to be reached or it can not run here.
    """

    what: str
    against: str
    reach: str
    measured: str
    reached: bool | None = None

    def __str__(self) -> str:
        verdict = next(word for word, value in VERDICTS.items() if value is self.reached)
        cells = (self.what, self.against, self.reach, self.measured, verdict)
        return "| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |"


@dataclass(frozen=True, kw_only=True, slots=True)
class Ratio:
    """How many times faster ours is.

    Args:
        ours: Seconds of each round.
        theirs: Seconds of the other side in the same rounds, for the same work.
    """

    ours: tuple[float, ...]
    theirs: tuple[float, ...]

    @property
    def median(self) -> float:
        """Median over the rounds of the ratio within each round."""
        return statistics.median(self._ratios)

    @property
    def _ratios(self) -> list[float]:
        return [b / a for a, b in zip(self.ours, self.theirs, strict=True)]

    def __str__(self) -> str:
        ratios = self._ratios
        return f"{self.median:.2f} × ({min(ratios):.2f}–{max(ratios):.2f}, {len(ratios)} rounds)"


def interleaved(
    ours: Callable[[], object], theirs: Callable[[], object], *, rounds: int = 5
) -> Ratio:
    """Seconds of two functions that take turns, after one call of each that is not counted.

    A function may return the seconds that count; else the whole call does.
    """
    return all_interleaved([ours], theirs, rounds=rounds)[0]


def all_interleaved(
    ours: Sequence[Callable[[], object]], theirs: Callable[[], object], *, rounds: int = 5
) -> list[Ratio]:
    """The same for several of ours, which share each turn of the other side."""
    sides = [*ours, theirs]
    turns = [[timed(side) for side in sides] for _ in range(rounds + 1)]
    *seconds, their_seconds = zip(*turns[1:], strict=True)
    return [Ratio(ours=each, theirs=their_seconds) for each in seconds]


class Side:
    """One side of a ratio in a process of its own: neither inherits the other's memory or threads.

    Args:
        make: Called there; gives the function to time.
        arguments: What `make` is called with.
    """

    def __init__(self, make: Callable[..., Callable[[], object]], *arguments: object) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, make, arguments), daemon=True)
        self._process.start()

    def __call__(self) -> float:
        """Seconds of one call."""
        time.sleep(PAUSE_SECONDS)
        self._pipe.send(None)
        seconds: float = self._pipe.recv()
        return seconds


def _serve(
    pipe: Connection, make: Callable[..., Callable[[], object]], arguments: tuple[object, ...]
) -> None:
    function = make(*arguments)
    with contextlib.suppress(EOFError):  # the other end is no longer needed
        while True:
            pipe.recv()
            pipe.send(timed(function))


def timed(function: Callable[[], object]) -> float:
    """Seconds of one call, or what it returns where that is a float."""
    begin = clock()
    result = function()
    return result if isinstance(result, float) else clock() - begin


def machine(*packages: str) -> str:
    """Hardware and versions, for the line above a table."""
    versions = ", ".join(f"{name} {_version(name)}" for name in packages)
    gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    seconds = "processor seconds (BENCH_BUSY)" if BUSY else "wall seconds"
    return (
        f"{processor()}, {os.cpu_count()} processors, {gib:.0f} GiB · "
        f"python {platform.python_version()}, {versions} · {seconds}, threads: {THREADS}"
    )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # a GPU machine has torch, and may have no fastai
        return "absent"


def processor() -> str:
    """Name of the processor."""
    file = Path("/proc/cpuinfo")
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def print_table(rows: Iterable[Row]) -> None:
    """Prints rows as they come."""
    print(HEADER, RULE, sep="\n", flush=True)
    for row in rows:
        print(row, flush=True)


def read_rows(lines: Iterable[str]) -> list[Row]:
    """The rows among the lines a script printed."""
    rows: list[Row] = []
    for line in lines:
        cells = [cell.strip() for cell in line.strip().strip("|").split(" | ")]
        if line.startswith("| ") and len(cells) == 5 and cells[-1] in VERDICTS:
            what, against, reach, measured, verdict = cells
            rows.append(
                Row(
                    what=what,
                    against=against,
                    reach=reach,
                    measured=measured,
                    reached=VERDICTS[verdict],
                )
            )
    return rows


def summary(rows: list[Row]) -> str:
    """Which rows fall short."""
    short = [row.what for row in rows if row.reached is False]
    judged = sum(row.reached is not None for row in rows)
    lines = [f"{judged - len(short)} of {judged} rows reached."]
    return "\n".join(lines + [f"falls short: {what}" for what in short])
