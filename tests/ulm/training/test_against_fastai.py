"""Proof that this is ULMFiT: the same weights and batches in fastai's learners and in ours."""

import numpy as np
import pytest
import torch
from fastai.callback import schedule  # noqa: F401  gives learners fit_one_cycle
from fastai.callback.core import Callback
from fastai.data.core import DataLoaders
from fastai.losses import CrossEntropyLossFlat
from fastai.text.data import pad_input_chunk
from fastai.text.learner import language_model_learner, text_classifier_learner
from fastai.text.models.awdlstm import AWD_LSTM
from fastai.torch_core import even_mults

from tests.ulm.fastai_reference import WORDS, fastai_config, random_documents, small_encoder
from ulm.model.architecture import LANGUAGE_MODEL_DROPOUTS
from ulm.model.encoder import build_language_model
from ulm.model.fastai_format import export_fastai
from ulm.training.batches import pad_documents, stream
from ulm.training.classifier import ClassifierSettings, build_classifier
from ulm.training.optimizer import GroupedAdamW
from ulm.training.regularisation import regularised
from ulm.training.schedules import discriminative_rates, one_cycle, one_cycle_momentum

pytestmark = [
    pytest.mark.torch,
    pytest.mark.filterwarnings("ignore"),  # fastai's and torch's own deprecations
]

STEPS = 20
RATE = 5e-3


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


def _lm_batches():
    tokens = torch.from_numpy(stream(random_documents(60, seed=1), batch=4))
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


def _our_language_model_losses(batches, decay):
    encoder = small_encoder()
    model = build_language_model(encoder, LANGUAGE_MODEL_DROPOUTS.scaled(0.0)).train()
    groups = model.layer_groups()
    optimizer = GroupedAdamW(model, groups, weight_decay=0.01)
    rates = discriminative_rates(RATE, decay=decay, num_groups=len(groups))
    state, losses = model.encoder.initial_state(4), []
    for step, (inputs, targets) in enumerate(batches):
        factor = one_cycle(step / len(batches))
        optimizer.set_rates(
            [rate * factor for rate in rates], momentum=one_cycle_momentum(step / len(batches))
        )
        raw, out, state = model(inputs, state)
        loss = model.loss(out, targets)
        regularised(loss, raw, out).backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses


@pytest.mark.parametrize("decay", [1.0, 2.6])
def test_language_model_losses_agree_with_fastai_over_twenty_steps(tmp_path, decay):
    batches = _lm_batches()
    learner = _fastai_language_model(tmp_path, batches)
    learner.unfreeze()
    losses = _record_losses(learner)
    with learner.no_bar(), learner.no_logging():
        learner.fit_one_cycle(1, slice(RATE / decay**3, RATE) if decay > 1 else RATE)
    ours = _our_language_model_losses(batches, decay)
    assert len(ours) == STEPS
    assert ours == pytest.approx(losses, abs=1e-4)
    assert losses[-1] < losses[0]


def test_language_model_groups_and_rates_are_those_of_fastai(tmp_path):
    learner = _fastai_language_model(tmp_path, _lm_batches())
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
    return learner, model


@pytest.mark.parametrize("maximum_tokens", [1400, 30])
def test_classifier_losses_agree_with_fastai_over_twenty_steps(tmp_path, maximum_tokens):
    learner, model = _classifiers(tmp_path, maximum_tokens=maximum_tokens)
    learner.unfreeze()
    losses = _record_losses(learner)
    with learner.no_bar(), learner.no_logging():
        learner.fit_one_cycle(1, slice(RATE / 2.6**4, RATE))
    assert _our_classifier_losses(model) == pytest.approx(losses, abs=1e-4)
    assert len(losses) == STEPS


def _our_classifier_losses(model):
    model.train()
    groups = model.layer_groups()
    optimizer = GroupedAdamW(model, groups, weight_decay=0.01)
    rates = discriminative_rates(RATE, decay=2.6, num_groups=len(groups))
    losses = []
    for step, (texts, labels) in enumerate(_classifier_batches()):
        factor = one_cycle(step / STEPS)
        optimizer.set_rates(
            [rate * factor for rate in rates], momentum=one_cycle_momentum(step / STEPS)
        )
        ids = torch.from_numpy(pad_documents(texts, bptt=10))
        scores, out = model(ids, [len(text) for text in texts])
        loss = torch.nn.functional.cross_entropy(scores, labels)
        regularised(loss, out, out).backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses


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
