"""Fingerprints: one sha256 that stands for all of a corpus.

Texts, or the digests of texts that were read already, go in with parts and labels; hexadecimal
digits come out. Two corpora with the same fingerprint give the same tokens, subsets and scores.
"""

import hashlib
import json
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def fingerprint_texts(
    texts: Sequence[str],
    parts: NDArray[np.uint8],
    labels: NDArray[np.int16],
    label_names: tuple[str, ...],
) -> str:
    """Hash the sha256 of each text, the parts, the labels and their names into one sha256."""
    digests = (hashlib.sha256(text.encode("utf-8")).digest() for text in texts)
    return fingerprint_digests(b"".join(digests), parts, labels, label_names)


def fingerprint_digests(
    digests: bytes,
    parts: NDArray[np.uint8],
    labels: NDArray[np.int16],
    label_names: tuple[str, ...],
) -> str:
    """Hash the digests of texts, end to end, with their parts, labels and label names."""
    total = hashlib.sha256(b"ulm corpus 1\0")
    total.update(digests)
    total.update(np.asarray(parts, dtype="u1").tobytes())
    total.update(np.asarray(labels, dtype="<i2").tobytes())
    total.update(json.dumps(label_names).encode())
    return total.hexdigest()
