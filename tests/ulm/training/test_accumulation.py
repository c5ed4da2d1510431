"""A step made of parts is the step of the whole batch."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.ulm.fastai_reference import random_documents, small_encoder
from ulm.training.accumulation import row_parts, scores_in_parts
from ulm.training.batches import pad_documents
from ulm.training.classifier import ClassifierSettings, build_classifier, train_classifier
from ulm.training.language_model import LanguageModelSettings, train_language_model

pytestmark = pytest.mark.torch

LANGUAGE_MODEL = LanguageModelSettings(
    epochs=2, batch=5, bptt=10, learning_rate=1e-2, dropout=0.0, clip=0.05
)
CLASSIFIER = ClassifierSettings(
    epochs=3, batch=8, bptt=10, maximum_tokens=20, learning_rate=1e-2, dropout=0.0
)


@given(rows=st.integers(1, 200), parts=st.integers(1, 20))
def test_parts_hold_every_row_once_and_none_is_empty(rows, parts):
    slices = row_parts(rows, parts)
    assert [row for part in slices for row in range(rows)[part]] == list(range(rows))
    sizes = [part.stop - part.start for part in slices]
    assert len(slices) == min(rows, parts)
    assert max(sizes) - min(sizes) <= 1


def language_model(settings):
    documents = random_documents(40, seed=1), random_documents(10, seed=2)
    return train_language_model(small_encoder(), *documents, settings, seed=3)


def classifier(settings, *, longest=60):
    documents = random_documents(30, seed=4, longest=longest)
    labels = np.arange(30) % 2
    return train_classifier(
        small_encoder(),
        documents,
        labels,
        settings,
        num_classes=2,
        seed=3,
        validation=(documents, labels),
    )


def losses(trained):
    return [
        loss
        for report in trained.summary.history
        for loss in (report.train_loss, report.validation_loss)
    ]


@pytest.mark.parametrize("parts", [2, 3, 8])
def test_a_language_model_trained_in_parts_has_the_losses_of_the_whole(parts):
    whole = language_model(LANGUAGE_MODEL)
    in_parts = language_model(replace(LANGUAGE_MODEL, accumulation=parts))
    assert losses(in_parts) == pytest.approx(losses(whole), abs=1e-5)
    assert in_parts.summary.steps == whole.summary.steps
    for name, tensor in whole.encoder.weights.items():
        torch.testing.assert_close(in_parts.encoder.weights[name], tensor, atol=1e-4, rtol=0)


@pytest.mark.parametrize("parts", [2, 3, 16])
def test_a_classifier_trained_in_parts_has_the_losses_of_the_whole(parts):
    whole = classifier(CLASSIFIER)
    in_parts = classifier(replace(CLASSIFIER, accumulation=parts))
    assert losses(in_parts) == pytest.approx(losses(whole), abs=1e-4)


def test_a_part_of_short_documents_does_not_run_the_windows_before_them():
    model = build_classifier(small_encoder(), num_classes=2, settings=CLASSIFIER, seed=1)
    lengths = [47, 31, 8, 3]
    generator = np.random.default_rng(0)
    texts = [generator.integers(9, 60, length).astype(np.int32) for length in lengths]
    ids = torch.from_numpy(pad_documents(texts, bptt=10))
    widths = []
    model.encoder.register_forward_pre_hook(lambda _, inputs: widths.append(inputs[0].shape))
    scores, out = model(ids, lengths)
    widths.clear()
    in_parts, out_in_parts = scores_in_parts(model, ids, lengths, 2)
    torch.testing.assert_close(out_in_parts, out)
    assert widths[-1][0] == 2
    assert sum(shape[1] for shape in widths) == 47 + 17, "five windows, then the last two"
    assert scores.shape == in_parts.shape


def test_dropout_masks_are_the_same_when_a_part_is_run_again_going_backward():
    settings = replace(CLASSIFIER, dropout=1.0)
    model = build_classifier(small_encoder(), num_classes=2, settings=settings, seed=1).train()
    ids = torch.from_numpy(pad_documents([np.full(9, 20, np.int32)] * 4, bptt=10))
    lengths = [9] * 4

    def gradient(forward):
        torch.manual_seed(0)
        forward()[0].sum().backward()
        found = model.encoder.embedding.weight.grad.clone()
        model.zero_grad()
        return found

    whole = gradient(lambda: model(ids, lengths))
    torch.testing.assert_close(gradient(lambda: scores_in_parts(model, ids, lengths, 1)), whole)
    assert whole.abs().sum() > 0


def test_half_the_documents_at_a_time_hold_fewer_activations():
    settings = replace(CLASSIFIER, maximum_tokens=1000)
    model = build_classifier(small_encoder(), num_classes=2, settings=settings, seed=1).train()
    texts = [np.full(200, 20, np.int32)] * 8
    ids = torch.from_numpy(pad_documents(texts, bptt=10))

    def held_bytes(forward):
        held = {}
        with torch.autograd.graph.saved_tensors_hooks(
            lambda t: held.setdefault(t.data_ptr(), t.nbytes) and t, lambda t: t
        ):
            forward()
        return sum(held.values())

    whole = held_bytes(lambda: model(ids, [200] * 8))
    assert held_bytes(lambda: scores_in_parts(model, ids, [200] * 8, 2)) < whole / 4
