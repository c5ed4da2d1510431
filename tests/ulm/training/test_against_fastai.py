"""Proof that this is ULMFiT: the same weights and batches in fastai's learners and in ours."""

import numpy as np
import pytest
import torch
from fastai.callback import schedule  # noqa: F401  gives learners fit_one_cycle
from fastai.callback.core import Callback
from fastai.callback.schedule import ParamScheduler
from fastai.data.core import DataLoaders
from fastai.losses import CrossEntropyLossFlat
from fastai.text.data import pad_input_chunk
from fastai.text.learner import language_model_learner, text_classifier_learner
from fastai.text.models.awdlstm import AWD_LSTM
from fastai.torch_core import even_mults

from tests.ulm.fastai_reference import WORDS, fastai_config, random_documents, small_encoder
from tests.ulm.spies import spied
from ulm.model.architecture import LANGUAGE_MODEL_DROPOUTS
from ulm.model.encoder import build_language_model
from ulm.model.fastai_format import export_fastai
from ulm.text.tokens import Documents
from ulm.training import classifier
from ulm.training.batches import stream
from ulm.training.classifier import ClassifierSettings, ClassifierTask, build_classifier
from ulm.training.language_model import LanguageModelSettings, LanguageModelTask
from ulm.training.optimizer import GroupedAdamW
from ulm.training.schedules import discriminative_rates, slanted_triangular

pytestmark = [
    pytest.mark.torch,
    pytest.mark.filterwarnings("ignore"),  # fastai's and torch's own deprecations
]

EPOCHS = 2
STEPS = 20
RATE = 5e-3
WEIGHT_DECAY = 0.3


class _Batches(list):
    """A fixed list of batches in the place of a fastai DataLoader."""

    device = torch.device("cpu")
    dataset = None
    vocab = WORDS.words
    bs = 4

    def to(self, device):
        return self


def _loaders(batches):
    loaders = DataLoaders(_Batches(batches), _Batches(batches))
    loaders.vocab = list(WORDS.words)
    return loaders


def _record_losses(learner):
    losses = []

    class Keep(Callback):
        run_valid = False

        def after_loss(self):
            losses.append(float(self.learn.loss))

    learner.add_cb(Keep())
    return losses


def _one_document():
    """Which every epoch reads in the same order: twenty windows of four streams."""
    ids = random_documents(60, seed=1).ids[: STEPS * 4 * 10 + 1]
    return Documents(ids=ids, offsets=np.array([0, len(ids)]))


def _lm_batches(documents):
    tokens = torch.from_numpy(stream(documents, batch=4))
    return [(tokens[:, i : i + 10], tokens[:, i + 1 : i + 11]) for i in range(0, STEPS * 10, 10)]


def _fastai_language_model(tmp_path, batches):
    export_fastai(small_encoder(), tmp_path / "models", name="small")
    return language_model_learner(
        _loaders(batches),
        AWD_LSTM,
        config=fastai_config() | {"tie_weights": True, "out_bias": True},
        pretrained=False,
        pretrained_fnames=("small_lm", "small_lm"),
        path=tmp_path,
    )


def _our_language_model(documents, decay):
    settings = LanguageModelSettings(
        batch=4, bptt=10, learning_rate=RATE, decay=decay, weight_decay=WEIGHT_DECAY
    )
    model = build_language_model(small_encoder(), LANGUAGE_MODEL_DROPOUTS.scaled(0.0))
    where = torch.device("cpu")
    return LanguageModelTask(
        model, documents, documents, settings, seed=1, num_epochs=EPOCHS, device=where
    )


@pytest.mark.parametrize("decay", [1.0, 2.6])
def test_two_epochs_of_a_language_model_have_the_losses_of_fastai(tmp_path, monkeypatch, decay):
    documents = _one_document()
    learner = _fastai_language_model(tmp_path, _lm_batches(documents))
    learner.unfreeze()
    theirs = _record_losses(learner)
    with learner.no_bar(), learner.no_logging():
        rates = slice(RATE / decay**3, RATE) if decay > 1 else RATE
        learner.fit_one_cycle(EPOCHS, rates, wd=WEIGHT_DECAY)
    task = _our_language_model(documents, decay)
    calls = spied(monkeypatch, task, "step")
    for epoch in range(1, EPOCHS + 1):
        task.train_epoch(epoch)
    ours = [float(loss) for _, (loss, _) in calls]
    assert len(ours) == EPOCHS * STEPS
    assert ours == pytest.approx(theirs, abs=1e-5)
    assert theirs[-1] < theirs[0]


def test_language_model_groups_and_rates_are_those_of_fastai(tmp_path):
    learner = _fastai_language_model(tmp_path, _lm_batches(_one_document()))
    learner.create_opt()
    theirs = [sorted(p.numel() for p in group) for group in learner.opt.param_lists]
    model = build_language_model(small_encoder())
    assert [sorted(p.numel() for p in group) for group in model.layer_groups()] == theirs
    rates = discriminative_rates(RATE, decay=2.6, num_groups=len(theirs))
    assert rates == pytest.approx(list(even_mults(RATE / 2.6**3, RATE, len(theirs))))


def _classifier_batches():
    """Batches whose longest document fills whole windows.

    Where it does not, fastai's `SentenceEncoder` counts a document that has ended as one that has
    not begun, and drops the end of another; see the test of batch independence for ours.
    """
    documents = random_documents(STEPS * 6, seed=2, longest=70)
    labels = np.random.default_rng(3).integers(0, 2, len(documents))
    batches = []
    for at in range(0, len(documents), 6):
        rows = sorted(range(at, at + 6), key=lambda row: -int(documents.lengths[row]))
        texts = [documents[row] for row in rows]
        whole = np.concatenate([texts[0], np.full(-len(texts[0]) % 10, 20, np.int32)])
        batches.append(([whole, *texts[1:]], torch.from_numpy(labels[rows])))
    return batches


