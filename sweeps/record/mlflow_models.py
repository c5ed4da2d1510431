"""MLflow models: a fitted classifier as a `python_function` model that stands alone.

A model's folder comes in; a logged model with signature, example, code and requirements goes out.
The code is `ulm` alone and nothing is pickled, so that serving needs neither sweeps nor trust.
"""

import json
import tempfile
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from sweeps.record.models import FittedModel
from sweeps.record.notes import NOTE, model_note
from ulm import serving
from ulm.labeller import MANIFEST_FILE

DIGEST_TAG = "ulm.digest"
MODEL_TAG = "ulm.model"
EXAMPLES = ("This text is here as an example.", "Put one of your own in its place!")
LIBRARIES = ("torch", "numpy", "safetensors", "fastai", "spacy", "pandas", "filelock")
BAG_LIBRARIES = ("scikit-learn", "scipy")


def model_name(regime: str) -> str:
    """Name of the model of a regime."""
    return f"{regime} classifier"


def log_model(
    client: Any,
    experiment: str,
    run_id: str,
    model: FittedModel,
    *,
    tags: Mapping[str, str],
    is_ours: Callable[[Mapping[str, str]], bool],
) -> None:
    """Log a model with its run, in place of an earlier one of its sweep and regime.

    Args:
        client: An `MlflowClient`.
        experiment: Id of the experiment.
        run_id: Run of the model's cell.
        model: The model.
        tags: Tags of the sweep's models.
        is_ours: Whether a model with these tags is the sweep's.
    """
    digest = f"{model.cell} {model.digest}"
    name = model_name(model.regime)
    for other in client.search_logged_models([experiment], filter_string=f"name = '{name}'"):
        if not is_ours(other.tags):
            continue
        is_same = other.tags.get(DIGEST_TAG) == digest and other.source_run_id == run_id
        if is_same and other.status == "READY":
            return
        client.delete_logged_model(other.model_id)
    with tempfile.TemporaryDirectory(prefix="mlflow-model-") as folder:
        whole = Path(folder) / "model"
        save_model(model, whole)
        whole_tags = {**tags, DIGEST_TAG: digest, "ulm.cell": model.cell, NOTE: model_note(model)}
        _upload(client, experiment, run_id, model, whole, whole_tags)


def _upload(
    client: Any,
    experiment: str,
    run_id: str,
    model: FittedModel,
    folder: Path,
    tags: dict[str, str],
) -> None:
    from mlflow.entities import LoggedModelOutput

    logged = client.create_logged_model(
        experiment,
        name=model_name(model.regime),
        source_run_id=run_id,
        tags=tags,
        params={"regime": model.regime, "test_accuracy": f"{model.accuracy:.4f}"},
        model_type="text classification",
    )
    client.log_model_artifacts(logged.model_id, str(folder))
    client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, 0)])
    client.set_tag(run_id, MODEL_TAG, f"models:/{logged.model_id}")
    client.finalize_logged_model(logged.model_id, "READY")  # last: before, it counts as unfinished


def save_model(model: FittedModel, folder: Path) -> None:
    """Write a model as MLflow reads it.

    Args:
        model: The model.
        folder: Where to; made here.
    """
    import mlflow.pyfunc
    import pandas as pd
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    labels = json.loads((model.folder / MANIFEST_FILE).read_text(encoding="utf-8"))["labels"]
    probabilities = [ColSpec("double", serving.probability_column(label)) for label in labels]
    mlflow.pyfunc.save_model(
        str(folder),
        loader_module=serving.__name__,
        data_path=str(model.folder),
        code_paths=[str(Path(serving.__file__).parent)],
        signature=ModelSignature(
            inputs=Schema([ColSpec("string", serving.TEXT)]),
            outputs=Schema([ColSpec("string", serving.LABEL), *probabilities]),
        ),
        input_example=pd.DataFrame({serving.TEXT: list(EXAMPLES)}),
        pip_requirements=[f"{name}=={version(name)}" for name in _libraries(model)],
        metadata={"cell": model.cell, "test_accuracy": model.accuracy},
    )


def _libraries(model: FittedModel) -> tuple[str, ...]:
    return (*LIBRARIES, *BAG_LIBRARIES) if model.regime == "bow" else LIBRARIES
