"""A whole sweep whose encoders rot: all that is real but Tune, which only passes results on."""

import shutil

import pytest
from tiny import context_of, tiny_spec

from sweeps.answer.results import make_rows
from sweeps.record.recorder import ListRecorder
from sweeps.run.encoders import EncoderStore
from sweeps.run.ending import ending_of
from sweeps.run.stages import run_trial
from sweeps.search.control import Control
from sweeps.search.listener import RunListener
from sweeps.search.messages import REQUEST, load_request
from sweeps.search.suggestions import InMemoryStudies
from sweeps.spec.cells import Stage, make_cells
from sweeps.spec.fleet import Slots
from ulm.regimes import Regime

pytestmark = [pytest.mark.ray, pytest.mark.torch]


class Told(RunListener):
    def __init__(self):
        self.messages = []

    def message(self, text):
        self.messages.append(text)


def run(spec, context, before_trial):
    """Every trial of a sweep, one after another; returns its control and what it told."""
    from sweeps.search.bridge import Bridge
    from sweeps.search.searcher import SweepSearcher

    cells, told = make_cells(spec), Told()
    recorder = ListRecorder(spec=spec, cells=cells)
    control = Control(spec, cells, InMemoryStudies(), lambda: recorder, told)
    bridge = Bridge(control, Slots(total=1, neural=1))
    searcher, store, number = SweepSearcher(bridge), EncoderStore(context.encoders), 0
    while (config := searcher.suggest(str(number))) != "FINISHED":
        request = load_request(config[REQUEST])
        before_trial(request)
        ending = ending_of(
            lambda parts, request=request: run_trial(
                request, context, store, lambda p, save, key=request.key: control.report(key, p)
            ),
            place=context.encoders,
        )
        searcher.on_trial_complete(str(number), result=ending)
        number += 1
    assert (bridge.error, bridge.unfit) == (None, None)
    return control, told.messages


def scores(spec, control):
    rows = make_rows(control.ledger)
    return [(row.cell, row.status, row.lm_loss, row.test_accuracy) for row in rows]


def cut(folder):
    file = folder / "encoder.safetensors"
    file.write_bytes(file.read_bytes()[:-100])


def flip(folder):
    file = folder / "encoder.safetensors"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def remove(folder):
    shutil.rmtree(folder)


@pytest.mark.parametrize("damage", [cut, flip, remove])
def test_every_encoder_is_lost_before_its_classifier_and_the_table_stays(tmp_path, damage):
    spec = tiny_spec(tmp_path / "runs", regimes=(Regime.DOMAIN, Regime.ULM_DOMAIN), sizes=(20,))
    context = context_of(spec, tmp_path / "tokens")
    expected = scores(spec, run(spec, context, lambda request: None)[0])
    shutil.rmtree(context.encoders)
    damaged = set()

    def damage_once(request):
        is_first = request.encoder is not None and request.encoder not in damaged
        if request.key.study.stage is Stage.CLASSIFIER and is_first:
            damaged.add(request.encoder)
            damage(tmp_path / "runs" / "encoders" / request.encoder)

    control, messages = run(spec, context, damage_once)
    assert scores(spec, control) == expected
    assert len(damaged) == len(messages) == 2
    assert all(message.endswith("; it is trained again") for message in messages)
    attempts = [record.key.attempt for record in control.ledger.attempts if record.outcome]
    assert attempts.count(1) == 2 + 2, "two language models, and the classifiers that met the loss"
