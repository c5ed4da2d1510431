"""Trainings and tokens as they were recorded: where they differ, a version must be raised."""

import json
from pathlib import Path

import pytest
import torch

from tests.golden import trainings
from ulm.text.token_folder import RULES_VERSION
from ulm.training import TRAINING_VERSION

pytestmark = pytest.mark.torch

RECORD = json.loads(Path(__file__).with_name("recorded.json").read_text(encoding="utf-8"))
ANEW = "record the numbers anew by `python -m tests.golden.trainings > tests/golden/recorded.json`"
TRAINING = ("training version", TRAINING_VERSION, "TRAINING_VERSION (ulm/training/__init__.py)")
RULES = ("rules version", RULES_VERSION, "RULES_VERSION (ulm/text/token_folder.py)")
# Other instruction sets (ATEN_CPU_CAPABILITY, MKL_CBWR, ONEDNN_MAX_CPU_ISA) move a loss by 4e-6 at
# most; each of 18 small changes of the code moved one by 1.9e-2 or more.
TOLERANCE = 1e-3


@pytest.fixture(scope="module")
def losses(tmp_path_factory):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield trainings.losses(tmp_path_factory.mktemp("golden"))
    torch.set_num_threads(threads)


def advice(what, version):
    name, now, place = version
    libraries = f"recorded with torch {RECORD['torch']}, this is {torch.__version__}"
    if now != RECORD[name]:
        return f"{what}, and {place} was raised to {now!r}: {ANEW}"
    return (
        f"{what}: what stores hold is not what this code would make. Raise {place}, now {now!r}, "
        f"then {ANEW} ({libraries})"
    )


@pytest.mark.skipif(
    not torch.backends.mkl.is_available(), reason="without MKL dropout is drawn otherwise"
)
@pytest.mark.parametrize("training", RECORD["losses"])
def test_the_same_settings_train_the_same_weights_as_when_they_were_recorded(losses, training):
    expected = pytest.approx(RECORD["losses"][training], rel=TOLERANCE)
    assert losses[training] == expected, advice(f"{training} has other losses", TRAINING)


def test_a_text_has_the_tokens_it_had_when_they_were_recorded():
    assert trainings.tokens() == RECORD["tokens"], advice("A text has other tokens", RULES)


def test_a_vocabulary_has_the_order_it_had_when_it_was_recorded():
    assert trainings.words() == RECORD["words"], advice("A vocabulary has another order", TRAINING)


@pytest.mark.parametrize(("name", "now", "place"), [TRAINING, RULES])
def test_the_record_is_of_this_version(name, now, place):
    assert RECORD[name] == now, f"{place} is {now!r}, recorded were {RECORD[name]!r}: {ANEW}"
