"""What the steps of an epoch are given, and which gradients they follow."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tests.ulm.fastai_reference import WORDS, random_documents, small_encoder
from tests.ulm.spies import spied
from ulm.model import lstm
from ulm.model.architecture import LANGUAGE_MODEL_DROPOUTS, flat
from ulm.model.encoder import build_language_model
from ulm.model.precision import cpu_has_bf16
from ulm.training.batches import BUCKET_BATCHES, bucketed, pad_documents
from ulm.training.classifier import ClassifierSettings, ClassifierTask
from ulm.training.language_model import LanguageModelSettings, LanguageModelTask

pytestmark = pytest.mark.torch

LANGUAGE_MODEL = LanguageModelSettings(batch=4, bptt=10, learning_rate=1e-2)
CLASSIFIER = ClassifierSettings(batch=6, bptt=10, gradual=False)
CPU = torch.device("cpu")


def language_model(**changes):
    return LanguageModelTask(
        build_language_model(small_encoder(), LANGUAGE_MODEL_DROPOUTS),
        random_documents(20, seed=1),
        random_documents(4, seed=2),
        replace(LANGUAGE_MODEL, **changes),
        seed=3,
        num_epochs=2,
        device=CPU,
    )


def classifier(**changes):
    return ClassifierTask(
        small_encoder(),
        random_documents(40, seed=1, longest=30),
        np.arange(40) % 2,
        None,
        replace(CLASSIFIER, **changes),
        num_classes=2,
        seed=3,
        device=CPU,
    )


def _regularised(loss, raw, out):
    return loss + 2 * out.square().mean() + raw.diff(dim=1).square().mean()


def _gradients(monkeypatch, task, step):
    """Those that a step leaves to the optimiser."""
    monkeypatch.setattr(task.optimizer, "step", lambda: None)
    torch.manual_seed(0)
    step()
    return [parameter.grad for parameter in task.model.parameters()]


@pytest.mark.parametrize("clip", [None, 0.1, 10.0])
def test_a_language_model_follows_its_regularised_loss_no_further_than_the_clip(monkeypatch, clip):
    task = language_model(clip=clip)
    model, state = task.model.train(), task.model.encoder.initial_state(4)
    ids = torch.from_numpy(np.random.default_rng(0).integers(9, len(WORDS.words), (4, 11)))
    inputs, targets = ids[:, :-1], ids[:, 1:]
    found = _gradients(monkeypatch, task, lambda: task.step(inputs, targets, state, 0.5))
    torch.manual_seed(0)
    raw, out, _ = model(inputs, state)
    scores = F.linear(out, model.encoder.embedding.weight, model.bias)
    loss = _regularised(F.cross_entropy(scores.flatten(0, 1), targets.flatten()), raw, out)
    whole = torch.autograd.grad(loss, [*model.parameters()])
    norm = float(torch.cat([gradient.flatten() for gradient in whole]).norm())
    assert 0.1 < norm < 10
    share = 0.1 / norm if clip == 0.1 else 1.0
    torch.testing.assert_close(found, [gradient * share for gradient in whole])


def test_a_classifier_follows_its_regularised_loss(monkeypatch):
    task = classifier()
    model, documents = task.model.train(), task.documents
    rows = np.argsort(-documents.lengths)[:6]
    found = _gradients(monkeypatch, task, lambda: task._step(rows, 0.5))
    ids = torch.from_numpy(pad_documents([documents[row] for row in rows], bptt=10))
    torch.manual_seed(0)
    scores, out = model(ids, documents.lengths[rows].tolist())
    loss = _regularised(F.cross_entropy(scores, torch.from_numpy(rows % 2)), out, out)
    torch.testing.assert_close(found, [*torch.autograd.grad(loss, [*model.parameters()])])


def test_each_window_begins_with_the_state_after_the_one_before(monkeypatch):
    task = language_model()
    calls = spied(monkeypatch, task, "step")
    task.train_epoch(1)
    before = [flat(state) for (_, _, state, _), _ in calls]
    after = [flat(state) for _, (_, state) in calls]
    assert not any(tensor.any() for tensor in before[0])
    assert all(tensor.any() for tensor in after[0])
    torch.testing.assert_close(before[1:], after[:-1], atol=0, rtol=0)


@pytest.mark.parametrize(("new", "step"), [(language_model, "step"), (classifier, "_step")])
def test_each_epoch_has_an_order_of_its_own_and_always_the_same(monkeypatch, new, step):
    task = new()
    calls = spied(monkeypatch, task, step)
    orders = []
    for epoch in (1, 2, 1):
        task.train_epoch(epoch)
        orders.append([arguments[0].tolist() for arguments, _ in calls])
        calls.clear()
    first, second, again = orders
    assert first == again
    assert first != second


@pytest.mark.skipif(not cpu_has_bf16(), reason="this processor has no bf16")
@pytest.mark.parametrize("new", [language_model, classifier])
def test_an_epoch_in_bf16_is_near_one_in_fp32_and_another(new, monkeypatch):
    monkeypatch.setattr(lstm, "FAST_IN_BF16", 0)
    losses = []
    for precision in ("fp32", "bf16"):
        torch.manual_seed(0)
        task = new(precision=precision, batch=20, learning_rate=1e-3)
        losses.append(task.train_epoch(1).train_loss)
    assert losses[0] != losses[1]
    assert losses[1] == pytest.approx(losses[0], rel=0.05)


def test_a_document_that_joins_the_last_batch_takes_its_place_by_length():
    """It is of the next bucket; a GPU's pass counts on the longest first in every batch."""
    batch = 2
    lengths = np.random.default_rng(0).integers(1, 200, BUCKET_BATCHES * batch + 1)
    for seed in range(10):
        batches = bucketed(lengths, batch=batch, generator=np.random.default_rng(seed))
        assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
        assert max(map(len, batches)) == batch + 1
        for rows in batches:
            assert (np.diff(lengths[rows]) <= 0).all()
