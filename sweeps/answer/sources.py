"""Sources: the documents of a sweep and embeddings of its encoders, read from its own folders.

A sweep's paths and spec come in; its token array, texts by document, and embeddings without any
model go out. What is not at hand on this machine is None, and the caller says why it is missing.
"""

import json
from typing import TYPE_CHECKING

from sweeps.answer.neighbours import Embedding
from sweeps.answer.readable import readable
from sweeps.paths import SweepPaths
from sweeps.spec.meaning import CONTENT
from sweeps.spec.values import SweepSpec
from sweeps.storage import get_file

if TYPE_CHECKING:
    from ulm.text.tokens import TokenArray

WEIGHTS_FILE, MANIFEST_FILE = "encoder.safetensors", "encoder.json"  # as ulm.model.encoder has them
EMBEDDING = "encoder.embedding.weight"


def recorded_tokens(paths: SweepPaths, spec: SweepSpec) -> "TokenArray | None":
    """The domain's token array, which numbers a sweep's documents.

    By the recorded fingerprint, wherever the corpus lies by now; by its files before one is.
    """
    if not paths.tokens.is_dir():
        return None
    from sweeps.search.studies import read_meaning
    from ulm.text.token_folder import folder_name
    from ulm.text.tokens import recalled_tokens, stored_tokens

    content = read_meaning(paths, spec).get(CONTENT[0])
    if content is None:
        return recalled_tokens(spec.corpus, paths.tokens)
    return stored_tokens(paths.tokens / folder_name(spec.corpus.name, str(content)))


def text_of(tokens: "TokenArray", document: int) -> str:
    """Text of a document, from its tokens."""
    begin, end = tokens.offsets[document : document + 2]
    return readable([tokens.types[token] for token in tokens.ids[begin:end]])


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
