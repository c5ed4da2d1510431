"""A trial of the naive sweep: stock fastai, written as its documentation does it.

A cell's documents come in as token lists; a language model is trained, then a classifier on top of
its encoder. Lengths, sizes, batch and dropout are the spec's; schedules and defaults are fastai's.
Texts are tokenised once for the whole sweep and vocabularies counted once for a cell: a user who
takes care does not do that in every trial.
"""

import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from sweeps.spec.values import SweepSpec
from ulm.training.schedules import epochs_for

warnings.simplefilter("ignore")  # fastai's and torch's own deprecations

Tokens = list[str]
THAWING = 3  # epochs in which layer groups are unfrozen one after the other


@dataclass(frozen=True, kw_only=True, slots=True)
class CellData:
    """What a cell may see.

    Args:
        train: Token lists that its language model trains on.
        validation: Those that choose its best epoch.
        labelled: Token lists and labels that a classifier trains on in the search.
        held_out: Those it is chosen by.
        test: Those the chosen one is scored on, once.
        words: The cell's vocabulary.
        general: Weights and vocabulary of the general model, where it starts from them.
    """

    train: list[Tokens]
    validation: list[Tokens]
    labelled: list[tuple[Tokens, int]]
    held_out: list[tuple[Tokens, int]]
    test: list[tuple[Tokens, int]]
    words: list[str]
    general: tuple[str, str] | None = None


def vocabulary(documents: Sequence[Tokens], spec: SweepSpec) -> list[str]:
    """The vocabulary that fastai makes of documents."""
    from fastai.text.data import make_vocab

    counts = Counter(token for document in documents for token in document)
    model = spec.model
    return list(make_vocab(counts, min_freq=model.minimum_count, max_vocab=model.vocabulary))


def _config(defaults: dict[str, Any], spec: SweepSpec) -> dict[str, Any]:
    model = spec.model
    return defaults | {"emb_sz": model.embedding, "n_hid": model.hidden, "n_layers": model.layers}


def _quiet(learner: Any) -> Any:
    from fastai.callback.progress import ProgressCallback

    return learner.remove_cb(ProgressCallback)


def language_model(
    data: CellData, spec: SweepSpec, rate: float, folder: Path, epochs: int, minimum_steps: int
) -> Any:
    """A learner that has trained a language model; the best epoch is kept."""
    from fastai.callback import schedule  # noqa: F401  gives learners fit_one_cycle
    from fastai.callback.tracker import SaveModelCallback
    from fastai.data.core import DataLoaders
    from fastai.text.data import LMDataLoader, Numericalize
    from fastai.text.learner import language_model_learner
    from fastai.text.models.awdlstm import AWD_LSTM, awd_lstm_lm_config

    shape, numericalize = spec.language_model, Numericalize(vocab=data.words)
    loaders = DataLoaders(
        *(
            LMDataLoader(
                [numericalize(document) for document in documents],
                bs=shape.batch,
                seq_len=shape.bptt,
                shuffle=documents is data.train,
            )
            for documents in (data.train, data.validation)
        ),
        path=folder,
    )
    loaders.vocab = data.words
    learner = language_model_learner(
        loaders,
        AWD_LSTM,
        config=_config(awd_lstm_lm_config, spec),
        drop_mult=shape.dropout,
        pretrained=False,
        pretrained_fnames=data.general,
        path=folder,
    )
    learner.unfreeze()
    epochs = epochs_for(
        epochs=epochs, minimum_steps=minimum_steps, steps_per_epoch=len(loaders.train)
    )
    with _quiet(learner).no_logging():
        learner.fit_one_cycle(epochs, rate, cbs=SaveModelCallback(fname="best"))
    return learner


def classifier(
    data: CellData,
    spec: SweepSpec,
    rate: float,
    folder: Path,
    train: list[tuple[Tokens, int]],
    judged: list[tuple[Tokens, int]],
) -> float:
    """Accuracy on `judged` of a classifier trained on `train`, on the encoder in the folder."""
    from fastai.callback import schedule  # noqa: F401  gives learners fit_one_cycle
    from fastai.data.core import DataLoaders
    from fastai.losses import CrossEntropyLossFlat
    from fastai.metrics import accuracy
    from fastai.text.data import Numericalize, SortedDL, pad_input_chunk
    from fastai.text.learner import text_classifier_learner
    from fastai.text.models.awdlstm import AWD_LSTM, awd_lstm_clas_config
    from fastai.torch_core import TensorCategory

    shape, numericalize = spec.classifier, Numericalize(vocab=data.words)
    pad = partial(pad_input_chunk, pad_idx=data.words.index("xxpad"), seq_len=shape.bptt)
    loaders = DataLoaders(
        *(
            SortedDL(
                [(numericalize(document), TensorCategory(label)) for document, label in part],
                bs=batch,
                shuffle=part is train,
                before_batch=pad,
            )
            for part, batch in ((train, shape.batch), (judged, 4 * shape.batch))
        ),
        path=folder,
    )
    loaders.vocab = data.words
    learner = text_classifier_learner(
        loaders,
        AWD_LSTM,
        seq_len=shape.bptt,
        config=_config(awd_lstm_clas_config, spec),
        drop_mult=shape.dropout,
        pretrained=False,
        n_out=2,
        max_len=shape.maximum_tokens,
        loss_func=CrossEntropyLossFlat(),
        metrics=accuracy,
        path=folder,
    ).load_encoder("encoder")
    rates = slice(rate / 2.6**2, rate)
    with _quiet(learner).no_logging():
        for groups in range(1, THAWING + 1):
            learner.freeze_to(-groups)
            learner.fit_one_cycle(1, rates)
        learner.unfreeze()
        learner.fit_one_cycle(max(1, shape.epochs - THAWING), rates)
        return float(learner.validate()[1])


def train(config: dict[str, Any], data: CellData, spec: SweepSpec) -> None:
    """What Tune runs: a language model, a classifier, and the encoder as a checkpoint."""
    import tempfile

    import torch
    from ray import tune

    torch.set_num_threads(spec.resources.cpus)
    with tempfile.TemporaryDirectory() as name:
        folder, shape = Path(name), spec.language_model
        learner = language_model(
            data, spec, config["language_model"], folder, shape.epochs, shape.minimum_steps
        )
        learner.save_encoder("encoder")
        value = classifier(data, spec, config["classifier"], folder, data.labelled, data.held_out)
        (folder / "models" / "best.pth").unlink()
        tune.report({"accuracy": value}, checkpoint=tune.Checkpoint.from_directory(folder))
