"""Record place: where in MLflow a sweep is recorded, and what its runs carry there (no I/O).

A spec and its paths come in; a value goes out, which a process that has MLflow is sent.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from sweeps.paths import SweepPaths
from sweeps.record.environment import user_name
from sweeps.record.notes import NOTE, experiment_note
from sweeps.record.tracking import is_server
from sweeps.record.views import experiment_tags
from sweeps.spec.values import SweepSpec


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordPlace:
    """One sweep in one MLflow experiment.

    Args:
        uri: Tracking URI.
        experiment: Experiment name; created where it is missing.
        is_own: Whether it is the record beside the sweep: runs that tell of no sweep, as earlier
            versions made them, are its own there.
        sweep: Tells the sweep's runs from those of another of its name.
        artifacts: Folder of the artifacts of a new experiment; None leaves the place to the server.
        common_tags: Tags every run carries.
        page: Tags of the experiment; what is there already stays, a person may have changed it.
    """

    uri: str
    experiment: str
    is_own: bool
    sweep: str = ""
    artifacts: Path | None = None
    common_tags: Mapping[str, str] = field(default_factory=dict)
    page: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls, spec: SweepSpec, paths: SweepPaths, *, sweep: str = "", commit: str | None = None
    ) -> Self:
        """The place that a spec names; `tracking.uri` null is SQLite beside the sweep.

        Args:
            spec: The sweep.
            paths: Its files.
            sweep: Tells it from another of its name on one server.
            commit: From `git_commit`.
        """
        uri = spec.tracking.uri
        return cls(
            uri=uri or paths.mlflow_uri,
            experiment=spec.name,
            is_own=uri in (None, paths.mlflow_uri),
            sweep=sweep,
            artifacts=None if uri is not None and is_server(uri) else paths.mlartifacts,
            common_tags=_common_tags(commit),
            page={**experiment_tags(), NOTE: experiment_note(spec.name)},
        )


def _common_tags(commit: str | None) -> dict[str, str]:
    """What `mlflow.start_run` would set and a client does not."""
    tags = {
        "mlflow.user": user_name(),
        "mlflow.source.name": "sweep",
        "mlflow.source.type": "LOCAL",
    }
    if commit is not None:
        tags["mlflow.source.git.commit"] = commit.removesuffix("+changes")
    return tags
