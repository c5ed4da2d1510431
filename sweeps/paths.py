"""Paths: every file of a sweep and of the storage it shares, in one place (pure).

A storage root and a sweep name come in; absolute paths go out. Storage may be a folder or an s3://
or gs:// URI. With a URI the local working copy lies under `./runs` (databases and reports need a
local disk) and `shared` names the counterpart of a local path on the shared storage. Options of a
URI (`?endpoint_override=...`) stay at its end, wherever a place below it is named.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from string import punctuation
from typing import Self
from urllib.parse import quote, unquote

from sweeps.errors import StorageError
from sweeps.spec.values import SweepSpec

LOCAL_COPY = "runs"
DRIVER_FILE = "driver.json"
SPENT_HOURS = "spent_budget_hours"  # in the summary of a run that ended by them
TESTS_LEFT_OUT = "test_documents_left_out_of_general_text"  # in one that has general text
SHARED_TEXT = "share_of_domain_in_general_text"  # test documents aside
LABEL_POOL = "documents_to_draw_labels_from"


def is_uri(place: str) -> bool:
    """Whether a place is a URI, e.g. s3://bucket/runs, and not a path of this machine."""
    return "://" in place


def below(place: str, *names: str) -> str:
    """A place below another: names are joined to its path; the options of a URI stay at the end.

    Args:
        place: Absolute path or URI of a folder.
        names: Names on the way, `/` within allowed; in a URI they are quoted, as in `größe`.
    """
    if not is_uri(place):
        return "/".join((place.rstrip("/"), *names))
    base, mark, options = place.partition("?")
    return "/".join((base.rstrip("/"), *map(quote, names))) + mark + options


@dataclass(frozen=True, kw_only=True, slots=True)
class SweepPaths:
    """Every path of one sweep.

    Args:
        storage: Folder, relative to the working directory, or an s3:// or gs:// URI. Made absolute
            here, because Ray Tune changes the working directory of its workers.
        name: Name of the sweep and of its folder.
    """

    storage: str
    name: str

    def __post_init__(self) -> None:
        if self.is_remote:
            normal = below(quote(self.storage, safe=punctuation))
        else:
            normal = os.path.abspath(Path(self.storage).expanduser())
        object.__setattr__(self, "storage", normal)

    @classmethod
    def of(cls, spec: SweepSpec) -> Self:
        """The paths of the sweep a spec describes."""
        return cls(storage=spec.storage, name=spec.name)

    @classmethod
    def at(cls, folder: Path) -> Self:
        """The paths of the sweep whose folder is given, e.g. `runs/demo`."""
        whole = folder.expanduser().absolute()
        return cls(storage=str(whole.parent), name=whole.name)

    @classmethod
    def at_uri(cls, uri: str) -> Self:
        """The paths of the sweep whose folder on shared storage is given, e.g. s3://bucket/demo.

        Raises:
            StorageError: No folder is named below the bucket.
        """
        base, mark, options = uri.partition("?")
        scheme, _, path = base.partition("://")
        storage, _, name = path.rstrip("/").rpartition("/")
        if not (storage and name):
            raise StorageError(
                f"a sweep must lie below a bucket, found {uri}; name it as s3://bucket/runs/demo"
            )
        return cls(storage=f"{scheme}://{storage}{mark}{options}", name=unquote(name))

    @property
    def is_remote(self) -> bool:
        """Whether the storage is a URI and not a folder of this machine."""
        return is_uri(self.storage)

    @property
    def root(self) -> Path:
        """Local folder that holds the sweeps, encoders and token arrays."""
        return Path(LOCAL_COPY).absolute() if self.is_remote else Path(self.storage)

    def shared(self, path: Path) -> str:
        """Where a path below `root` lies for all machines: itself, or its place below the URI."""
        if not self.is_remote:
            return str(path)
        return below(self.storage, path.relative_to(self.root).as_posix())

    @property
    def folder(self) -> Path:
        """The sweep's own folder."""
        return self.root / self.name

    @property
    def spec_json(self) -> Path:
        """The spec as it was last run."""
        return self.folder / "spec.json"

    @property
    def summary_json(self) -> Path:
        """Peak memory, wall time and versions of the last run."""
        return self.folder / "summary.json"

    @property
    def run_log(self) -> Path:
        """What its runs told, and why each ended."""
        return self.folder / "run.log"

    @property
    def driver_lock(self) -> Path:
        """Held by the one driver of the sweep."""
        return self.folder / "driver.lock"

    @property
    def driver_json(self) -> Path:
        """Process and machine of that driver, while it is at work."""
        return self.folder / DRIVER_FILE

    @property
    def ledger_db(self) -> Path:
        """SQLite file of Optuna's storage."""
        return self.folder / "ledger.db"

    @property
    def ledger_url(self) -> str:
        """SQLAlchemy URL of `ledger_db`."""
        return f"sqlite:///{self.ledger_db}"

    @property
    def mlflow_db(self) -> Path:
        """SQLite file of the MLflow record."""
        return self.folder / "mlflow.db"

    @property
    def mlflow_uri(self) -> str:
        """MLflow tracking URI of `mlflow_db`."""
        return f"sqlite:///{self.mlflow_db}"

    @property
    def mlartifacts(self) -> Path:
        """Folder of MLflow artifacts."""
        return self.folder / "mlartifacts"

    @property
    def ray(self) -> Path:
        """Ray Tune's storage; once a sweep has ended nothing in it is needed."""
        return self.folder / "ray"

    @property
    def temporary(self) -> Path:
        """Temporary files of the driver; gone when a run has ended."""
        return self.folder / "temporary"

    @property
    def predictions_folder(self) -> Path:
        """Per-document test predictions of `final`, one file per cell."""
        return self.folder / "predictions"

    def predictions(self, cell_id: str) -> Path:
        """Per-document test predictions of one cell."""
        return self.predictions_folder / f"{cell_id}.npz"

    @property
    def models(self) -> Path:
        """One classifier of each regime."""
        return self.folder / "models"

    @property
    def report(self) -> Path:
        """Folder of the report."""
        return self.folder / "report"

    @property
    def report_html(self) -> Path:
        """The report as a page."""
        return self.report / "report.html"

    @property
    def report_md(self) -> Path:
        """The report as Markdown."""
        return self.report / "report.md"

    @property
    def accuracy_png(self) -> Path:
        """Figure: test accuracy against domain size."""
        return self.report / "accuracy.png"

    @property
    def results_csv(self) -> Path:
        """One row per cell."""
        return self.report / "results.csv"

    def comparison_html(self, others: Sequence[str]) -> Path:
        """A page that shows this sweep beside others, given by name."""
        return self.report / f"beside-{'-and-'.join(others)}.html"

    @property
    def report_stamp(self) -> Path:
        """A digest of what the report was made from, and its files."""
        return self.folder / "report.json"

    @property
    def rates_json(self) -> Path:
        """What was measured of the machines that planned with this storage."""
        return self.root / "rates.json"

    @property
    def tokens(self) -> Path:
        """Token arrays, shared by all sweeps of this storage."""
        return self.root / "tokens"

    @property
    def encoders(self) -> Path:
        """Trained encoders, shared by all sweeps of this storage."""
        return self.root / "encoders"
