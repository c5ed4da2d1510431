"""A client of MLflow: quiet, with short timeouts, on a database that is whole; and its values."""

import logging
import os
import warnings
from typing import Any

from sweeps.record.datasets import Dataset
from sweeps.record.record_file import make_whole

_SETTINGS = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",  # default 120
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",  # default 7; the background thread retries instead
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_CONFIGURE_LOGGING": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}


def open_client(uri: str) -> Any:
    """A client, with mlflow's own log lines and telemetry off and short timeouts.

    Args:
        uri: Tracking URI; a SQLite file is created with its schema where it is missing.
    """
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    for logger in ("mlflow", "alembic", "urllib3.connectionpool"):
        logging.getLogger(logger).setLevel(logging.CRITICAL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from mlflow.tracking import MlflowClient

        make_whole(uri, MlflowClient)
        return MlflowClient(tracking_uri=uri)


def dataset_input(dataset: Dataset) -> Any:
    """A dataset as MLflow logs it to a run."""
    from mlflow.entities import Dataset as Described
    from mlflow.entities import DatasetInput, InputTag

    described = Described(
        name=dataset.name,
        digest=dataset.digest,
        source_type="corpus",
        source=dataset.source,
        profile=dataset.profile,
    )
    return DatasetInput(described, [InputTag("mlflow.data.context", dataset.context)])
