"""The command line: plan, run, status, report, check.

Arguments come in, the other parts are called and what they answer is printed. Everything heavy is
imported inside the verb that needs it, so that `--help`, `plan` and `status` answer at once. A
user's mistake ends as its message on stderr and exit code 2.
"""

import json
import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from sweeps.arguments import project_folder, sweep_folder
from sweeps.errors import StorageError, SweepError
from ulm.errors import UlmError

if TYPE_CHECKING:
    from rich.console import Console

    from sweeps.paths import SweepPaths
    from sweeps.run.launch import RunSummary
    from sweeps.search.records import TrialRecord
    from sweeps.spec.values import SweepSpec

UNFIT = 1
USER_MISTAKE = 2
INTERRUPTED = 130


class _Verbs(TyperGroup):
    """Turns a user's mistake into its message and exit code 2, Ctrl-C into exit code 130."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except (SweepError, UlmError) as error:
            typer.echo(str(error), err=True)
            raise typer.Exit(USER_MISTAKE) from None
        except KeyboardInterrupt:
            command = shlex.join(["sweep", *sys.argv[1:]])
            typer.echo(f"interrupted; go on with: {command}", err=True)
            raise typer.Exit(INTERRUPTED) from None


app = typer.Typer(
    cls=_Verbs,
    name="sweep",
    help="How much unlabelled text must be collected before transfer learning pays off?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

SpecPath = Annotated[Path, typer.Argument(help="A YAML file, or a packaged spec: demo, imdb.")]
RunFolder = Annotated[Path, typer.Argument(help="Folder of a sweep, e.g. runs/demo.")]
Storage = Annotated[str | None, typer.Option(help="Folder or s3://, gs:// URI of the sweeps.")]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Another value for a key of the spec."),
]
OptionalSpecPath = Annotated[
    Path | None, typer.Argument(help="As for run; with --cluster it may be left out.")
]
OnCluster = Annotated[
    bool, typer.Option("--cluster", help="Look at every node of the cluster this machine is in.")
]
Quiet = Annotated[bool, typer.Option("--quiet", help="Show no progress.")]
Price = Annotated[float | None, typer.Option(min=0.0, help="Money for one accelerator hour.")]
ClusterFile = Annotated[
    Path | None,
    typer.Option("--cluster", metavar="FILE", help="Cluster YAML whose nodes have prices."),
]


@app.command()
def plan(
    spec: SpecPath,
    storage: Storage = None,
    settings: Settings = None,
    price: Price = None,
    cluster: ClusterFile = None,
) -> None:
    """Show cells, trials, tokens, hours, storage, memory and money; train nothing."""
    from sweeps.paths import SweepPaths
    from sweeps.spec.bill import make_bill
    from sweeps.spec.fleet import load_fleet
    from sweeps.spec.plan import plan_sweep
    from sweeps.spec.volume import stored_volumes
    from sweeps.tables import bill_lines, bill_table, plan_lines, plan_table

    loaded = _load(spec, storage, settings)
    paths = SweepPaths.of(loaded)
    volumes = stored_volumes(loaded, paths.tokens)
    planned = plan_sweep(loaded, volumes=volumes, rate=_rate(paths, loaded))
    bill = None if cluster is None else make_bill(planned, loaded, load_fleet(cluster))
    console = _console()
    console.print(plan_table(planned))
    known = loaded.budget.price_per_accelerator_hour if price is None else price
    for line in plan_lines(planned, known):
        console.print(line)
    if bill is not None:
        console.print(bill_table(bill))
        for line in bill_lines(bill):
            console.print(line)


@app.command()
def run(
    spec: SpecPath, storage: Storage = None, settings: Settings = None, quiet: Quiet = False
) -> None:
    """Train what is wanted and not recorded, then write the report; run again to go on."""
    loaded = _load(spec, storage, settings)

    from sweeps.paths import SweepPaths
    from sweeps.progress import QuietProgress, make_progress
    from sweeps.run.launch import run_sweep

    paths = SweepPaths.of(loaded)
    listener = (
        QuietProgress() if quiet else make_progress(loaded, sys.stdout, _records(paths, loaded))
    )
    try:
        summary = run_sweep(loaded, listener)
    finally:
        listener.finished()
    for line in _run_lines(summary, paths, loaded):
        typer.echo(line)


@app.command()
def status(folder: RunFolder) -> None:
    """Show every cell of a sweep: stages, trials, best scores."""
    from sweeps.tables import status_line, status_table

    paths, spec = _open(folder)
    records = _records(paths, spec)
    console = _console()
    console.print(status_table(spec, records))
    console.print(status_line(spec, records))


@app.command()
def report(folder: RunFolder) -> None:
    """Write the report of a sweep anew from what is recorded."""
    paths, spec = _open(folder)

    from sweeps.answer.report import write_report

    write_report(paths, spec, _records(paths, spec))
    typer.echo(f"report: {paths.report_html}")


@app.command()
def check(
    spec: OptionalSpecPath = None,
    storage: Storage = None,
    settings: Settings = None,
    cluster: OnCluster = False,
) -> None:
    """Look for what would stop a run: corpus, labels, sizes, storage, tracking; or every node."""
    loaded = None if spec is None else _load(spec, storage, settings)
    if cluster:
        _check_cluster(loaded)
        return
    if loaded is None:
        raise SweepError("check needs a spec, found none; e.g. sweep check demo, or --cluster")
    from sweeps.checks import check_sweep
    from sweeps.tables import findings_table

    findings = check_sweep(loaded)
    _console().print(findings_table(findings))
    if any(finding.result == "failed" for finding in findings):
        raise typer.Exit(USER_MISTAKE)


def _check_cluster(spec: "SweepSpec | None") -> None:
    from sweeps.run.doctor import examine_cluster
    from sweeps.tables import diagnoses_table

    diagnoses = examine_cluster(spec, os.environ)
    _console().print(diagnoses_table(diagnoses))
    for line in (line for diagnosis in diagnoses for line in diagnosis.notes):
        typer.echo(f"note: {line}")
    failures = [line for diagnosis in diagnoses for line in diagnosis.failures]
    for line in failures:
        typer.echo(line, err=True)
    if failures:
        raise typer.Exit(UNFIT)


def _load(path: Path, storage: str | None, settings: list[str] | None) -> "SweepSpec":
    from sweeps.spec.load import load_spec

    overrides: dict[str, str] = {}
    for setting in settings or ():
        key, separator, value = setting.partition("=")
        if not separator or not key:
            raise SweepError(f"--set must be KEY=VALUE, found {setting!r}; e.g. --set seeds=5")
        overrides[key.strip()] = value
    if storage is not None:
        overrides["storage"] = json.dumps(storage)
    return load_spec(path, overrides, project_folder(os.environ))


def _open(folder: Path) -> tuple["SweepPaths", "SweepSpec"]:
    from sweeps.paths import SweepPaths
    from sweeps.spec.load import load_recorded

    paths = SweepPaths.at(sweep_folder(folder, os.environ))
    if not paths.spec_json.is_file():
        raise StorageError(
            f"{folder} must be the folder of a sweep, found no {paths.spec_json.name} in it; "
            "name a folder that `sweep run` made, e.g. runs/demo"
        )
    return paths, load_recorded(paths.spec_json)


def _records(paths: "SweepPaths", spec: "SweepSpec") -> tuple["TrialRecord", ...]:
    from sweeps.search.studies import read_records

    return read_records(paths, spec)


def _rate(paths: "SweepPaths", spec: "SweepSpec") -> float | None:
    if not paths.ledger_db.is_file():
        return None
    from sweeps.spec.cells import Stage
    from sweeps.spec.cost import measured_rate

    outcomes = [
        record.outcome
        for record in _records(paths, spec)
        if record.key.study.stage is Stage.LANGUAGE_MODEL and record.outcome is not None
    ]
    return measured_rate(
        spec, [(o.metrics.get("tokens", 0.0), o.metrics.get("seconds", 0.0)) for o in outcomes]
    )


def _run_lines(summary: "RunSummary", paths: "SweepPaths", spec: "SweepSpec") -> list[str]:
    trained = _trained(summary)
    return [
        trained,
        f"peak memory: {summary.memory}",
        *(f"tokenised once, {line}" for line in summary.tokenising),
        f"report: {paths.report_html}",
        f"record: {_record(paths, spec)}",
    ]


def _trained(summary: "RunSummary") -> str:
    recorded, wanted = summary.num_recorded, summary.num_wanted
    if summary.num_trained > 0:
        reused = recorded - summary.num_trained
        return f"trained {summary.num_trained} trials, {reused} were recorded before"
    if recorded >= wanted:
        return f"nothing to train: all {recorded} trials are recorded"
    return f"nothing trained: {recorded} of {wanted} trials are recorded, the report says why"


def _record(paths: "SweepPaths", spec: "SweepSpec") -> str:
    """Where the MLflow record is seen: a server's address, or the line that opens a database."""
    from sweeps.record.environment import redact_uri

    uri = redact_uri(spec.tracking.uri or paths.mlflow_uri)
    is_server = uri.startswith(("http://", "https://", "databricks"))
    return uri if is_server else f"mlflow ui --backend-store-uri {shlex.quote(uri)}"


def _console() -> "Console":
    from rich.console import Console

    # A pipe has no width of its own; rich would cut tables at 80 columns.
    return Console(highlight=False, width=None if sys.stdout.isatty() else 160)


def main() -> None:
    """Run the command line of this process."""
    app()


if __name__ == "__main__":
    main()
