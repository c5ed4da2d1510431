"""Encoders as values and files: language-model weights, vocabulary, architecture, provenance.

Saved as safetensors + JSON, manifest last; read without executing anything. fastai's own files
(`.pth` weights and `.pkl` vocabulary, as published for WikiText-103) come in through torch's
`weights_only` reader and an unpickler that admits plain lists of strings, and go out again.
"""

import io
import json
import pickle
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from ulm.errors import UlmError
from ulm.model.architecture import Architecture, AwdLstm, Dropouts, LanguageModel
from ulm.text.vocabulary import Vocabulary, source_rows

WEIGHTS_FILE = "encoder.safetensors"
MANIFEST_FILE = "encoder.json"
EMBEDDING = "encoder.embedding.weight"
BIAS = "bias"


class EncoderError(UlmError):
    """An encoder's files are missing, damaged or not what they should be."""


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
        found = tuple(self.weights[EMBEDDING].shape)
        wanted = (len(self.vocabulary.words), self.architecture.embedding)
        if found != wanted:
            raise EncoderError(
                f"the embedding must have a row per word, {wanted} here, found {found}: "
                "give the vocabulary and architecture the weights were trained with"
            )

    def save(self, folder: Path) -> None:
        """Writes the encoder into a folder; the manifest appears last."""
        folder.mkdir(parents=True, exist_ok=True)
        manifest = {
            "format": 1,
            "architecture": asdict(self.architecture),
            "vocabulary": list(self.vocabulary.words),
            "provenance": dict(self.provenance),
        }
        save_file({name: t.contiguous() for name, t in self.weights.items()}, folder / WEIGHTS_FILE)
        beside = folder / (MANIFEST_FILE + ".part")
        beside.write_text(json.dumps(manifest, ensure_ascii=False), encoding="utf-8")
        beside.replace(folder / MANIFEST_FILE)

    @classmethod
    def load(cls, folder: Path) -> "Encoder":
        """Reads an encoder from a folder.

        Raises:
            EncoderError: The folder holds no whole encoder.
        """
        try:
            manifest = json.loads((folder / MANIFEST_FILE).read_text(encoding="utf-8"))
            weights = load_file(folder / WEIGHTS_FILE)
            return cls(
                architecture=Architecture(**manifest["architecture"]),
                vocabulary=Vocabulary(words=tuple(manifest["vocabulary"])),
                weights=weights,
                provenance=manifest["provenance"],
            )
        except (OSError, KeyError, TypeError, ValueError) as error:
            if isinstance(error, EncoderError):
                raise
            raise EncoderError(
                f"an encoder is a folder with {WEIGHTS_FILE} and {MANIFEST_FILE}, "
                f"{folder} could not be read ({error}): save it again with Encoder.save"
            ) from error
        except Exception as error:
            if type(error).__name__ != "SafetensorError":
                raise
            raise EncoderError(
                f"{folder / WEIGHTS_FILE} is damaged ({error}): remove the folder and train again"
            ) from error


NO_DROPOUT = Dropouts(input=0, hidden=0, weight=0, embedding=0, output=0)


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


def _fastai_names(layers: int) -> dict[str, str]:
    """Our parameter name → fastai's name in a language model's state dict."""
    names = {EMBEDDING: "0.encoder.weight", BIAS: "1.decoder.bias"}
    for layer in range(layers):
        ours, theirs = f"encoder.layers.{layer}", f"0.rnns.{layer}"
        names[f"{ours}.weight_hh_l0"] = f"{theirs}.weight_hh_l0_raw"
        for part in ("weight_ih_l0", "bias_ih_l0", "bias_hh_l0"):
            names[f"{ours}.{part}"] = f"{theirs}.module.{part}"
    return names


