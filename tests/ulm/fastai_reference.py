"""A tiny corpus of ids, and the same weights in fastai's learners and ours."""

import warnings

import numpy as np
import torch

from ulm.model.architecture import Architecture
from ulm.model.encoder import Encoder, random_encoder
from ulm.text.tokens import Documents
from ulm.text.vocabulary import Vocabulary

warnings.simplefilter("ignore")

SPECIAL = ("xxunk", "xxpad", "xxbos", "xxeos", "xxfld", "xxrep", "xxwrep", "xxup", "xxmaj")
WORDS = Vocabulary(words=SPECIAL + tuple(f"word{i}" for i in range(51)))
SMALL = Architecture(embedding=12, hidden=20, layers=3)


def small_encoder(seed: int = 0) -> Encoder:
    """Random weights, with a decoder bias that is not zero."""
    encoder = random_encoder(SMALL, WORDS, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    weights = dict(encoder.weights)
    weights["bias"] = torch.randn(len(WORDS.words), generator=generator) * 0.1
    return Encoder(architecture=SMALL, vocabulary=WORDS, weights=weights)


def random_documents(num_documents: int, seed: int, longest: int = 60) -> Documents:
    """Documents that start with xxbos, as fastai's tokeniser makes them."""
    generator = np.random.default_rng(seed)
    lengths = generator.integers(8, longest, num_documents)
    ids = generator.integers(9, len(WORDS.words), lengths.sum()).astype(np.int32)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    ids[offsets[:-1]] = 2
    return Documents(ids=ids, offsets=offsets)


def fastai_config() -> dict[str, float | int | bool]:
    """fastai's config of the small architecture with dropout off.

    With a weight dropout of exactly 0, torch 2.13's dropout returns the parameter itself and
    fastai's `WeightDropout` fails at the next reset; 1e-9 drops nothing and takes the usual path.
    """
    sizes = {"emb_sz": 12, "n_hid": 20, "n_layers": 3, "pad_token": 1, "bidir": False}
    off = {"hidden_p": 0.0, "input_p": 0.0, "embed_p": 0.0, "weight_p": 1e-9, "output_p": 0.0}
    return sizes | off