def _fastai_batch(texts, labels, bptt):
    samples = [(torch.from_numpy(text.astype(np.int64)),) for text in texts]
    padded = pad_input_chunk(samples, pad_idx=1, seq_len=bptt)
    return torch.stack([sample[0] for sample in padded]), labels


def _copy_head(source, target):
    """Our head's weights into fastai's `PoolingLinearClassifier`."""
    modules = [m for m in target.modules() if isinstance(m, torch.nn.BatchNorm1d | torch.nn.Linear)]
    ours = [source.norm_in, source.dense_in, source.norm_out, source.dense_out]
    for module, mine in zip(modules, ours, strict=True):
        module.load_state_dict(mine.state_dict())


def _classifiers(tmp_path, bptt=10, maximum_tokens=1400):
    """fastai's learner and our model with the same weights."""
    encoder = small_encoder()
    settings = ClassifierSettings(dropout=0.0, bptt=bptt, maximum_tokens=maximum_tokens)
    model = build_classifier(encoder, num_classes=2, settings=settings, seed=5)
    model.head.hidden_dropout = 0.0
    batches = [_fastai_batch(*batch, bptt) for batch in _classifier_batches()]
    learner = text_classifier_learner(
        _loaders(batches),
        AWD_LSTM,
        seq_len=bptt,
        config=fastai_config(),
        pretrained=False,
        drop_mult=1.0,
        n_out=2,
        ps=[0.0],
        max_len=maximum_tokens,
        path=tmp_path,
        loss_func=CrossEntropyLossFlat(),
    )
    export_fastai(encoder, tmp_path / "models", name="small")
    learner.load_encoder("small")
    _copy_head(model.head, learner.model[1])
    learner.model.double()  # batch normalisation magnifies rounding
    return learner, model.double()


def _our_classifier(model, monkeypatch):
    """A task with a model's weights, which trains on the batches fastai is given."""
    batches = _classifier_batches()
    texts = [text for texts, _ in batches for text in texts]
    offsets = np.cumsum([0, *map(len, texts)])
    rows = list(np.arange(len(texts)).reshape(len(batches), -1))
    monkeypatch.setattr(classifier, "bucketed", lambda *_, **__: rows)
    monkeypatch.setattr(classifier, "build_classifier", lambda *_, **__: model)
    return ClassifierTask(
        small_encoder(),
        Documents(ids=np.concatenate(texts), offsets=offsets),
        np.concatenate([labels for _, labels in batches]),
        None,
        ClassifierSettings(
            epochs=EPOCHS, bptt=10, learning_rate=RATE, gradual=False, weight_decay=WEIGHT_DECAY
        ),
        num_classes=2,
        seed=1,
        device=torch.device("cpu"),
    )


def _slanted_triangle():
    """ULMFiT's schedule in fastai's learner, which has none of its own."""
    rates = np.array(even_mults(RATE / 2.6**4, RATE, 5))
    return ParamScheduler(
        {"lr": lambda done: list(rates * slanted_triangular(done)), "mom": lambda _: 0.8}
    )


@pytest.mark.parametrize("maximum_tokens", [1400, 30])
def test_two_epochs_of_a_classifier_have_the_losses_of_fastai(
    tmp_path, monkeypatch, maximum_tokens
):
    learner, model = _classifiers(tmp_path, maximum_tokens=maximum_tokens)
    learner.unfreeze()
    theirs = _record_losses(learner)
    with learner.no_bar(), learner.no_logging():
        learner.fit(EPOCHS, cbs=_slanted_triangle(), wd=WEIGHT_DECAY)
    task = _our_classifier(model, monkeypatch)
    calls = spied(monkeypatch, task, "_step")
    for epoch in range(1, EPOCHS + 1):
        task.train_epoch(epoch)
    ours = [float(loss) for _, loss in calls]
    assert len(ours) == EPOCHS * STEPS
    assert ours == pytest.approx(theirs, abs=1e-5)


def test_classifier_groups_and_rates_are_those_of_fastai(tmp_path):
    learner, model = _classifiers(tmp_path)
    learner.create_opt()
    theirs = [sorted(p.numel() for p in group) for group in learner.opt.param_lists]
    assert [sorted(p.numel() for p in group) for group in model.layer_groups()] == theirs


def test_frozen_groups_are_those_of_fastai(tmp_path):
    learner, model = _classifiers(tmp_path)
    learner.freeze_to(-2)
    optimizer = GroupedAdamW(model, model.layer_groups(), weight_decay=0.01)
    optimizer.freeze_below(len(optimizer.groups) - 2)
    theirs = [all(p.requires_grad for p in group) for group in learner.opt.param_lists]
    assert [all(p.requires_grad for p in group) for group in optimizer.groups] == theirs


def test_fastai_load_encoder_accepts_our_export_and_gives_the_same_states(tmp_path):
    learner, model = _classifiers(tmp_path)
    ids = torch.from_numpy(random_documents(3, seed=8).ids[:60].astype(np.int64)).view(3, 20)
    theirs = learner.model[0].module.eval()
    theirs.reset()
    model.eval()
    out, _ = model.encoder(ids, model.encoder.initial_state(3))
    torch.testing.assert_close(out, theirs(ids), atol=1e-6, rtol=0)
