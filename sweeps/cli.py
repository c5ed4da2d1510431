"""The command line: plan, run, status, report, advise, check.

Arguments come in, the other parts are called and what they answer is printed. Everything heavy is
imported inside the verb that needs it, so that `--help` and `status` answer at once. A user's
mistake ends as its message on stderr and exit code 2.
"""

import io
import os
import shlex
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from sweeps import opening
from sweeps.disk import full_disk, is_full
from sweeps.errors import SweepError
from sweeps.garbage import collect_rarely
from sweeps.passwords import redact_uri
from sweeps.programs import typed
from ulm.errors import UlmError

if TYPE_CHECKING:
    from rich.console import Console

    from sweeps.spec.values import SweepSpec

UNFIT = 1
USER_MISTAKE = 2
INTERRUPTED = 130


def _printable(text: str) -> str:
    """Without passwords, and with what no terminal can show (a file name's odd bytes) escaped."""
    return redact_uri(text).encode("utf-8", "backslashreplace").decode("utf-8")


class _Verbs(TyperGroup):
    """Turns a user's mistake into its message and exit code 2, Ctrl-C into exit code 130."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except (SweepError, UlmError) as error:
            typer.echo(_printable(str(error)), err=True)
            raise typer.Exit(USER_MISTAKE) from None
        except OSError as error:
            if not is_full(error):
                raise
            typer.echo(str(full_disk(os.getcwd())), err=True)
            raise typer.Exit(USER_MISTAKE) from None
        except KeyboardInterrupt:
            command = redact_uri(shlex.join([typed("sweep"), *sys.argv[1:]]))
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

SpecPath = Annotated[
    Path, typer.Argument(help="A YAML file, or a packaged spec: demo, imdb_small, imdb.")
]
RunFolder = Annotated[
    str, typer.Argument(help="Folder of a sweep: runs/demo, or s3://bucket/runs/demo.")
]
RunFolders = Annotated[
    list[str], typer.Argument(help="Folder of a sweep; two or more are shown side by side.")
]
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
ClusterFile = Annotated[
    Path | None,
    typer.Option("--cluster", metavar="FILE", help="Cluster YAML whose nodes have prices."),
]


@app.command()
def plan(
    spec: SpecPath,
    storage: Storage = None,
    settings: Settings = None,
    cluster: ClusterFile = None,
) -> None:
    """Show cells, trials, tokens, hours, storage, memory and money; train nothing."""
    from sweeps.paths import SweepPaths
    from sweeps.spec.bill import bill_warnings, make_bill
    from sweeps.spec.fleet import load_fleet, with_price
    from sweeps.spec.plan import budget_warnings, plan_rest, plan_sweep
    from sweeps.spec.sample import known_volumes
    from sweeps.tables import bill_lines, bill_table, plan_lines, plan_table, rest_line

    loaded = with_price(opening.load_asked(spec, storage, settings))
    paths = SweepPaths.of(loaded)
    volumes = known_volumes(loaded, paths.tokens)
    ledger = opening.recorded_ledger(paths, loaded)
    rates = opening.rates_of(paths, loaded, volumes, ledger, is_here=cluster is None)
    planned = plan_sweep(loaded, volumes=volumes, rates=rates)
    bill = None if cluster is None else make_bill(planned, loaded, load_fleet(cluster))
    console = _console()
    console.print(plan_table(planned))
    for line in plan_lines(planned, loaded.budget.price_per_accelerator_hour):
        console.print(line)
    if ledger is not None:
        rest = plan_rest(loaded, ledger.num_counted_in, volumes=volumes, rates=rates)
        console.print(rest_line(rest, ledger.num_left_out))
    if bill is not None:
        console.print(bill_table(bill))
        for line in bill_lines(bill):
            console.print(line)
        for line in bill_warnings(bill, loaded.resources):
            console.print(f"warning: {line}")
    wall_hours = opening.wall_hours_here(planned, loaded) if bill is None else bill.wall_hours
    for line in budget_warnings(planned, loaded, wall_hours):
        console.print(f"warning: {line}")


@app.command()
def run(
    spec: SpecPath,
    storage: Storage = None,
    settings: Settings = None,
    quiet: Quiet = False,
) -> None:
    """Train what is wanted and not recorded, then write the report; run again to go on."""
    from sweeps.spec.fleet import with_price

    loaded = with_price(opening.load_asked(spec, storage, settings))

    from sweeps.run.cluster import ray_ahead
    from sweeps.run.signals import terminated_like_interrupt

    with terminated_like_interrupt(), ray_ahead() as own_ray:  # while the rest is loaded
        from sweeps.live.progress import make_progress
        from sweeps.paths import SweepPaths
        from sweeps.run.launch import run_sweep
        from sweeps.search.listener import RunListener
        from sweeps.tables import run_lines

        listener = RunListener() if quiet else make_progress(loaded, sys.stdout)
        try:
            summary = run_sweep(loaded, listener, own_ray)
        finally:
            with suppress(OSError, ValueError):  # the terminal may be gone
                listener.finished()

    paths = SweepPaths.of(loaded)
    for line in (*run_lines(summary, paths, loaded), *summary.answer[:1]):
        typer.echo(line)


@app.command()
def status(
    folder: RunFolder,
    is_watched: Annotated[bool, typer.Option("--watch", help="Go on until it is over.")] = False,
) -> None:
    """Show every cell of a sweep: stages, trials, best scores, failures; or watch it being run."""
    from sweeps.tables import failure_lines, status_line, status_table

    paths, spec = opening.open_sweep(folder)
    if is_watched:
        from sweeps.live.watch import watch

        watch(spec, lambda: opening.look(paths, spec), _console())
        return
    from sweeps.live.board import Board

    ledger = opening.ledger_of(paths, spec)
    board = Board(spec, ledger.records, keep_running=True)
    board.spent = ledger.spent()
    console = _console()
    console.print(status_table(board))
    for line in failure_lines(board):
        console.print(line, markup=False, highlight=False)
    console.print(status_line(board))


@app.command()
def report(folders: RunFolders) -> None:
    """Write the report of a sweep anew from what is recorded; of several, them side by side."""
    from sweeps.answer.predictions import fetch_predictions
    from sweeps.writable import check_report_folder

    sweeps = [opening.open_sweep(folder) for folder in folders]
    opening.require_different(paths for paths, _ in sweeps)
    check_report_folder(sweeps[0][0])

    for paths, _ in sweeps:
        fetch_predictions(paths)
    if len(sweeps) > 1:
        from sweeps.report.comparison import write_comparison

        recorded = [(paths, opening.ledger_of(paths, spec)) for paths, spec in sweeps]
        typer.echo(f"report: {write_comparison(recorded)}")
        return
    from sweeps.report.page import write_report

    ((paths, spec),) = sweeps
    write_report(paths, opening.ledger_of(paths, spec))
    typer.echo(f"report: {paths.report_html}")


@app.command()
def advise(
    folder: RunFolder,
    target: Annotated[
        float | None,
        typer.Option(help="Accuracy to reach, above what one class scores, e.g. 0.85."),
    ] = None,
    budget_documents: Annotated[int | None, typer.Option(help="Documents in all.")] = None,
    price_per_document: Annotated[float | None, typer.Option(help="Money for one more.")] = None,
    price_per_gpu_hour: Annotated[
        float | None, typer.Option(help="Money for one accelerator hour.")
    ] = None,
    emit_spec: Annotated[
        Path | None, typer.Option(help="New file for a spec with more cells.")
    ] = None,
) -> None:
    """Say what to collect next, what it should bring, how sure that is, and when to stop."""
    from sweeps.advice.consult import advice_lines
    from sweeps.advice.question import Question

    question = Question(
        target=target,
        budget_documents=budget_documents,
        price_per_document=price_per_document,
        price_per_gpu_hour=price_per_gpu_hour,
    )
    paths, spec = opening.open_sweep(folder)
    for line in advice_lines(paths, opening.ledger_of(paths, spec), question, emit_spec):
        typer.echo(line)


@app.command()
def check(
    spec: OptionalSpecPath = None,
    storage: Storage = None,
    settings: Settings = None,
    cluster: OnCluster = False,
) -> None:
    """Look for what would stop a run: corpus, labels, sizes, storage, tracking; or every node."""
    loaded = None if spec is None else opening.load_asked(spec, storage, settings)
    if cluster:
        _check_cluster(loaded)
        return
    if loaded is None:
        raise SweepError("check needs a spec, found none; e.g. sweep check demo, or --cluster")
    from sweeps.checks import check_sweep
    from sweeps.tables import checks_table

    results = check_sweep(loaded)
    _console().print(checks_table(results))
    if any(found.result == "failed" for found in results):
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


def _console() -> "Console":
    from rich.console import Console

    # A pipe has no width of its own; rich would cut tables at 80 columns.
    return Console(highlight=False, width=None if sys.stdout.isatty() else 160)


def main() -> None:
    """Run the command line of this process."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # where it is not UTF-8; stderr escapes by itself
    collect_rarely()
    app()


if __name__ == "__main__":
    main()
