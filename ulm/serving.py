"""Serving: a labeller behind the interface of MLflow's `python_function` models.

A table with a column `text` comes in; one row each with `label` and the probability of every class
goes out. MLflow imports this file by name and needs nothing of sweeps.
"""

from typing import Any

from ulm.labeller import Labeller, load_labeller

TEXT, LABEL = "text", "label"


def probability_column(label: str) -> str:
    """Name of the column with the probability of a class."""
    return f"probability {label}"


class ServedLabeller:
    """What MLflow calls.

    Args:
        labeller: The classifier.
    """

    def __init__(self, labeller: Labeller) -> None:
        self._labeller = labeller

    def predict(self, model_input: Any, params: Any = None) -> Any:
        """Label every text.

        Args:
            model_input: A pandas table with a column `text`.
            params: MLflow's; there are none.

        Returns:
            A pandas table with a row per text.

        Raises:
            LabellerError: A text is missing.
        """
        import pandas as pd

        labels = self._labeller.labels
        probabilities = self._labeller.probabilities(model_input[TEXT])
        columns = {probability_column(name): probabilities[:, i] for i, name in enumerate(labels)}
        best = [labels[i] for i in probabilities.argmax(1)]
        return pd.DataFrame({LABEL: best, **columns}).astype(
            {probability_column(name): "float64" for name in labels}
        )


def _load_pyfunc(path: str) -> ServedLabeller:
    return ServedLabeller(load_labeller(path))
