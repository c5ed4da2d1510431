"""Fastai's files of an AWD-LSTM, `.pth` weights and `.pkl` vocabulary, become an encoder and back.

They come in (as published for WikiText-103) through torch's `weights_only` reader and an unpickler
that admits plain lists of strings: neither runs anything a file holds.
"""

import io
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ulm.model.architecture import Architecture
from ulm.model.encoder import BIAS, EMBEDDING, Encoder, EncoderError, brief
from ulm.text.downloads import unpacked
from ulm.text.vocabulary import SPECIAL_WORDS, Vocabulary

FILLING = "xxfake"


def _fastai_names(layers: int) -> dict[str, str]:
    """Our parameter name → fastai's name in a language model's state dict, in fastai's order."""
    names = {EMBEDDING: "0.encoder.weight"}
    for layer in range(layers):
        ours, theirs = f"encoder.layers.{layer}", f"0.rnns.{layer}"
        names[f"{ours}.weight_hh_l0"] = f"{theirs}.weight_hh_l0_raw"
        for part in ("weight_ih_l0", "bias_ih_l0", "bias_hh_l0"):
            names[f"{ours}.{part}"] = f"{theirs}.module.{part}"
    return names | {BIAS: "1.decoder.bias"}


def export_fastai(
    encoder: Encoder, folder: str | Path, *, name: str = "encoder"
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
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    # fastai loads pretrained weights by position (`load_ignore_keys`), so order matters
    whole: dict[str, Tensor] = {}
    for ours, theirs in _fastai_names(encoder.architecture.layers).items():
        if ours == BIAS:
            whole["1.decoder.weight"] = encoder.weights[EMBEDDING].clone()
        whole[theirs] = encoder.weights[ours].clone()
        if ours == EMBEDDING:
            whole["0.encoder_dp.emb.weight"] = encoder.weights[EMBEDDING].clone()
    part = {key.removeprefix("0."): t for key, t in whole.items() if key.startswith("0.")}
    files = (folder / f"{name}.pth", folder / f"{name}_lm.pth", folder / f"{name}_lm.pkl")
    torch.save(part, files[0])
    torch.save(whole, files[1])
    files[2].write_bytes(pickle.dumps(list(encoder.vocabulary.words)))
    return files


class _ListUnpickler(pickle.Unpickler):
    """Reads lists of strings and refuses everything that would call code."""

    def find_class(self, module: str, name: str) -> Any:
        raise EncoderError(
            f"a fastai vocabulary is a pickled list of strings, found {module}.{name}: "
            "this file was not loaded, because it could run code"
        )


def _read_vocabulary(path: Path) -> list[str]:
    try:
        words = _ListUnpickler(io.BytesIO(path.read_bytes())).load()
    except EncoderError:
        raise
    except Exception as error:  # pickles can fail in every way there is
        raise EncoderError(
            f"{path} could not be read as a pickled list ({brief(error)})"
        ) from error
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise EncoderError(f"a fastai vocabulary is a pickled list of strings, {path} is not")
    return words


def _rows(words: Sequence[str]) -> list[int]:
    """The rows to keep, those of the special words first and in our order.

    fastai 1, which made the WikiText-103 model, had another order; fastai 2 fills its vocabularies
    up to a multiple of 8.
    """
    missing = sorted(set(SPECIAL_WORDS) - set(words))
    if missing:
        raise EncoderError(
            f"a fastai vocabulary must hold its special words, {missing} are missing; give the one "
            "that the weights were trained with"
        )
    special = [words.index(word) for word in SPECIAL_WORDS]
    first = set(special)
    return special + [row for row, word in enumerate(words) if row not in first and word != FILLING]


def import_fastai(weights: str | Path, vocabulary: str | Path) -> Encoder:
    """Reads a fastai language model: `.pth` weights and `.pkl` vocabulary.

    Sizes are read from the weights. Older files that hold the recurrent weights twice are accepted,
    and those of fastai 1, whose special words have another order.

    Raises:
        EncoderError: The files are not a fastai AWD-LSTM language model, or would run code.
    """
    weights = Path(weights)
    words = _read_vocabulary(Path(vocabulary))
    rows = _rows(words)
    try:
        ours = _fastai_weights(weights)
    except EncoderError:
        raise
    except pickle.UnpicklingError as error:  # torch's text says how to load it nevertheless
        raise EncoderError(
            f"{weights} could not be read as plain weights: it was not loaded, because it is "
            "damaged or could run code; a file with an optimizer's state is of that kind, save the "
            "model with Learner.save(..., with_opt=False)"
        ) from error
    except Exception as error:  # of a damaged file torch raises errors of every kind
        raise EncoderError(
            f"{weights} could not be read as plain weights ({brief(error)})"
        ) from error
    for name in (EMBEDDING, BIAS):
        if len(ours[name]) != len(words):
            raise EncoderError(
                f"{weights} must have a row per word, {len(words):,} here, found "
                f"{len(ours[name]):,}: give the vocabulary it was trained with"
            )
        ours[name] = ours[name][rows]
    hidden = ours["encoder.layers.0.weight_hh_l0"].shape[1]
    layers = (len(ours) - 2) // 4
    return Encoder(
        architecture=Architecture(embedding=ours[EMBEDDING].shape[1], hidden=hidden, layers=layers),
        vocabulary=Vocabulary(words=tuple(words[row] for row in rows)),
        weights=ours,
        provenance={"kind": "fastai", "weights": weights.name},
    )


def _fastai_weights(file: Path) -> dict[str, Tensor]:
    """Weights of a `.pth` file by our names."""
    state: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
    state = state.get("model", state)
    layers = sum(key.endswith(".weight_hh_l0_raw") for key in state)
    names = _fastai_names(layers)
    missing = [theirs for theirs in names.values() if theirs not in state]
    if missing or not layers:
        raise EncoderError(
            f"{file} is not a fastai AWD-LSTM language model: it lacks {missing[:3]}; "
            "a file from save_encoder has no decoder, give the one saved with "
            "Learner.save(..., with_opt=False)"
        )
    ours = {name: state[theirs].float().contiguous() for name, theirs in names.items()}
    dims = {tensor.dim() for tensor in (ours[EMBEDDING], ours["encoder.layers.0.weight_hh_l0"])}
    if dims != {2}:
        raise ValueError("embedding and recurrent weights must be matrices")
    return ours


def load_wikitext103() -> Encoder:
    """Fastai's WikiText-103 forward model, downloaded by `untar_data` where it is not at hand.

    Raises:
        EncoderError: It is not at hand and cannot be downloaded.
    """
    from fastai.data.external import URLs  # heavy; only where weights are imported

    try:
        folder = unpacked(URLs.WT103_FWD, c_key="model")
        return import_fastai(next(folder.glob("*.pth")), next(folder.glob("*.pkl")))
    except (OSError, StopIteration) as error:
        raise EncoderError(
            f"fastai's WikiText-103 weights are not at hand and could not be downloaded ({error}): "
            "unpack wt103-fwd.tgz into fastai's models folder, or choose another `general`"
        ) from error
