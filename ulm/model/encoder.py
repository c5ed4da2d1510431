"""Encoders as values and files: language-model weights, vocabulary, architecture, provenance.

Saved as safetensors + JSON, manifest last; read without executing anything. What a folder claims
is held against its weights before anything is built of it.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from ulm.errors import UlmError
from ulm.files import write_model
from ulm.model.architecture import NO_DROPOUT, Architecture, AwdLstm, Dropouts, LanguageModel
from ulm.text.vocabulary import Vocabulary, source_rows

WEIGHTS_FILE = "encoder.safetensors"
MANIFEST_FILE = "encoder.json"
EMBEDDING = "encoder.embedding.weight"
BIAS = "bias"


class EncoderError(UlmError):
    """An encoder's files are missing, damaged or not what they should be."""


def _shapes(architecture: Architecture, words: int, limit: int) -> dict[str, tuple[int, ...]]:
    """Shape of every weight by name, of `limit` layers at most: a file may claim any number."""
    shapes: dict[str, tuple[int, ...]] = {
        EMBEDDING: (words, architecture.embedding),
        BIAS: (words,),
    }
    claimed = replace(architecture, layers=min(architecture.layers, limit))
    for layer, (inputs, outputs) in enumerate(claimed.layer_sizes):
        gates = 4 * outputs
        for part, shape in (
            ("weight_ih_l0", (gates, inputs)),
            ("weight_hh_l0", (gates, outputs)),
            ("bias_ih_l0", (gates,)),
            ("bias_hh_l0", (gates,)),
        ):
            shapes[f"encoder.layers.{layer}.{part}"] = shape
    return shapes


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Encoder:
    """A language model's weights with all that is needed to use them.

    Args:
        architecture: Sizes.
        vocabulary: The word of each embedding row.
        weights: Parameters by name, as `LanguageModel` names them, on the CPU.
        provenance: Where it comes from, JSON-able.
    """

    architecture: Architecture
    vocabulary: Vocabulary
    weights: Mapping[str, Tensor]
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        found = {name: tuple(tensor.shape) for name, tensor in self.weights.items()}
        wanted = _shapes(self.architecture, len(self.vocabulary.words), limit=len(found))
        if found.get(EMBEDDING) != wanted[EMBEDDING]:
            raise EncoderError(
                f"the embedding must have a row per word, {wanted[EMBEDDING]} here, found "
                f"{found.get(EMBEDDING)}: give the vocabulary and architecture the weights were "
                "trained with"
            )
        differing = sorted(n for n in {*wanted, *found} if wanted.get(n) != found.get(n))
        if differing:
            name = differing[0]
            raise EncoderError(
                f"the weights must be those of {self.architecture}, with {name} of shape "
                f"{wanted.get(name)}, found {found.get(name)}: give the architecture they were "
                "trained with"
            )

    def save(self, folder: str | Path) -> None:
        """Writes the encoder into a folder; the manifest appears last."""
        folder = Path(folder)
        manifest = {
            "format": 1,
            "architecture": asdict(self.architecture),
            "vocabulary": list(self.vocabulary.words),
            "provenance": dict(self.provenance),
        }
        weights = {name: t.contiguous() for name, t in self.weights.items()}
        write_model(
            folder / WEIGHTS_FILE, partial(save_file, weights), folder / MANIFEST_FILE, manifest
        )

    @classmethod
    def load(cls, folder: str | Path) -> "Encoder":
        """Reads an encoder from a folder.

        Raises:
            EncoderError: The folder holds no whole encoder.
        """
        folder = Path(folder)
        try:
            manifest = json.loads((folder / MANIFEST_FILE).read_text(encoding="utf-8"))
            return cls(
                architecture=_architecture(manifest["architecture"]),
                vocabulary=Vocabulary(words=tuple(manifest["vocabulary"])),
                weights=_floats(load_file(folder / WEIGHTS_FILE)),
                provenance=dict(manifest["provenance"]),
            )
        except EncoderError:
            raise
        except Exception as error:  # of a damaged file each reader raises errors of its own
            raise EncoderError(
                f"an encoder is a folder with {WEIGHTS_FILE} and {MANIFEST_FILE}, "
                f"{folder} could not be read ({brief(error)}): save it again with Encoder.save, "
                "or remove the folder and train again"
            ) from error


def _architecture(told: Mapping[str, Any]) -> Architecture:
    if not all(isinstance(size, int) for size in told.values()):
        raise TypeError(f"sizes must be whole numbers, found {told}")
    return Architecture(**told)


def _floats(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    for name, tensor in weights.items():
        if not tensor.is_floating_point():
            raise TypeError(f"weights must be floats, found {name} as {tensor.dtype}")
    return weights


def brief(error: BaseException) -> str:
    """An error of a reader on one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]


def build_language_model(encoder: Encoder, dropouts: Dropouts = NO_DROPOUT) -> LanguageModel:
    """The language model with an encoder's weights."""
    model = LanguageModel(AwdLstm(encoder.architecture, len(encoder.vocabulary.words), dropouts))
    model.load_state_dict(dict(encoder.weights))
    return model


def encoder_of(model: LanguageModel, like: Encoder) -> Encoder:
    """A model's weights as an encoder, with vocabulary and provenance of the one it began as."""
    weights = {name: t.detach().to("cpu", copy=True) for name, t in model.state_dict().items()}
    return Encoder(
        architecture=like.architecture,
        vocabulary=like.vocabulary,
        weights=weights,
        provenance=like.provenance,
    )


def random_encoder(architecture: Architecture, vocabulary: Vocabulary, *, seed: int) -> Encoder:
    """An encoder with fastai's initial weights: embedding uniform in ±0.1, LSTM torch's default."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LanguageModel(AwdLstm(architecture, len(vocabulary.words), NO_DROPOUT))
    weights = {name: tensor.detach() for name, tensor in model.state_dict().items()}
    return Encoder(architecture=architecture, vocabulary=vocabulary, weights=weights)


def adapt_encoder(encoder: Encoder, vocabulary: Vocabulary) -> Encoder:
    """Maps an encoder's rows onto another vocabulary; unknown words get the mean row (ULMFiT).

    Args:
        encoder: The encoder to adapt.
        vocabulary: The vocabulary wanted.

    Returns:
        An encoder with the same layers and one row and bias per word of `vocabulary`.
    """
    rows = torch.from_numpy(source_rows(encoder.vocabulary, vocabulary))
    known = rows >= 0
    weights = dict(encoder.weights)
    for name in (EMBEDDING, BIAS):
        old = encoder.weights[name]
        new = old.mean(0, keepdim=True).repeat(len(rows), *[1] * (old.dim() - 1))
        new[known] = old[rows[known]]
        weights[name] = new
    return Encoder(
        architecture=encoder.architecture,
        vocabulary=vocabulary,
        weights=weights,
        provenance=encoder.provenance,
    )
