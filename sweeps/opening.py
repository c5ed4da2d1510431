"""Opening: what the verbs of the command line begin with: a spec, a sweep's folder, its ledger.

Arguments come in as they were typed; specs, paths, ledgers go out, or an error that says what to
correct. Everything heavy is imported inside the function that needs it.
"""

import json
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from sweeps.arguments import project_folder, sweep_folder
from sweeps.defaults import spec_defaults
from sweeps.errors import StorageError, SweepError
from ulm.processors import processors

if TYPE_CHECKING:
    from sweeps.live.watch import Sight
    from sweeps.paths import SweepPaths
    from sweeps.search.ledger import Ledger
    from sweeps.spec.plan import SweepPlan
    from sweeps.spec.rates import Rates
    from sweeps.spec.values import SweepSpec
    from sweeps.spec.volume import Volumes


def load_asked(path: Path, storage: str | None, settings: list[str] | None) -> "SweepSpec":
    """The spec of a file or package name, with the values of `--storage` and `--set` in it."""
    from sweeps.spec.load import load_spec

    overrides: dict[str, str] = {}
    for setting in settings or ():
        key, separator, value = setting.partition("=")
        if not separator or not key:
            raise SweepError(f"--set must be KEY=VALUE, found {setting!r}; e.g. --set seeds=5")
        overrides[key.strip()] = value
    if storage is not None:
        overrides["storage"] = json.dumps(storage)
    return load_spec(path, overrides, project_folder(os.environ), spec_defaults(os.environ))


def open_sweep(folder: str) -> tuple["SweepPaths", "SweepSpec"]:
    """Paths and spec of a sweep that was run, from its folder or its place in a bucket."""
    from sweeps.paths import SweepPaths, is_uri
    from sweeps.spec.load import load_recorded
    from sweeps.writable import check_name

    if is_uri(folder):
        from sweeps.run.recovery import take_back

        paths = SweepPaths.at_uri(folder)
        take_back(paths, typer.echo)
    else:
        paths = SweepPaths.at(sweep_folder(Path(folder), os.environ))
    if not paths.spec_json.is_file():
        raise StorageError(
            f"{folder} must be the folder of a sweep, found no {paths.spec_json.name} in it; "
            "name a folder that `sweep run` made, e.g. runs/demo"
        )
    check_name(paths)
    spec = load_recorded(paths.spec_json)
    if spec.ledger.url is None and not paths.ledger_db.is_file():
        raise StorageError(
            f"{folder} must hold the ledger of its sweep, found no {paths.ledger_db.name} in it: "
            "put it back; `sweep run` begins the sweep anew"
        )
    return paths, spec


def require_different(sweeps: Iterable["SweepPaths"]) -> None:
    """Refuse to hold a sweep against itself."""
    folders = [paths.folder.resolve() for paths in sweeps]
    twice = [folder for folder in folders if folders.count(folder) > 1]
    if twice:
        raise SweepError(f"report must be given different sweeps, found {twice[0]} twice")


def look(paths: "SweepPaths", spec: "SweepSpec") -> "Sight":
    """What `status --watch` sees of a sweep now."""
    from sweeps.live.watch import Sight
    from sweeps.run.driver import has_driver
    from sweeps.run.recovery import take_back

    take_back(paths, lambda line: None)  # the screen shows what it brings
    ledger = ledger_of(paths, spec)
    return Sight(
        records=ledger.records, spent=ledger.spent(time.time()), has_driver=has_driver(paths)
    )


def ledger_of(paths: "SweepPaths", spec: "SweepSpec") -> "Ledger":
    """The ledger of a sweep, to be asked; empty where it was never run.

    Nothing runs in that of a driver that is gone.
    """
    from sweeps.run.driver import has_driver
    from sweeps.search.studies import read_ledger

    ledger = read_ledger(paths, spec)
    if not has_driver(paths):
        ledger.stopped()
    return ledger


def recorded_ledger(paths: "SweepPaths", spec: "SweepSpec") -> "Ledger | None":
    """The ledger of a sweep that was run; None where none was, which loads nothing heavy."""
    return ledger_of(paths, spec) if paths.spec_json.is_file() else None


def rates_of(
    paths: "SweepPaths",
    spec: "SweepSpec",
    volumes: "Volumes",
    ledger: "Ledger | None",
    *,
    is_here: bool,
) -> "Rates | None":
    """What its trials took, else what this machine was measured to; None where neither is known.

    Args:
        paths: Of the sweep.
        spec: The sweep.
        volumes: Sizes of its corpora.
        ledger: Its ledger, where it was run.
        is_here: Whether it would run on this machine.
    """
    from sweeps.answer.costs import recorded_rates
    from sweeps.run.calibration import calibrated

    if ledger is not None:
        recorded = recorded_rates(spec, ledger.records, volumes)
        if recorded is not None:
            return recorded
    return calibrated(spec, volumes, paths) if is_here else None


def wall_hours_here(plan: "SweepPlan", spec: "SweepSpec") -> float:
    """From the first trial to the last on this machine's CPUs; the least it can be on GPUs."""
    if spec.resources.gpus:
        return plan.chain_hours
    at_once = max(1, processors() // spec.resources.cpus)
    return max(plan.chain_hours, plan.total.hours / at_once)
