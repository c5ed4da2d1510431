"""Labeller: a trained classifier as a folder of files; text goes in, class probabilities come out.

N documents, C classes. Weights are safetensors, the rest is JSON, manifest last; reading executes
nothing. The folder holds all that is needed: tokens are made by the tokeniser that training used.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ulm.errors import UlmError
from ulm.files import write_model
from ulm.text.texts import with_line_feeds
from ulm.text.tokeniser import tokenise_all
from ulm.text.tokens import Documents
from ulm.text.vocabulary import Vocabulary, lookup

WEIGHTS_FILE = "labeller.safetensors"
MANIFEST_FILE = "labeller.json"
NEURAL, BAG_OF_WORDS = "neural", "bag of words"

Predict = Callable[[Documents], NDArray[np.float32]]


class LabellerError(UlmError):
    """A labeller's files are not what they should be, or it is given no list of texts."""


def encode_texts(texts: Sequence[str], vocabulary: Vocabulary) -> Documents:
    """Texts in the numbers of a vocabulary, read as the texts of a corpus are.

    Args:
        texts: At least one.
        vocabulary: The words.
    """
    ids, lengths = [], [np.zeros(1, np.int64)]
    for chunk in tokenise_all(map(with_line_feeds, texts), processes=1):
        ids.append(lookup(vocabulary, chunk.types)[chunk.ids])
        lengths.append(chunk.lengths)
    return Documents(ids=np.concatenate(ids), offsets=np.cumsum(np.concatenate(lengths)))


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Labeller:
    """A classifier that reads text.

    Args:
        vocabulary: Its words.
        labels: Name of each class.
        predict: Class probabilities [N, C] of encoded documents.
        provenance: Where it comes from, JSON-able.
    """

    vocabulary: Vocabulary
    labels: tuple[str, ...]
    predict: Predict
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def probabilities(self, texts: Iterable[str]) -> NDArray[np.float32]:
        """Class probabilities.

        Args:
            texts: N texts, as a list or a column of a table.

        Returns:
            float32 [N, C]: a row per text in their order, a column per name in `labels`.

        Raises:
            LabellerError: One text or a whole table is given, or something in it is no text.
        """
        if isinstance(texts, str):
            raise LabellerError(
                f"texts must be a list of texts, found one text, {texts[:40]!r}; put it in a list"
            )
        if isinstance(texts, Mapping) or hasattr(texts, "columns"):
            raise LabellerError("texts must be a list of texts, found a table; give one column")
        texts = list(texts)
        for row, text in enumerate(texts):
            if not isinstance(text, str):
                raise LabellerError(
                    f"texts must be texts, found {text!r:.40} in row {row}; leave out what is "
                    "missing, or put an empty text there"
                )
        if not texts:
            return np.zeros((0, len(self.labels)), np.float32)
        return self.predict(encode_texts(texts, self.vocabulary))


def save_classifiers(
    folder: str | Path,
    models: Sequence[Any],
    *,
    vocabulary: Vocabulary,
    labels: Sequence[str],
    provenance: Mapping[str, Any],
) -> None:
    """Write neural classifiers whose mean probability is the answer.

    Args:
        folder: Where to; made where missing.
        models: `TextClassifier`s of one shape.
        vocabulary: Their words.
        labels: Name of each class.
        provenance: Where they come from, JSON-able.
    """
    from safetensors.torch import save_file  # torch: seconds to load

    weights = {
        f"{number}.{name}": tensor.detach().cpu().contiguous()
        for number, model in enumerate(models)
        for name, tensor in model.state_dict().items()
    }
    first = models[0]
    shape = {
        "architecture": asdict(first.encoder.architecture),
        "bptt": first.bptt,
        "maximum_tokens": first.maximum_tokens,
        "members": len(models),
    }
    manifest = _manifest(NEURAL, shape, vocabulary, labels, provenance)
    _write(folder, partial(save_file, weights), manifest)


def save_bag_of_words(
    folder: str | Path,
    model: Any,
    *,
    vocabulary: Vocabulary,
    labels: Sequence[str],
    provenance: Mapping[str, Any],
) -> None:
    """Write a `BagOfWords`; for the arguments see `save_classifiers`."""
    from safetensors.numpy import save_file

    weights = {k: np.ascontiguousarray(v) for k, v in model.arrays().items()}
    manifest = _manifest(BAG_OF_WORDS, {}, vocabulary, labels, provenance)
    _write(folder, partial(save_file, weights), manifest)


def load_labeller(folder: str | Path) -> Labeller:
    """Read a labeller from a folder.

    Raises:
        LabellerError: The folder holds no whole labeller.
    """
    folder = Path(folder)
    try:
        manifest = json.loads((folder / MANIFEST_FILE).read_text(encoding="utf-8"))
        vocabulary = Vocabulary(words=tuple(manifest["vocabulary"]))
        labels = tuple(manifest["labels"])
        read = {NEURAL: _neural, BAG_OF_WORDS: _bag_of_words}[manifest["kind"]]
        return Labeller(
            vocabulary=vocabulary,
            labels=labels,
            predict=read(folder / WEIGHTS_FILE, manifest["shape"], vocabulary, len(labels)),
            provenance=manifest["provenance"],
        )
    except Exception as error:
        known = (OSError, KeyError, TypeError, ValueError, RuntimeError)
        if not isinstance(error, known) and type(error).__name__ != "SafetensorError":
            raise
        raise LabellerError(
            f"a labeller is a folder with {WEIGHTS_FILE} and {MANIFEST_FILE}, {folder} could not "
            f"be read ({error}): check the path, or save it again"
        ) from error


def _neural(file: Path, shape: Mapping[str, Any], vocabulary: Vocabulary, classes: int) -> Predict:
    import torch
    from safetensors.torch import load_file

    from ulm.model.architecture import Architecture
    from ulm.model.text_classifier import fitted_classifier
    from ulm.training.classifier import class_scores

    weights, models = load_file(file), []
    for number in range(shape["members"]):
        mark = f"{number}."
        model = fitted_classifier(
            {n.removeprefix(mark): t for n, t in weights.items() if n.startswith(mark)},
            Architecture(**shape["architecture"]),
            num_words=len(vocabulary),
            num_classes=classes,
            bptt=shape["bptt"],
            maximum_tokens=shape["maximum_tokens"],
        )
        models.append(model)

    def predict(documents: Documents) -> NDArray[np.float32]:
        members = [torch.softmax(class_scores(model, documents), -1) for model in models]
        mean: NDArray[np.float32] = np.mean([member.numpy() for member in members], axis=0)
        return mean

    return predict


def _bag_of_words(
    file: Path, shape: Mapping[str, Any], vocabulary: Vocabulary, classes: int
) -> Predict:
    from safetensors.numpy import load_file

    from ulm.training.bag_of_words import from_arrays

    return from_arrays(load_file(file), vocabulary).predict


def _manifest(
    kind: str,
    shape: Mapping[str, Any],
    vocabulary: Vocabulary,
    labels: Sequence[str],
    provenance: Mapping[str, Any],
) -> dict[str, Any]:
    return {
        "format": 1,
        "kind": kind,
        "shape": dict(shape),
        "labels": list(labels),
        "vocabulary": list(vocabulary.words),
        "provenance": dict(provenance),
    }


def _write(folder: str | Path, save: Callable[[Path], object], manifest: dict[str, Any]) -> None:
    folder = Path(folder)
    write_model(folder / WEIGHTS_FILE, save, folder / MANIFEST_FILE, manifest)
