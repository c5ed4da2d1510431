"""Whole trainings on a GPU: by graphs as without, and as on a CPU."""

from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.ulm.devices import needs_gpu
from tests.ulm.fastai_reference import random_documents, small_encoder
from ulm.model.kernels import recorded
from ulm.training import language_model, two_passes
from ulm.training.classifier import ClassifierSettings, train_classifier
from ulm.training.graphs import GraphedCalls
from ulm.training.language_model import LanguageModelSettings, train_language_model

pytestmark = [pytest.mark.torch, pytest.mark.gpu, needs_gpu]

LANGUAGE_MODEL = LanguageModelSettings(epochs=3, batch=5, bptt=10, learning_rate=1e-2, dropout=0.7)
CLASSIFIER = ClassifierSettings(epochs=4, batch=8, bptt=10, maximum_tokens=20, dropout=0.7)


class PlainCalls(GraphedCalls):
    """Runs the method each time, by the kernels that a graph would have recorded."""

    def __call__(self, *arguments):
        shapes = [argument.shape for argument in arguments]
        self._shapes = self._shapes or shapes
        with recorded() if shapes == self._shapes else nullcontext():
            return self._method()(*arguments)


def with_and_without_graphs(train, monkeypatch):
    """Weights of the same training, by graphs first."""
    found = [train()]
    for module in (language_model, two_passes):
        monkeypatch.setattr(module, "GraphedCalls", PlainCalls)
    return [*found, train()]


def trained(settings, device="cuda"):
    documents = random_documents(40, seed=1), random_documents(10, seed=2)
    return train_language_model(small_encoder(), *documents, settings, seed=3, device=device)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("clip", [None, 0.05])
@pytest.mark.parametrize("parts", [1, 2])
def test_a_language_model_is_trained_as_without_graphs(monkeypatch, precision, clip, parts):
    settings = replace(LANGUAGE_MODEL, precision=precision, clip=clip, accumulation=parts)
    graphed, plain = with_and_without_graphs(lambda: trained(settings).encoder.weights, monkeypatch)
    torch.testing.assert_close(graphed, plain, atol=1e-4, rtol=0)


@pytest.mark.parametrize("changes", [{}, {"precision": "bf16"}, {"accumulation": 2}], ids=str)
def test_a_classifier_is_trained_as_without_graphs(monkeypatch, changes):
    documents, labels = random_documents(33, seed=4, longest=60), np.arange(33) % 7

    def weights():
        return train_classifier(
            small_encoder(),
            documents,
            labels,
            replace(CLASSIFIER, **changes),
            num_classes=7,
            seed=3,
            validation=(documents, labels),
            device="cuda",
        ).model.state_dict()

    graphed, plain = with_and_without_graphs(weights, monkeypatch)
    torch.testing.assert_close(graphed, plain, atol=1e-4, rtol=0)


@pytest.mark.parametrize("parts", [1, 2])
def test_a_gpu_trains_what_a_cpu_trains_while_gradients_are_limited(parts):
    settings = replace(LANGUAGE_MODEL, dropout=0.0, clip=0.05)
    by_gpu = trained(replace(settings, accumulation=parts)).summary.validation_loss
    by_cpu = trained(settings, "cpu").summary.validation_loss
    assert by_gpu == pytest.approx(by_cpu, abs=2e-3)
