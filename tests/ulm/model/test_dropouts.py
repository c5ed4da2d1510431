"""Each dropout changes what a model gives while it trains, and nothing afterwards."""

from dataclasses import fields, replace

import pytest
import torch

from tests.ulm.fastai_reference import random_documents, small_encoder
from ulm.model.architecture import NO_DROPOUT, Dropouts
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
