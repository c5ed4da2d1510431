"""The loop over epochs, with a task whose losses are known beforehand."""

import pytest
import torch
from torch import nn

from ulm.training import epochs
from ulm.training.epochs import Epoch, Validation, run_epochs
from ulm.training.optimizer import GroupedAdamW

pytestmark = pytest.mark.torch

LOSSES = (3.0, 1.0, 2.0, 1.5)


class _Scripted:
    """Its weight is the number of the epoch; it keeps a random number of each."""

    def __init__(self):
        self.model = nn.Linear(1, 1, bias=False)
        self.optimizer = GroupedAdamW(self.model, [[self.model.weight]], weight_decay=0.0)
        self.drawn = {}

    def train_epoch(self, epoch):
        nn.init.constant_(self.model.weight, epoch)
        self.drawn[epoch] = float(torch.rand(()))
        return Epoch(steps=1, tokens=1, train_loss=1.0, learning_rate=0.1)

    def validate(self):
        return Validation(loss=LOSSES[int(self.model.weight.item()) - 1], accuracy=0.5)


class _SavesAfterThree:
    def __init__(self, path):
        self.path = path

    def after_epoch(self, report, save):
        if report.epoch == 3:
            save(self.path)
        return True


def _run(task, **changes):
    return run_epochs(
        task,
        num_epochs=len(LOSSES),
        seed=1,
        better=lambda report, best: report.validation_loss < best.validation_loss,
        **changes,
    )


@pytest.fixture
def whole_and_resumed(tmp_path):
    """A training that was never interrupted, and one that goes on after its third epoch."""
    whole, resumed = _Scripted(), _Scripted()
    return [
        (whole, _run(whole, listener=_SavesAfterThree(tmp_path / "state"))),
        (resumed, _run(resumed, resume_from=tmp_path / "state")),
    ]


def test_the_best_epoch_is_kept_though_training_was_resumed_after_a_worse_one(whole_and_resumed):
    for task, summary in whole_and_resumed:
        assert (summary.best_epoch, summary.validation_loss) == (2, 1.0)
        assert task.model.weight.item() == 2
        assert len(summary.history) == 4


def test_each_epoch_has_random_numbers_of_its_own_resumed_or_not(whole_and_resumed):
    (whole, _), (resumed, _) = whole_and_resumed
    assert len(set(whole.drawn.values())) == 4
    assert resumed.drawn == {4: whole.drawn[4]}


class _Clock:
    """Each time it is asked, which is twice an epoch, ten seconds have gone."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        self.now += 10.0
        return self.now


def test_steps_tokens_and_seconds_are_of_all_epochs_resumed_or_not(tmp_path, monkeypatch):
    monkeypatch.setattr(epochs.time, "perf_counter", _Clock())
    whole = _run(_Scripted(), listener=_SavesAfterThree(tmp_path / "state"))
    resumed = _run(_Scripted(), resume_from=tmp_path / "state")
    for summary in (whole, resumed):
        assert (summary.epochs, summary.steps, summary.tokens, summary.seconds) == (4, 4, 4, 40.0)
        assert [report.seconds for report in summary.history] == [10.0, 20.0, 30.0, 40.0]
        assert [report.tokens for report in summary.history] == [1, 2, 3, 4]