def export_fastai(
    encoder: Encoder, folder: Path, *, name: str = "encoder"
) -> tuple[Path, Path, Path]:
    """Writes an encoder in fastai's format.

    Args:
        encoder: The encoder.
        folder: Where to write; fastai's learners look under `<path>/models`.
        name: Stem of the files.

    Returns:
        `<name>.pth` for `Learner.load_encoder`, `<name>_lm.pth` and `<name>_lm.pkl` for
        `language_model_learner(pretrained_fnames=...)`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    weights = encoder.weights
    whole = {
        theirs: weights[ours].clone()
        for ours, theirs in _fastai_names(encoder.architecture.layers).items()
    }
    whole["0.encoder_dp.emb.weight"] = whole["0.encoder.weight"].clone()
    whole["1.decoder.weight"] = whole["0.encoder.weight"].clone()
    ordered = _in_fastai_order(whole, encoder.architecture.layers)
    part = {key.removeprefix("0."): t for key, t in ordered.items() if key.startswith("0.")}
    files = (folder / f"{name}.pth", folder / f"{name}_lm.pth", folder / f"{name}_lm.pkl")
    torch.save(part, files[0])
    torch.save(ordered, files[1])
    files[2].write_bytes(pickle.dumps(list(encoder.vocabulary.words)))
    return files


def _in_fastai_order(weights: dict[str, Tensor], layers: int) -> dict[str, Tensor]:
    """Fastai loads pretrained weights by position (`load_ignore_keys`), so order matters."""
    order = ["0.encoder.weight", "0.encoder_dp.emb.weight"]
    for layer in range(layers):
        order.append(f"0.rnns.{layer}.weight_hh_l0_raw")
        order += [
            f"0.rnns.{layer}.module.{part}" for part in ("weight_ih_l0", "bias_ih_l0", "bias_hh_l0")
        ]
    order += ["1.decoder.weight", "1.decoder.bias"]
    return {key: weights[key] for key in order}


class _ListUnpickler(pickle.Unpickler):
    """Reads lists of strings and refuses everything that would call code."""

    def find_class(self, module: str, name: str) -> Any:
        raise EncoderError(
            f"a fastai vocabulary is a pickled list of strings, found {module}.{name}: "
            "this file was not loaded, because it could run code"
        )


def _read_vocabulary(path: Path) -> Vocabulary:
    try:
        words = _ListUnpickler(io.BytesIO(path.read_bytes())).load()
    except (OSError, EOFError, pickle.UnpicklingError) as error:
        raise EncoderError(f"{path} could not be read as a pickled list: {error}") from error
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise EncoderError(f"a fastai vocabulary is a pickled list of strings, {path} is not")
    return Vocabulary(words=tuple(words))


def import_fastai(weights: Path, vocabulary: Path) -> Encoder:
    """Reads a fastai language model: `.pth` weights and `.pkl` vocabulary.

    Sizes are read from the weights. Older files that hold the recurrent weights twice are accepted.

    Raises:
        EncoderError: The files are not a fastai AWD-LSTM language model, or would run code.
    """
    words = _read_vocabulary(vocabulary)
    try:
        state: dict[str, Any] = torch.load(weights, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, pickle.UnpicklingError, EOFError) as error:
        raise EncoderError(f"{weights} could not be read as plain weights: {error}") from error
    state = state.get("model", state)
    layers = sum(key.endswith(".weight_hh_l0_raw") for key in state)
    names = _fastai_names(layers)
    missing = [theirs for theirs in names.values() if theirs not in state]
    if missing or not layers:
        raise EncoderError(
            f"{weights} is not a fastai AWD-LSTM language model: it lacks {missing[:3]}; "
            "a file from save_encoder has no decoder, give the one saved with Learner.save"
        )
    ours = {name: state[theirs].float().contiguous() for name, theirs in names.items()}
    hidden = ours["encoder.layers.0.weight_hh_l0"].shape[1]
    return Encoder(
        architecture=Architecture(embedding=ours[EMBEDDING].shape[1], hidden=hidden, layers=layers),
        vocabulary=words,
        weights=ours,
        provenance={"kind": "fastai", "weights": weights.name},
    )


def load_wikitext103() -> Encoder:
    """Fastai's WikiText-103 forward model, downloaded by `untar_data` where it is not at hand.

    Raises:
        EncoderError: It is not at hand and cannot be downloaded.
    """
    from fastai.data.external import URLs, untar_data  # heavy; only where weights are imported

    try:
        folder = Path(untar_data(URLs.WT103_FWD, c_key="model"))
        return import_fastai(next(folder.glob("*.pth")), next(folder.glob("*.pkl")))
    except (OSError, StopIteration) as error:
        raise EncoderError(
            f"fastai's WikiText-103 weights are not at hand and could not be downloaded ({error}): "
            "unpack wt103-fwd.tgz into fastai's models folder, or choose another `general`"
        ) from error
