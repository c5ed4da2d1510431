"""Prepare: what must be there before the first trial, checked before a sweep is written to.

A spec and its paths come in; token arrays are made or found, sizes and labels are checked against
the corpus for every seed, and the context that all trials share goes out. Where the storage is a
bucket, an array is fetched from it if it is there, and put there if it is not, for the workers. A
pretrained general model goes into the encoder store, under the key of its content.
"""

import hashlib
from dataclasses import replace
from pathlib import Path

from sweeps.errors import SweepError
from sweeps.paths import SweepPaths
from sweeps.run.context import TrialContext
from sweeps.run.draws import check_draws, check_general, general_text
from sweeps.run.shared_folder import find_contents, get_folder, put_folder
from sweeps.search.listener import RunListener
from sweeps.spec.cells import make_cells
from sweeps.spec.load import without_passwords
from sweeps.spec.values import SweepSpec
from sweeps.spec.volume import size_mistake, stored_volumes
from ulm.text.corpora import CorpusSource
from ulm.text.tokens import TokenArray, prepare_tokens


def prepare_context(
    spec: SweepSpec, paths: SweepPaths, listener: RunListener
) -> tuple[TrialContext, tuple[TokenArray, ...]]:
    """Token arrays of the sweep's corpora, and the context of its trials.

    Raises:
        UlmError: A corpus can not be opened, or lacks what the spec asks for.
        SweepError: The corpus is known to be smaller than the largest size.
        StorageError: The shared storage can not be read or written.
    """
    mistake = size_mistake(spec, stored_volumes(spec, paths.tokens))
    if mistake is not None:  # tokenising takes minutes
        raise SweepError(f"{mistake}; leave larger sizes out, or name a larger corpus")
    domain = _tokens(spec.corpus, paths, listener)
    # Before a general corpus, which takes longer than this one.
    check_draws(spec, domain.parts, domain.labels, domain.label_names)
    source = spec.general.source
    is_wanted = any(cell.is_general for cell in make_cells(spec))
    general = _tokens(source, paths, listener) if source is not None and is_wanted else None
    context = TrialContext(
        spec=without_passwords(spec),
        domain=domain.folder,
        general=None if general is None else general.folder,
        encoders=paths.shared(paths.encoders),
        predictions=paths.shared(paths.predictions_folder),
        models=paths.shared(paths.models),
    )
    if general is not None:
        found = general_text(general, domain)
        check_general(len(found.documents))
        if found.num_left_out:
            listener.message(
                f"{found.num_left_out:,} documents of general repeat a test document and are left "
                "out"
            )
    arrays = (domain,) if general is None else (domain, general)
    if not paths.is_remote:
        return context, arrays
    for array in arrays:
        # Its manifest says what making it took: no two machines write the same bytes.
        put_folder(array.folder, paths.shared(array.folder), by_content=True)
    return replace(context, tokens=paths.shared(paths.tokens)), arrays


def pretrained_general(spec: SweepSpec, paths: SweepPaths, listener: RunListener) -> str | None:
    """Store key of the pretrained general model; None where none is named or needed.

    Raises:
        UlmError: Its files are missing, damaged or can not be downloaded.
        SweepError: It has other sizes than the spec's model.
    """
    needed = any(regime.starts_from_general for regime in spec.regimes)
    if not (spec.general.is_pretrained and needed):
        return None
    from sweeps.run.encoders import EncoderStore, key_for  # torch: seconds to load
    from sweeps.run.settings import check_architecture
    from ulm.model.encoder import Encoder
    from ulm.model.fastai_format import load_wikitext103

    folder = spec.general.path
    content = "wikitext-103" if folder is None else _hash_of(folder)
    key = key_for({"stage": "pretrained", "kind": spec.general.kind, "content": content})
    store = EncoderStore(paths.shared(paths.encoders))
    if not store.has(key):
        listener.preparing("the general model", 0, 1)
        store.save(key, load_wikitext103() if folder is None else Encoder.load(folder), {})
        listener.preparing("the general model", 1, 1)
    check_architecture(spec, store.architecture(key))
    return key


def _tokens(source: CorpusSource, paths: SweepPaths, listener: RunListener) -> TokenArray:
    def on_progress(done: int, total: int) -> None:
        listener.preparing(f"tokens of {source.kind}", done, total)

    def obtain(folder: Path) -> None:
        place = paths.shared(folder)
        contents = find_contents(place)
        if contents is not None:
            listener.preparing(f"tokens of {source.kind} from the storage", 0, 1)
            get_folder(place, folder, contents)
            listener.preparing(f"tokens of {source.kind} from the storage", 1, 1)

    return prepare_tokens(
        source,
        paths.tokens,
        on_progress=on_progress,
        obtain=obtain if paths.is_remote else None,
    )


def _hash_of(folder: Path) -> str:
    """SHA-256 of the files of a folder, in the order of their names."""
    content = hashlib.sha256()
    for file in sorted(folder.glob("*")):
        if file.is_file():
            content.update(file.name.encode())
            with file.open("rb") as stream:
                content.update(hashlib.file_digest(stream, "sha256").digest())
    return content.hexdigest()
