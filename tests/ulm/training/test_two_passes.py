"""Two passes are the classifier's own pass, window by window."""

import pytest
import torch

from tests.ulm.devices import DEVICES
from tests.ulm.fastai_reference import SMALL, WORDS, random_documents
from ulm.model.architecture import CLASSIFIER_DROPOUTS, AwdLstm
from ulm.model.text_classifier import PoolingHead, TextClassifier
from ulm.training.batches import pad_documents
from ulm.training.two_passes import TwoPasses

pytestmark = pytest.mark.torch

BPTT, ROWS = 7, 6


def _classifier(dropout, device="cpu", maximum_tokens=1000):
    torch.manual_seed(0)
    encoder = AwdLstm(SMALL, len(WORDS.words), CLASSIFIER_DROPOUTS.scaled(dropout))
    head = PoolingHead(embedding=SMALL.embedding, classes=3, dropout=0.0, hidden_dropout=0.0)
    model = TextClassifier(encoder, head, bptt=BPTT, maximum_tokens=maximum_tokens)
    return model.to(device, torch.float64).train()  # batch normalisation magnifies rounding


def _batch(number, device="cpu"):
    documents = random_documents(number, seed=3)
    texts = sorted((documents[i] for i in range(number)), key=len, reverse=True)
    ids = torch.from_numpy(pad_documents(texts, bptt=BPTT)).to(device)
    return ids, [len(text) for text in texts]


def _with_gradients(run, model, batch):
    scores, out = run(*batch)
    weights = torch.arange(scores.numel(), device=scores.device).view(scores.shape) / 7.0
    ((scores * weights).sum() + out.square().mean()).backward()
    gradients = [p.grad.clone() for p in model.parameters() if p.grad is not None]
    model.zero_grad()
    return [scores.detach(), out.detach(), *gradients]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("maximum_tokens", [1000, 3 * BPTT])
@pytest.mark.parametrize("number", [ROWS, ROWS - 2])
def test_scores_outputs_and_gradients_are_those_of_one_pass(number, maximum_tokens, device):
    model = _classifier(0.0, device, maximum_tokens)
    batch = _batch(number, device)
    assert len({-(-n // BPTT) for n in batch[1]}) > 1, "documents begin in different windows"
    passes = TwoPasses(model, rows=ROWS)
    one = _with_gradients(model, model, batch)
    assert len(one) == 2 + len(list(model.parameters()))
    for _ in range(2):
        two = _with_gradients(passes, model, batch)
        torch.testing.assert_close(two, one, atol=1e-9, rtol=1e-7)


def test_a_frozen_encoder_needs_one_pass():
    model = _classifier(0.0)
    model.encoder.requires_grad_(False)
    batch = _batch(ROWS)
    passes = TwoPasses(model, rows=ROWS)
    torch.testing.assert_close(
        _with_gradients(passes, model, batch), _with_gradients(model, model, batch)
    )


@pytest.mark.parametrize("device", DEVICES)
def test_the_second_pass_drops_what_the_first_dropped(device, monkeypatch):
    model = _classifier(1.0, device)
    ids, lengths = _batch(ROWS, device)
    passes = TwoPasses(model, rows=ROWS)
    for _ in range(2):
        first: list[torch.Tensor] = []
        with monkeypatch.context() as patch:
            window = passes._window
            patch.setattr(
                passes, "_window", lambda *a, w=window, f=first: (r := w(*a), f.append(r[0] + 0))[0]
            )
            _, out = passes(ids, lengths)
        whole = torch.cat(first, 1)[:, : ids.shape[1]]
        begun = torch.tensor([(ids.shape[1] - n) // BPTT * BPTT for n in lengths], device=device)
        real = torch.arange(ids.shape[1], device=device) >= begun[:, None]
        torch.testing.assert_close(out[real], whole[real], atol=1e-9, rtol=1e-7)


def test_masks_are_drawn_for_each_batch_and_those_of_units_for_each_window():
    model = _classifier(1.0)
    ids, lengths = _batch(ROWS)
    passes = TwoPasses(model, rows=ROWS)
    seen = []
    for _ in range(2):
        passes(ids, lengths)
        seen.append(passes._shared.weights[0].clone())
    assert not torch.equal(*seen)
    state = [t for pair in model.encoder.initial_state(ROWS) for t in pair]
    begun = torch.ones(1, ROWS, 1, dtype=torch.float64)
    first, second = (passes._window(ids[:, :BPTT], begun, *state)[1] for _ in range(2))
    assert all(not torch.equal(a, b) for a, b in zip(first, second, strict=True))
