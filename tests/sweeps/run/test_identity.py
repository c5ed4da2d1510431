"""Identity: which trial a state is of; no Ray, unlike all else of checkpoints."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from tiny import tiny_spec

from sweeps.run import checkpoints
from sweeps.run.checkpoints import identity_of
from sweeps.run.context import TrialContext
from sweeps.search.records import StudyKey, TrialKey, TrialRequest
from sweeps.spec.cells import Stage, make_cells
from ulm import training

pytestmark = pytest.mark.torch


def test_a_state_belongs_to_every_attempt_of_one_trial_and_to_no_other(monkeypatch):
    study = StudyKey(cell_id="domain-n20-s0-12345678", stage=Stage.LANGUAGE_MODEL)
    spec = tiny_spec(Path("runs"))
    cells = make_cells(spec)
    cell = next(cell for cell in cells if not cell.is_general)
    general = next(cell for cell in cells if cell.is_general)
    request = TrialRequest(
        key=TrialKey(study=study, number=1), cell=cell, params={"learning_rate": 0.01}
    )
    context = TrialContext(
        spec=spec,
        domain=Path("reviews-1-rules1"),
        general=Path("wiki-1-rules1"),
        encoders="",
        predictions="",
        models="",
    )
    found = identity_of(request, context)
    again = replace(request, key=replace(request.key, attempt=2))
    assert identity_of(again, context) == found
    assert json.loads(json.dumps(found)) == found
    for other in (
        replace(request, key=replace(request.key, number=2)),
        replace(request, params={"learning_rate": 0.02}),
        replace(request, encoder="k"),
    ):
        assert identity_of(other, context) != found
    read_anew = replace(context, domain=Path("reviews-1-rules2"))
    assert identity_of(request, read_anew) != found
    of_general = replace(request, cell=general)
    general_found = identity_of(of_general, context)
    assert identity_of(of_general, read_anew) == general_found
    other_general = replace(context, general=Path("wiki-2-rules1"))
    assert identity_of(of_general, other_general) != general_found
    told = [found]
    monkeypatch.setattr(training, "TRAINING_VERSION", 0)
    told.append(identity_of(request, context))
    monkeypatch.setattr(checkpoints, "version", lambda package: f"another {package}")
    told.append(identity_of(request, context))
    assert len(set(map(json.dumps, told))) == len(told)
