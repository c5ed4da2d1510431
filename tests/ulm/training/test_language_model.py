from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.ulm.devices import DEVICES
from tests.ulm.fastai_reference import SMALL, WORDS, random_documents, small_encoder
from ulm.errors import UlmError
from ulm.model.architecture import LANGUAGE_MODEL_DROPOUTS
from ulm.model.encoder import build_language_model, random_encoder
from ulm.text.tokens import Documents
from ulm.training.batches import bucketed, num_batches, num_windows, split_batches, stream
from ulm.training.language_model import (
    LanguageModelSettings,
    LanguageModelTask,
    train_language_model,
)
from ulm.training.listener import TrainingDiverged

pytestmark = pytest.mark.torch

SETTINGS = LanguageModelSettings(epochs=4, batch=4, bptt=10, learning_rate=2e-2, dropout=0.1)


def counting_documents(num_documents, seed):
    """Documents in which each word is followed by the next one: a language that can be learnt."""
    generator = np.random.default_rng(seed)
    starts = generator.integers(0, 40, num_documents)
    texts = [np.concatenate([[2], 9 + (start + np.arange(20)) % 51]) for start in starts]
    offsets = np.arange(num_documents + 1, dtype=np.int64) * 21
    return Documents(ids=np.concatenate(texts).astype(np.int32), offsets=offsets)


def _train(**changes):
    return train_language_model(
        random_encoder(SMALL, WORDS, seed=0),
        counting_documents(80, seed=1),
        counting_documents(20, seed=2),
        changes.pop("settings", SETTINGS),
        seed=3,
        **changes,
    )


def test_a_language_that_can_be_learnt_is_learnt():
    summary = _train(settings=replace(SETTINGS, epochs=8)).summary
    losses = [report.validation_loss for report in summary.history]
    assert losses[-1] < 0.5 * losses[0]
    assert summary.validation_loss == min(losses)
    assert summary.steps == 8 * num_windows(80 * 21, batch=4, bptt=10)


def test_a_cpu_validates_in_fp32_what_it_trains_in_bf16():
    model = build_language_model(small_encoder(), LANGUAGE_MODEL_DROPOUTS)
    found = [
        LanguageModelTask(
            model,
            counting_documents(80, seed=1),
            counting_documents(20, seed=2),
            replace(SETTINGS, precision=precision),
            seed=3,
            num_epochs=1,
            device=torch.device("cpu"),
        ).validate()
        for precision in ("fp32", "bf16")
    ]
    assert found[0] == found[1]


class _Keeps:
    def __init__(self, path=None, after=100):
        self.path, self.after, self.reports = path, after, []

    def after_epoch(self, report, save):
        self.reports.append(report)
        if self.path is not None:
            save(self.path)
        return report.epoch < self.after


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    "changes", [{}, {"clip": 0.1}, {"accumulation": 2}, {"precision": "bf16", "clip": 0.1}], ids=str
)
def test_training_resumed_after_an_epoch_gives_the_same_weights(tmp_path, changes, device):
    said = {"settings": replace(SETTINGS, **changes), "device": device}
    whole = _train(**said)
    _train(**said, listener=_Keeps(tmp_path / "state", after=2))
    resumed = _train(**said, resume_from=tmp_path / "state")
    for name, tensor in whole.encoder.weights.items():
        assert torch.equal(tensor, resumed.encoder.weights[name]), name
    assert resumed.summary.validation_loss == whole.summary.validation_loss


def test_the_best_epoch_is_kept_and_not_the_last():
    # fifty epochs on two documents overfit; the best weights must score as reported
    settings = LanguageModelSettings(epochs=30, batch=2, bptt=10, learning_rate=5e-2, dropout=0.0)
    train, validation = random_documents(4, seed=1), random_documents(6, seed=2)
    trained = train_language_model(small_encoder(), train, validation, settings, seed=1)
    losses = [report.validation_loss for report in trained.summary.history]
    assert trained.summary.best_epoch == int(np.argmin(losses)) + 1
    assert trained.summary.best_epoch < 30
    again = train_language_model(
        trained.encoder,
        train,
        validation,
        LanguageModelSettings(epochs=1, batch=2, bptt=10, learning_rate=1e-12, dropout=0.0),
        seed=1,
    )
    assert again.summary.validation_loss == pytest.approx(min(losses), abs=1e-4)


