from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.ulm.devices import GPU
from tests.ulm.fastai_reference import WORDS, random_documents, small_encoder
from ulm.errors import UlmError
from ulm.model.architecture import CLASSIFIER_DROPOUTS
from ulm.text.tokens import Documents
from ulm.training import classifier
from ulm.training.batches import by_length, pad_documents
from ulm.training.classifier import (
    ClassifierSettings,
    ClassifierTask,
    build_classifier,
    train_classifier,
)
from ulm.training.listener import TrainingDiverged
from ulm.training.two_passes import TwoPasses

pytestmark = pytest.mark.torch

SETTINGS = ClassifierSettings(
    epochs=12, batch=8, bptt=10, learning_rate=2e-2, decay=1.0, gradual=False, dropout=0.1
)


def opinions(num_documents, seed):
    """Documents whose class is which of two words they hold."""
    generator = np.random.default_rng(seed)
    documents = random_documents(num_documents, seed=seed, longest=30)
    labels = generator.integers(0, 2, num_documents)
    ids = documents.ids.copy()
    ids[np.isin(ids, (20, 21))] = 22
    for row, label in enumerate(labels):
        begin, end = documents.offsets[row : row + 2]
        ids[generator.integers(begin + 1, end, 3)] = 20 + label
    return Documents(ids=ids, offsets=documents.offsets), labels


@pytest.fixture(params=["cpu", "cpu in two passes", GPU])
def device(request, monkeypatch):
    """Where a classifier trains; also with a GPU's forward pass on the CPU."""
    if request.param != "cpu in two passes":
        return request.param

    def two_passes(model, settings, device):
        return TwoPasses(model, rows=settings.batch + 1)

    monkeypatch.setattr(classifier, "forward_pass", two_passes)
    return "cpu"


class _StopsAfter:
    """Stops after an epoch, and saves before where it has a path."""

    def __init__(self, epoch, path=None):
        self.epoch, self.path = epoch, path

    def after_epoch(self, report, save):
        if self.path is not None:
            save(self.path)
        return report.epoch < self.epoch


def _train(**changes):
    # a batch of 8 takes the one that is left over
    train, labels = opinions(changes.pop("num_documents", 65), seed=1)
    settings = changes.pop("settings", SETTINGS)
    arguments = {
        "num_classes": 2,
        "seed": 3,
        "validation": opinions(40, seed=2),
    } | changes
    return train_classifier(small_encoder(), train, labels, settings, **arguments)


def test_a_classifier_learns_words_that_decide():
    patient = replace(SETTINGS, learning_rate=2e-3, epochs=30)
    trained = _train(num_documents=64, settings=patient, seed=4)  # 48 of 50 seeds: 0.95 or more
    documents, labels = opinions(100, seed=9)
    assert (trained.predict(documents).argmax(1) == labels).mean() > 0.9


def test_a_minimum_of_steps_is_reached_and_no_epoch_more():
    # 12 documents, batches of 8 and 4: two steps an epoch
    settings = replace(SETTINGS, epochs=1, minimum_steps=10)
    trained = _train(num_documents=12, settings=settings, validation=None)
    assert (trained.summary.epochs, trained.summary.steps) == (5, 10)


def test_no_documents_have_no_scores_and_too_few_are_refused():
    none = opinions(4, seed=1)[0].take(np.array([], dtype=np.int64))
    assert _train(listener=_StopsAfter(1)).predict(none).shape == (0, 2)
    with pytest.raises(UlmError, match="2 documents to train on, found 1"):
        _train(num_documents=1)
    with pytest.raises(UlmError, match="validation must hold a document"):
        _train(validation=(none, np.array([], dtype=np.int64)))


