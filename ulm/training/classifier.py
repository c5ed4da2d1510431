"""The ULMFiT classifier: an encoder with concat pooling, fine-tuned with gradual unfreezing.

B batch, T time, N documents, C classes. An encoder, encoded documents and labels go in; a
classifier that predicts class probabilities comes out. The schedule is ULMFiT's: one slanted
triangle over the whole training, discriminative rates, one more layer group each epoch (sections
3.2 and 3.3).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ulm.errors import UlmError, require_at_least
from ulm.model.architecture import CLASSIFIER_DROPOUTS, AwdLstm
from ulm.model.encoder import Encoder
from ulm.model.precision import autocast, check_device
from ulm.model.text_classifier import PoolingHead, TextClassifier
from ulm.seeding import seed_for
from ulm.text.tokens import Documents
from ulm.training.accumulation import scores_in_parts
from ulm.training.batches import bucketed, by_length, num_batches, pad_documents
from ulm.training.epochs import Epoch, TrainingSummary, Validation, run_epochs
from ulm.training.listener import EpochListener, EpochReport
from ulm.training.memory_errors import is_out_of_memory
from ulm.training.optimizer import GroupedAdamW
from ulm.training.regularisation import regularised
from ulm.training.schedules import (
    discriminative_rates,
    epochs_for,
    first_trainable_group,
    slanted_triangular,
)
from ulm.training.two_passes import TwoPasses

MOMENTUM = 0.8
SCORING_BATCH = {"cpu": (64, 2**15), "cuda": (1024, 2**19)}
"""Documents and padded tokens scored at a time at most; a GPU scores 3 times as fast with 1,024."""

Labels = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassifierSettings:
    """How a classifier trains.

    Args:
        epochs: Passes over the labelled documents.
        minimum_steps: Training lasts at least this many optimiser steps.
        batch: Documents per step.
        bptt: Tokens per window.
        maximum_tokens: Pooling and gradients see at most this many last tokens of a document.
        learning_rate: Peak rate of the last layer group.
        decay: Divisor of the rate from one layer group to the one below; 1 for random weights.
        gradual: Unfreeze one layer group per epoch; False trains all from the start.
        dropout: Multiplier of fastai's classifier dropouts.
        weight_decay: Decoupled weight decay.
        precision: `fp32`, or `bf16` autocast in training.
        accumulation: Parts a step's documents are cut into to save memory; the gradient stays.
    """

    epochs: int = 8
    minimum_steps: int = 0
    batch: int = 32
    bptt: int = 70
    maximum_tokens: int = 1400
    learning_rate: float = 1e-2
    decay: float = 2.6
    gradual: bool = True
    dropout: float = 0.5
    weight_decay: float = 0.01
    precision: Literal["fp32", "bf16"] = "fp32"
    accumulation: int = 1

    def __post_init__(self) -> None:
        require_at_least(1, self, "epochs", "bptt", "accumulation")
        require_at_least(2, self, "batch")  # batch normalisation compares documents
        # the windows that are pooled hold a part of every document
        require_at_least(2 * self.bptt, self, "maximum_tokens")


def build_classifier(
    encoder: Encoder,
    *,
    num_classes: int,
    settings: ClassifierSettings,
    seed: int,
) -> TextClassifier:
    """A classifier with an encoder's weights and a random head drawn from `seed`."""
    scaled = CLASSIFIER_DROPOUTS.scaled(settings.dropout)
    lstm = AwdLstm(encoder.architecture, len(encoder.vocabulary.words), scaled)
    lstm.load_state_dict(
        {
            name.removeprefix("encoder."): tensor
            for name, tensor in encoder.weights.items()
            if name.startswith("encoder.")
        }
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        head = PoolingHead(
            embedding=encoder.architecture.embedding, classes=num_classes, dropout=scaled.output
        )
    return TextClassifier(lstm, head, bptt=settings.bptt, maximum_tokens=settings.maximum_tokens)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TrainedClassifier:
    """A classifier with the weights of its best epoch, and what training did."""

    model: TextClassifier
    summary: TrainingSummary

    def predict(self, documents: Documents) -> NDArray[np.float32]:
        """Class probabilities, [N, C], in the order of the documents."""
        return torch.softmax(class_scores(self.model, documents), -1).numpy()


@torch.no_grad()
def class_scores(model: TextClassifier, documents: Documents) -> Tensor:
    """Class scores [N, C] on the CPU; fewer documents at a time where memory does not suffice."""
    model.eval()
    if not len(documents):
        return torch.empty(0, model.head.dense_out.out_features)
    kind = model.encoder.embedding.weight.device.type
    number, tokens = SCORING_BATCH.get(kind, SCORING_BATCH["cpu"])
    while number > 1:
        try:
            return _scores(model, documents, number, tokens)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            number, tokens = number // 2, tokens // 2
        torch.cuda.empty_cache()  # the error and what its frames held are gone
    return _scores(model, documents, number, tokens)


def _scores(model: TextClassifier, documents: Documents, number: int, tokens: int) -> Tensor:
    device = model.encoder.embedding.weight.device
    scores: list[Tensor] = []
    rows: list[NDArray[np.int64]] = []
    for batch in by_length(documents.lengths, batch=number, tokens=tokens):
        ids, lengths = _batch(documents, batch, model.bptt)
        scores.append(model(ids.to(device), lengths)[0].float().cpu())
        rows.append(batch)
    ordered = torch.empty(len(documents), scores[0].shape[1])
    ordered[torch.from_numpy(np.concatenate(rows))] = torch.cat(scores)
    return ordered


def _batch(documents: Documents, rows: NDArray[np.int64], bptt: int) -> tuple[Tensor, list[int]]:
    texts = [documents[int(row)] for row in rows]
    return torch.from_numpy(pad_documents(texts, bptt=bptt)), [len(text) for text in texts]


def forward_pass(
    model: TextClassifier, settings: ClassifierSettings, device: torch.device
) -> Callable[[Tensor, list[int]], Any]:
    """What gives a batch's scores and outputs in training."""
    if device.type != "cuda":
        return model
    return TwoPasses(model, rows=settings.batch + 1)  # see `bucketed`


class ClassifierTask:
    """A classifier in training, as `run_epochs` drives it; see `train_classifier`."""

    def __init__(
        self,
        encoder: Encoder,
        train: Documents,
        labels: Sequence[int] | Labels,
        validation: tuple[Documents, Labels] | None,
        settings: ClassifierSettings,
        *,
        num_classes: int,
        seed: int,
        device: torch.device,
    ) -> None:
        self.model = model = build_classifier(
            encoder, num_classes=num_classes, settings=settings, seed=seed_for(seed, "head")
        ).to(device)
        self.documents = train
        self.labels = torch.from_numpy(np.asarray(labels, np.int64)).to(device)
        self.validation = validation
        self.settings = settings
        self.seed = seed
        self.num_epochs = epochs_for(
            epochs=settings.epochs,
            minimum_steps=settings.minimum_steps,
            steps_per_epoch=num_batches(len(train), batch=settings.batch),
        )
        self.device = device
        groups = model.layer_groups()
        self.rates = discriminative_rates(
            settings.learning_rate, decay=settings.decay, num_groups=len(groups)
        )
        self.optimizer = GroupedAdamW(model, groups, weight_decay=settings.weight_decay)
        self._forward_pass = forward_pass(model, settings, device)

    def train_epoch(self, epoch: int) -> Epoch:
        """One pass over the labelled documents, with the layer groups this epoch trains."""
        self.optimizer.freeze_below(
            first_trainable_group(epoch, num_groups=len(self.rates), gradual=self.settings.gradual)
        )
        generator = np.random.default_rng(seed_for(self.seed, "order", epoch))
        batches = bucketed(self.documents.lengths, batch=self.settings.batch, generator=generator)
        self.model.train()
        total = torch.zeros((), device=self.device)
        for step, rows in enumerate(batches):
            total += self._step(rows, (epoch - 1 + step / len(batches)) / self.num_epochs)
        return Epoch(
            steps=len(batches),
            tokens=len(self.documents.ids),
            train_loss=float(total) / len(batches),
            learning_rate=self.rates[-1] * slanted_triangular(epoch / self.num_epochs),
        )

    def _step(self, rows: NDArray[np.int64], progress: float) -> Tensor:
        factor = slanted_triangular(progress)
        self.optimizer.set_rates([rate * factor for rate in self.rates], momentum=MOMENTUM)
        ids, lengths = _batch(self.documents, rows, self.settings.bptt)
        with autocast(self.settings.precision, self.device):
            scores, out = self._forward(ids.to(self.device), lengths)
        loss = F.cross_entropy(scores.float(), self.labels[torch.from_numpy(rows)])
        regularised(loss, out, out).backward()
        self.optimizer.step()
        return loss.detach()

    def _forward(self, ids: Tensor, lengths: list[int]) -> tuple[Tensor, Tensor]:
        if self.settings.accumulation == 1:
            scores, out = self._forward_pass(ids, lengths)
            return scores, out
        return scores_in_parts(self.model, ids, lengths, self.settings.accumulation)

    def validate(self) -> Validation | None:
        """Loss and accuracy on the held-out labels; None where there are none."""
        if self.validation is None:
            return None
        documents, labels = self.validation
        truth = torch.from_numpy(np.asarray(labels, np.int64))
        scores = class_scores(self.model, documents)
        return Validation(
            loss=float(F.cross_entropy(scores, truth)),
            accuracy=int((scores.argmax(-1) == truth).sum()) / len(truth),
        )


def _more_accurate(report: EpochReport, best: EpochReport) -> bool:
    """Higher accuracy, then lower loss; without a validation part the last epoch is kept."""
    if report.validation_loss is None or best.validation_loss is None:
        return True
    assert report.validation_accuracy is not None
    assert best.validation_accuracy is not None
    return (report.validation_accuracy, -report.validation_loss) > (
        best.validation_accuracy,
        -best.validation_loss,
    )


def train_classifier(
    encoder: Encoder,
    train: Documents,
    labels: Sequence[int] | Labels,
    settings: ClassifierSettings,
    *,
    num_classes: int,
    seed: int,
    validation: tuple[Documents, Labels] | None = None,
    listener: EpochListener | None = None,
    resume_from: str | Path | None = None,
    device: str = "cpu",
) -> TrainedClassifier:
    """Fine-tunes a classifier on labelled documents.

    Args:
        encoder: Where its encoder's weights come from.
        train: Labelled documents, encoded with the encoder's vocabulary.
        labels: Class of each, in 0 … C-1.
        settings: How to train.
        num_classes: Number of classes C.
        seed: Seeds head, order and dropout.
        validation: Documents and labels that choose the best epoch; the last is kept without.
        listener: Told of every epoch, may stop the training.
        resume_from: State written by the `save` a listener was given.
        device: torch device name.

    Returns:
        The classifier of the best epoch, and the summary.

    Raises:
        TrainingDiverged: The loss is no longer finite.
        UlmError: There are too few documents, or the device has no bf16.
    """
    if len(train) < 2:
        raise UlmError(f"a classifier needs 2 documents to train on, found {len(train)}")
    if validation is not None and not len(validation[0]):
        raise UlmError("validation must hold a document, found none; leave it out")
    check_device(torch.device(device), settings.precision)
    task = ClassifierTask(
        encoder,
        train,
        labels,
        validation,
        settings,
        num_classes=num_classes,
        seed=seed,
        device=torch.device(device),
    )
    summary = run_epochs(
        task,
        num_epochs=task.num_epochs,
        seed=seed,
        better=_more_accurate,
        listener=listener,
        resume_from=resume_from,
    )
    return TrainedClassifier(model=task.model, summary=summary)