def test_short_corpora_train_for_the_minimum_of_steps():
    settings = LanguageModelSettings(
        epochs=1, minimum_steps=50, batch=4, bptt=10, learning_rate=1e-3
    )
    trained = _train(settings=settings)
    assert trained.summary.steps >= 50
    assert trained.summary.epochs == trained.summary.history[0].num_epochs


def test_the_multiplier_of_dropout_is_heeded_in_training():
    settings = [replace(SETTINGS, epochs=1, dropout=dropout) for dropout in (0.0, 0.5, 1.0)]
    assert len({_train(settings=each).summary.history[0].train_loss for each in settings}) == 3


def test_a_listener_stops_training():
    listener = _Keeps(after=2)
    assert _train(listener=listener).summary.epochs == 2
    assert [report.epoch for report in listener.reports] == [1, 2]


def test_a_rate_that_diverges_is_one_clear_error():
    settings = LanguageModelSettings(epochs=3, batch=4, bptt=10, learning_rate=1e30)
    with pytest.raises(TrainingDiverged, match="lower the learning rate"):
        _train(settings=settings)


def test_a_stream_holds_the_documents_one_after_the_other():
    documents = random_documents(10, seed=4)
    rows = stream(documents, batch=3)
    length = (len(documents.ids) - 1) // 3
    assert rows.shape == (3, length + 1)
    np.testing.assert_array_equal(rows[:, :-1].ravel(), documents.ids[: 3 * length])
    np.testing.assert_array_equal(rows[:, 1:].ravel(), documents.ids[1 : 3 * length + 1])


def test_a_stream_of_few_tokens_uses_fewer_rows():
    documents = Documents(ids=np.array([2, 9, 10], np.int32), offsets=np.array([0, 3]))
    assert stream(documents, batch=64).tolist() == [[2, 9], [9, 10]]


@pytest.mark.parametrize("number", [2, 3, 40, 41, 42, 61, 62, 400])
def test_windows_are_counted_as_a_stream_is_cut(number):
    documents = Documents(ids=np.zeros(number, np.int32), offsets=np.array([0, number]))
    columns = stream(documents, batch=4).shape[1]
    assert num_windows(number, batch=4, bptt=10) == len(range(0, columns - 1, 10))


@pytest.mark.parametrize("number", [65, 401, 1000])  # in one bucket, one and one more, three
def test_buckets_hold_every_document_once_and_never_one_alone(number):
    lengths = np.random.default_rng(0).integers(1, 100, number)
    batches = bucketed(lengths, batch=8, generator=np.random.default_rng(1))
    assert sorted(np.concatenate(batches)) == list(range(number))
    assert min(map(len, batches)) > 1
    for rows in batches:
        assert list(lengths[rows]) == sorted(lengths[rows], reverse=True)


@pytest.mark.parametrize("number", range(1, 30))
def test_batches_are_counted_as_they_are_cut(number):
    assert num_batches(number, batch=8) == len(split_batches(np.arange(number), 8))


def test_settings_that_can_not_train_are_refused():
    with pytest.raises(UlmError, match="epochs must be at least 1, found 0"):
        LanguageModelSettings(epochs=0)


@pytest.mark.parametrize("part", [0, 1])
def test_a_part_without_a_word_to_predict_is_refused(part):
    parts = [counting_documents(4, seed=1), counting_documents(4, seed=2)]
    parts[part] = Documents(ids=np.array([2], np.int32), offsets=np.array([0, 1]))
    with pytest.raises(UlmError, match="documents must hold 2 tokens, one to predict, found 1"):
        train_language_model(random_encoder(SMALL, WORDS, seed=0), *parts, SETTINGS, seed=3)
