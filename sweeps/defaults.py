"""Defaults: what a machine says where a spec says nothing (pure).

Environment variables come in; defaults for keys of the spec go out. A command line and a spec come
first; both keys are free to change, so that a sweep goes on wherever it is run.
"""

import json
from collections.abc import Mapping

from sweeps.arguments import STORAGE_VARIABLE

TRACKING_VARIABLE = "MLFLOW_TRACKING_URI"
_VARIABLES = {"storage": STORAGE_VARIABLE, "tracking.uri": TRACKING_VARIABLE}


def spec_defaults(environment: Mapping[str, str]) -> dict[str, str]:
    """Dotted key → value as YAML text, for keys whose variable is set and not empty."""
    told = {key: environment.get(variable) for key, variable in _VARIABLES.items()}
    return {key: json.dumps(value) for key, value in told.items() if value}