@pytest.mark.parametrize("error", [torch.OutOfMemoryError, RuntimeError])
def test_scoring_takes_fewer_documents_where_memory_does_not_suffice(monkeypatch, error):
    trained = _train(listener=_StopsAfter(1))
    documents, _ = opinions(30, seed=9)
    whole, plain, asked = trained.predict(documents), classifier._scores, []

    def short_of_memory(model, documents, number, tokens):
        asked.append(number)
        if number > 16:
            raise error("CUDA error: out of memory")
        return plain(model, documents, number, tokens)

    monkeypatch.setattr(classifier, "_scores", short_of_memory)
    np.testing.assert_allclose(trained.predict(documents), whole, atol=1e-6)
    assert asked == [64, 32, 16]

    def broken(*arguments):
        raise RuntimeError("ours")

    monkeypatch.setattr(classifier, "_scores", broken)
    with pytest.raises(RuntimeError, match="ours"):
        trained.predict(documents)


def test_probabilities_come_in_the_order_of_the_documents():
    trained = _train(listener=_StopsAfter(2))
    documents, _ = opinions(30, seed=9)
    whole = trained.predict(documents)
    assert whole.shape == (30, 2)
    np.testing.assert_allclose(whole.sum(1), 1, atol=1e-6)
    for row in (0, 7, 29):
        np.testing.assert_allclose(
            trained.predict(documents.take(np.array([row])))[0], whole[row], atol=1e-5
        )


@pytest.mark.parametrize("length", [7, 10, 11, 23, 30])
def test_a_document_scores_the_same_in_any_batch(length):
    # fastai's SentenceEncoder loses the end of documents whose batch is no whole number of windows
    model = build_classifier(small_encoder(), num_classes=2, settings=SETTINGS, seed=1).eval()
    generator = np.random.default_rng(0)
    document = generator.integers(9, len(WORDS.words), length).astype(np.int32)
    alone = model(torch.from_numpy(pad_documents([document], bptt=10)), [length])[0][0]
    for longest in range(length, 48):
        other = generator.integers(9, len(WORDS.words), longest).astype(np.int32)
        batch = torch.from_numpy(pad_documents([other, document], bptt=10))
        scores = model(batch, [longest, length])[0]
        torch.testing.assert_close(scores[1], alone, atol=1e-5, rtol=0)


def test_long_documents_are_pooled_over_their_last_windows_only():
    settings = ClassifierSettings(bptt=10, maximum_tokens=20, dropout=0.0)
    model = build_classifier(small_encoder(), num_classes=2, settings=settings, seed=1).eval()
    document = np.random.default_rng(0).integers(9, 60, 50).astype(np.int32)
    _, pooled = model(torch.from_numpy(pad_documents([document], bptt=10)), [50])
    assert pooled.shape[1] == 20


def test_a_classifier_drops_what_its_multiplier_says():
    settings = replace(SETTINGS, dropout=0.5)
    model = build_classifier(small_encoder(), num_classes=2, settings=settings, seed=1)
    assert model.encoder.dropouts == CLASSIFIER_DROPOUTS.scaled(0.5)
    assert model.head.dropout == CLASSIFIER_DROPOUTS.output / 2


def test_gradients_stay_inside_a_window():
    model = build_classifier(small_encoder(), num_classes=2, settings=SETTINGS, seed=1).eval()
    document = np.arange(9, 29, dtype=np.int32)
    batch = torch.from_numpy(pad_documents([document], bptt=10))
    _, pooled = model(batch, [20])
    pooled[:, 10:].sum().backward()
    moved = model.encoder.embedding.weight.grad.abs().sum(1).nonzero().flatten().tolist()
    assert moved == list(range(19, 29))


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_training_twice_gives_the_same_numbers(device, precision):
    said = {"settings": replace(SETTINGS, precision=precision), "device": device}
    first, second = (_train(listener=_StopsAfter(3), **said) for _ in range(2))
    documents, _ = opinions(10, seed=9)
    np.testing.assert_array_equal(first.predict(documents), second.predict(documents))
    assert [r.train_loss for r in first.summary.history] == [
        r.train_loss for r in second.summary.history
    ]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_training_resumed_after_an_epoch_gives_the_same_numbers(tmp_path, device, precision):
    said = {"settings": replace(SETTINGS, precision=precision), "device": device}
    whole = _train(listener=_StopsAfter(5), **said)
    _train(listener=_StopsAfter(2, tmp_path / "state"), **said)
    resumed = _train(listener=_StopsAfter(5), resume_from=tmp_path / "state", **said)
    documents, _ = opinions(10, seed=9)
    np.testing.assert_array_equal(whole.predict(documents), resumed.predict(documents))
    assert resumed.summary.steps == whole.summary.steps
    assert len(resumed.summary.history) == 5


