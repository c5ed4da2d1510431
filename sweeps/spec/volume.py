"""Volume: how many documents and tokens a corpus has, before and after it is tokenised.

A source comes in; counts go out, with a word on where they are from. Published statistics serve
where nothing is tokenised yet, so that `plan` needs no data; a token array on the storage is
preferred, and read through `ulm` only then.
"""

from dataclasses import dataclass
from pathlib import Path

from sweeps.spec.values import SweepSpec
from ulm.text.corpora import CorpusSource


@dataclass(frozen=True, kw_only=True, slots=True)
class CorpusVolume:
    """Size of a corpus.

    Args:
        tokens_per_document: Mean over documents, fastai's tokens.
        pool_documents: Documents that language models may see; None where unknown.
        test_documents: Documents of the test part; None where unknown.
        basis: Where the numbers are from.
    """

    tokens_per_document: float
    pool_documents: int | None = None
    test_documents: int | None = None
    basis: str = "assumed"

    @property
    def pool_tokens(self) -> int:
        """Tokens of the whole pool; of 25,000 documents where the pool is unknown."""
        return int((self.pool_documents or 25_000) * self.tokens_per_document)


@dataclass(frozen=True, kw_only=True, slots=True)
class Volumes:
    """The domain corpus of a sweep and the corpus its general model is pretrained on, if any."""

    domain: CorpusVolume
    general: CorpusVolume | None = None


_KNOWN = {
    # Maas 2011; tokens as counted by `ulm.text.tokens`
    "imdb": (294.0, 75_000, 25_000),
    # Merity 2016, one article per row in fastai's files
    "wikitext-2": (2_900_000 / 749, 749, None),
    "wikitext-103": (112_000_000 / 28_591, 28_591, None),
    # generated: `documents` unlabelled ones and 1,000 labelled ones
    "synthetic": (48.0, 5_000, 1_000),
    "synthetic-general": (48.0, 4_000, None),
}


def published_volume(source: CorpusSource) -> CorpusVolume:
    """What is known of a source without reading it; IMDB's document length where nothing is."""
    if source.kind in _KNOWN:
        tokens, pool, test = _KNOWN[source.kind]
        if source.documents is not None:
            pool = source.documents + (test or 0)
        basis = f"known statistics of {source.kind}"
        return CorpusVolume(
            tokens_per_document=tokens, pool_documents=pool, test_documents=test, basis=basis
        )
    return CorpusVolume(
        tokens_per_document=285.0,
        basis=f"{source.name} is not tokenised: 285 tokens a document assumed",
    )


def published_volumes(spec: SweepSpec) -> Volumes:
    """Both corpora of a sweep, without reading anything."""
    source = spec.general.source
    return Volumes(
        domain=published_volume(spec.corpus),
        general=None if source is None else published_volume(source),
    )


def stored_volumes(spec: SweepSpec, cache: Path) -> Volumes:
    """Both corpora of a sweep, from their token arrays where these are there.

    Args:
        spec: The sweep.
        cache: Folder of the token arrays.
    """
    source = spec.general.source
    return Volumes(
        domain=_stored(spec.corpus, cache) or published_volume(spec.corpus),
        general=None if source is None else _stored(source, cache) or published_volume(source),
    )


def size_mistake(spec: SweepSpec, volumes: Volumes) -> str | None:
    """What is wrong with the largest size, in words; None where it fits or nothing is known."""
    pool = volumes.domain.pool_documents
    if pool is None or spec.sizes[-1] <= pool:
        return None
    return f"sizes: must not exceed the pool of {pool:,} documents, found {spec.sizes[-1]:,}"


def _stored(source: CorpusSource, cache: Path) -> CorpusVolume | None:
    if not cache.is_dir():
        return None
    from ulm.errors import TokenError
    from ulm.text.corpora import Part
    from ulm.text.stamps import recall, stamp_source
    from ulm.text.tokens import load_tokens

    stamp = stamp_source(source)
    folder = None if stamp is None else recall(cache, stamp)
    if folder is None or not folder.is_dir():
        return None
    try:
        array = load_tokens(folder)
    except TokenError:  # damaged: a run makes it anew
        return None
    num_test = int((array.parts == Part.TEST).sum())
    return CorpusVolume(
        tokens_per_document=array.num_tokens() / array.num_documents,
        pool_documents=array.num_documents - num_test,
        test_documents=num_test or None,
        basis=f"the token array {folder.name}",
    )
