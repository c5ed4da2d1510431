"""The other side of the training benchmarks: fastai as a good user writes it.

Documents are ids already, so that neither side tokenises. Sizes, dropouts, batch, window, optimiser
and schedule are those of ours; everything else is fastai's default.
"""

import warnings
from typing import Any

import torch
from table import clock

from ulm.model.architecture import Architecture
from ulm.text.tokens import Documents

warnings.simplefilter("ignore")  # fastai's and torch's own deprecations


def config(defaults: dict[str, Any], sizes: Architecture) -> dict[str, Any]:
    """A fastai config with our sizes."""
    own = {"emb_sz": sizes.embedding, "n_hid": sizes.hidden, "n_layers": sizes.layers}
    return defaults | own


def no_dropout(defaults: dict[str, Any]) -> dict[str, Any]:
    """A config with dropout off; a weight dropout of exactly 0 fails in torch 2.13 (see tests)."""
    off = {name: 0.0 for name in defaults if name.endswith("_p")}
    return defaults | off | {"weight_p": 1e-9}


def tensors(documents: Documents) -> list[Any]:
    """Documents as fastai's loaders take them."""
    from fastai.text.data import TensorText

    return [
        TensorText(torch.from_numpy(documents[index].astype("int64")))
        for index in range(len(documents))
    ]


def train_epoch(learner: Any, rate: float, losses: list[float] | None = None) -> float:
    """Trains one epoch; its seconds, loading of batches included, validation left out.

    Args:
        learner: What to train.
        rate: Peak learning rate.
        losses: Where to add the loss of every step.
    """
    from fastai.callback import schedule  # noqa: F401  gives learners fit_one_cycle
    from fastai.callback.core import Callback, CancelValidException

    device = learner.dls.device
    marks: list[float] = []

    class Watch(Callback):  # type: ignore[misc]  # fastai has no types
        def before_train(self) -> None:
            marks.append(now(device))

        def after_train(self) -> None:
            marks.append(now(device))

        def after_loss(self) -> None:
            if losses is not None:
                losses.append(float(self.learn.loss))

        def before_validate(self) -> None:
            raise CancelValidException

    with learner.no_bar(), learner.no_logging():
        learner.fit_one_cycle(1, rate, cbs=Watch())
    return marks[1] - marks[0]


def now(device: torch.device) -> float:
    """Seconds, when all work given to the device is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return clock()


def language_model(
    train: Documents,
    words: tuple[str, ...],
    sizes: Architecture,
    *,
    batch: int,
    bptt: int,
    dropout: float,
    device: torch.device,
    half: bool = False,
) -> Any:
    """A learner that trains a language model on documents."""
    from fastai.callback import fp16  # noqa: F401  gives learners to_fp16
    from fastai.data.core import DataLoaders
    from fastai.text.data import LMDataLoader
    from fastai.text.learner import language_model_learner
    from fastai.text.models.awdlstm import AWD_LSTM, awd_lstm_lm_config

    loader = LMDataLoader(tensors(train), bs=batch, seq_len=bptt, shuffle=dropout > 0)
    loaders = DataLoaders(loader, loader, device=device)
    loaders.vocab = list(words)
    shape = config(awd_lstm_lm_config, sizes)
    learner = language_model_learner(  # with activation regularisation, as ours
        loaders,
        AWD_LSTM,
        config=shape if dropout else no_dropout(shape),
        pretrained=False,
        drop_mult=dropout or 1.0,
    )
    return learner.to_fp16() if half else learner


def classifier(
    train: Documents,
    labels: Any,
    words: tuple[str, ...],
    sizes: Architecture,
    *,
    batch: int,
    bptt: int,
    dropout: float,
    device: torch.device,
    half: bool = False,
) -> Any:
    """A learner that trains a classifier of two classes on documents and validates on them."""
    from functools import partial

    from fastai.callback import fp16  # noqa: F401  gives learners to_fp16
    from fastai.data.core import DataLoaders
    from fastai.losses import CrossEntropyLossFlat
    from fastai.text.data import SortedDL, pad_input_chunk
    from fastai.text.learner import text_classifier_learner
    from fastai.text.models.awdlstm import AWD_LSTM, awd_lstm_clas_config

    samples = list(zip(tensors(train), torch.as_tensor(labels), strict=True))
    options = {
        "bs": batch,
        "res": [int(length) for length in train.lengths],
        "before_batch": partial(pad_input_chunk, pad_idx=1, seq_len=bptt),
        "num_workers": 0,
    }
    loaders = DataLoaders(
        SortedDL(samples, shuffle=True, **options), SortedDL(samples, **options), device=device
    )
    loaders.vocab = list(words)
    learner = text_classifier_learner(
        loaders,
        AWD_LSTM,
        seq_len=bptt,
        config=config(awd_lstm_clas_config, sizes),
        pretrained=False,
        drop_mult=dropout,
        n_out=2,
        max_len=20 * bptt,
        loss_func=CrossEntropyLossFlat(),
    )
    return learner.to_fp16() if half else learner


def validate(learner: Any) -> float:
    """Scores the validation documents; seconds."""
    begin = now(learner.dls.device)
    with learner.no_bar(), learner.no_logging():
        learner.validate()
    return now(learner.dls.device) - begin