def test_gradual_unfreezing_leaves_lower_layers_untouched_at_first(device):
    train, labels = opinions(32, seed=1)
    encoder = small_encoder()
    said = {"num_classes": 2, "seed": 1, "device": device}
    gradual = ClassifierSettings(epochs=6, batch=8, bptt=10, gradual=True)
    trained = train_classifier(encoder, train, labels, gradual, **said, listener=_StopsAfter(1))
    after = trained.model.cpu().encoder.state_dict()
    for name, tensor in after.items():
        assert torch.equal(tensor, encoder.weights[f"encoder.{name}"]), name
    trained = train_classifier(encoder, train, labels, gradual, **said, listener=_StopsAfter(2))
    after = trained.model.cpu().encoder.state_dict()
    changed = {
        name for name, t in after.items() if not torch.equal(t, encoder.weights[f"encoder.{name}"])
    }
    assert changed == {name for name in after if name.startswith("layers.2.")}


def test_without_validation_the_last_epoch_is_kept():
    assert _train(validation=None, listener=_StopsAfter(4)).summary.best_epoch == 4


def test_a_rate_that_diverges_is_one_clear_error():
    train, labels = opinions(32, seed=1)
    encoder = small_encoder()
    weights = dict(encoder.weights)
    weights["encoder.layers.0.weight_ih_l0"] = weights["encoder.layers.0.weight_ih_l0"] * torch.nan
    broken = type(encoder)(
        architecture=encoder.architecture, vocabulary=encoder.vocabulary, weights=weights
    )
    with pytest.raises(TrainingDiverged, match=r"must stay finite, found nan .*lower the learning"):
        train_classifier(broken, train, labels, SETTINGS, num_classes=2, seed=1)


def test_scoring_batches_hold_every_document_once():
    lengths = np.array([5, 9, 1, 7, 7])
    rows = np.concatenate(list(by_length(lengths, batch=2)))
    assert sorted(rows) == list(range(5))
    assert list(lengths[rows]) == [9, 7, 7, 5, 1]


def test_long_documents_are_scored_a_few_at_a_time():
    lengths = np.array([5, 9, 30, 7, 7])
    batches = [list(lengths[rows]) for rows in by_length(lengths, batch=3, tokens=20)]
    assert batches == [[30], [9, 7], [7, 5]]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 0}, "epochs must be at least 1, found 0"),
        ({"batch": 1}, "batch must be at least 2, found 1"),
        ({"bptt": 70, "maximum_tokens": 139}, "maximum_tokens must be at least 140, found 139"),
    ],
)
def test_settings_that_can_not_train_are_refused(changes, message):
    with pytest.raises(UlmError, match=message):
        ClassifierSettings(**changes)


@pytest.mark.parametrize("bptt", [3, 7])
def test_every_document_is_pooled_however_few_tokens_are_read(bptt):
    settings = ClassifierSettings(bptt=bptt, maximum_tokens=2 * bptt)
    model = build_classifier(small_encoder(), num_classes=2, settings=settings, seed=0).eval()
    for longest in range(1, 5 * bptt):
        lengths = [longest, *range(longest, 0, -1)]
        documents = [np.full(length, 20, np.int32) for length in lengths]
        ids = torch.from_numpy(pad_documents(documents, bptt=bptt))
        assert torch.isfinite(model(ids, lengths)[0]).all(), longest


def head_of(seed):
    train, labels = opinions(16, seed=1)
    task = ClassifierTask(
        small_encoder(),
        train,
        labels,
        None,
        SETTINGS,
        num_classes=2,
        seed=seed,
        device=torch.device("cpu"),
    )
    return task.model.head.dense_out.weight.detach().clone()


def test_every_seed_begins_with_a_head_of_its_own():
    first, again, other = map(head_of, (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
