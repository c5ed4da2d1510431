"""Each dropout changes what a model gives while it trains, and nothing afterwards."""

from dataclasses import fields, replace

import pytest
import torch

from tests.ulm.fastai_reference import random_documents, small_encoder
from ulm.model.architecture import NO_DROPOUT, Dropouts, draw_mask
from ulm.model.encoder import build_language_model
from ulm.model.text_classifier import PoolingHead

pytestmark = pytest.mark.torch


@pytest.mark.parametrize("name", [field.name for field in fields(Dropouts)])
def test_each_dropout_of_a_language_model_drops_in_training_only(name):
    model = build_language_model(small_encoder(), replace(NO_DROPOUT, **{name: 0.5}))
    ids = torch.from_numpy(random_documents(20, seed=1).ids[:80].astype("int64")).view(4, 20)
    state = model.encoder.initial_state(4)
    whole = build_language_model(small_encoder(), NO_DROPOUT).train()(ids, state)[1]
    assert not torch.allclose(model.train()(ids, state)[1], whole)
    assert torch.equal(model.eval()(ids, state)[1], whole)


@pytest.mark.parametrize("name", ["dropout", "hidden_dropout"])
def test_each_dropout_of_a_classifiers_head_drops_in_training_only(name):
    off = {"dropout": 0.0, "hidden_dropout": 0.0}
    head = PoolingHead(embedding=4, classes=2, **off | {name: 0.5})
    pooled = torch.randn(6, 12, generator=torch.Generator().manual_seed(1))
    assert not torch.allclose(head.train()(pooled), head(pooled))
    assert torch.equal(head.eval()(pooled), head(pooled))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("probability", [0.1, 0.5, 0.98])
def test_a_mask_drops_as_many_as_asked_and_keeps_the_mean(dtype, probability):
    torch.manual_seed(1)
    mask = draw_mask(torch.empty(0, dtype=dtype), (1001, 1003), probability)
    assert mask.dtype == torch.promote_types(dtype, torch.float32), "16 bits round the scale"
    error = (probability * (1 - probability) / mask.numel()) ** 0.5
    assert (mask == 0).float().mean().item() == pytest.approx(probability, abs=4 * error)
    assert mask.max().item() == pytest.approx(1 / (1 - probability), rel=1e-3)
    assert len(mask.unique()) == 2
    assert mask.double().mean().item() == pytest.approx(1, abs=4 * error / (1 - probability))


def test_rows_and_columns_of_a_mask_are_dropped_independently():
    torch.manual_seed(1)
    kept = (draw_mask(torch.empty(0), (1200, 1200), 0.5) > 0).double() - 0.5
    rows = kept @ kept.T * 4 / 1200  # correlations, the diagonal 1
    rows.fill_diagonal_(0)
    assert rows.abs().max() < 6 / 1200**0.5
    assert rows.square().mean().item() == pytest.approx(1 / 1200, rel=0.05)


def test_masks_repeat_with_torchs_seed_alone():
    def masks():
        torch.manual_seed(3)
        return [draw_mask(torch.empty(0), (7, 3), 0.5) for _ in range(3)]

    first, again = masks(), masks()
    assert all(map(torch.equal, first, again))
    assert not torch.equal(first[0], first[1])


@pytest.mark.parametrize(("probability", "kept"), [(1e-9, 1.0), (1 - 1e-9, 0.0)])
def test_hardly_ever_and_nearly_always_are_drawn_too(probability, kept):
    mask = draw_mask(torch.empty(0), (100, 10), probability)
    assert (mask > 0).float().mean().item() == pytest.approx(kept, abs=0.01)
