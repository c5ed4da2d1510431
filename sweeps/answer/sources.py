"""Sources: texts of test documents and embeddings of encoders, read from a sweep's own folders.

A sweep's paths and spec come in; texts by document, and embeddings without any model, go out. What
is not at hand on this machine is None, and the caller says why it is missing.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from sweeps.answer.neighbours import Embedding
from sweeps.answer.readable import readable
from sweeps.paths import SweepPaths
from sweeps.spec.values import SweepSpec
from sweeps.storage import get_file, read_object
from ulm.text.corpora import CorpusSource

WEIGHTS_FILE, MANIFEST_FILE = "encoder.safetensors", "encoder.json"  # as ulm.model.encoder has them
EMBEDDING = "encoder.embedding.weight"


@dataclass(frozen=True, kw_only=True, slots=True)
class Texts:
    """Texts of some documents of the domain corpus, and the names of its classes."""

    by_document: dict[int, str]
    label_names: tuple[str, ...]


def _token_folder(paths: SweepPaths, corpus: CorpusSource) -> Path | None:
    """By the recorded fingerprint, wherever the corpus lies by now; by its files before that."""
    from ulm.text.stamps import recall, stamp_source
    from ulm.text.token_folder import folder_name

    fingerprint = read_object(paths.summary_json).get(f"fingerprint {corpus.name}")
    if fingerprint:
        return paths.tokens / folder_name(corpus.name, fingerprint)
    stamp = stamp_source(corpus)
    return None if stamp is None else recall(paths.tokens, stamp)


def read_texts(paths: SweepPaths, spec: SweepSpec, documents: Iterable[int]) -> Texts | None:
    """Texts of documents, from the corpus's token array; None where it is not here."""
    if not paths.tokens.is_dir():
        return None
    from ulm.errors import UlmError
    from ulm.text.tokens import load_tokens

    folder = _token_folder(paths, spec.corpus)
    try:
        tokens = None if folder is None else load_tokens(folder)
    except UlmError:
        return None
    if tokens is None:
        return None
    starts, types = tokens.offsets, tokens.types
    return Texts(
        by_document={
            i: readable([types[token] for token in tokens.ids[starts[i] : starts[i + 1]]])
            for i in documents
        },
        label_names=tokens.label_names,
    )


def read_embedding(paths: SweepPaths, key: str) -> Embedding | None:
    """Words and embedding of an encoder in the store; None where it is not to be had.

    From a bucket its files come to this machine once, into the working copy.
    """
    from pyarrow import ArrowException
    from safetensors import SafetensorError, safe_open

    folder = paths.encoders / key
    try:
        for file in (folder / MANIFEST_FILE, folder / WEIGHTS_FILE):
            if paths.is_remote and not file.is_file():
                get_file(paths.shared(file), file)
        manifest = json.loads((folder / MANIFEST_FILE).read_text(encoding="utf-8"))
        with safe_open(folder / WEIGHTS_FILE, framework="numpy") as file:
            rows = file.get_tensor(EMBEDDING)
        return Embedding(words=tuple(manifest["vocabulary"]), rows=rows)
    except (OSError, ValueError, KeyError, SafetensorError, ArrowException):
        return None
