import pytest
import torch
import torch.nn.functional as F

from tests.ulm.fastai_reference import random_documents
from ulm.model.architecture import Architecture
from ulm.model.encoder import build_language_model, random_encoder
from ulm.model.precision import autocast
from ulm.text.vocabulary import SPECIAL_WORDS, Vocabulary

pytestmark = pytest.mark.torch

CPU = torch.device("cpu")


@pytest.fixture
def model():
    words = Vocabulary(words=(*SPECIAL_WORDS, *(f"w{i}" for i in range(3000))))
    sizes = Architecture(embedding=24, hidden=32, layers=2)
    return build_language_model(random_encoder(sizes, words, seed=0))


def _window():
    ids = torch.from_numpy(random_documents(40, seed=1).ids[:600].astype("int64")).view(6, 100)
    return ids[:, :-1], ids[:, 1:]


def _plain(model, out, targets):
    scores = F.linear(out, model.encoder.embedding.weight, model.bias)
    return F.cross_entropy(scores.flatten(0, 1), targets.flatten())


def test_the_chunked_loss_and_its_gradients_are_those_of_the_whole_logits(model):
    inputs, targets = _window()
    gradients = []
    for loss_of in (model.loss, lambda out, t: _plain(model, out, t)):
        _, out, _ = model(inputs, model.encoder.initial_state(6))
        loss = loss_of(out, targets)
        model.zero_grad()
        loss.backward()
        gradients.append((loss.detach(), [p.grad.clone() for p in model.parameters()]))
    torch.testing.assert_close(gradients[0], gradients[1], atol=1e-5, rtol=1e-4)


def test_bf16_keeps_the_loss(model):
    inputs, targets = _window()
    _, out, _ = model(inputs, model.encoder.initial_state(6))
    wanted = float(_plain(model, out, targets).detach())
    with autocast("bf16", CPU):
        _, out, _ = model(inputs, model.encoder.initial_state(6))
        assert float(model.loss(out, targets).detach()) == pytest.approx(wanted, abs=0.02)
