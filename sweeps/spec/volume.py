"""Volume: how many documents and tokens a corpus has, before and after it is tokenised.

A source comes in; counts go out, with a word on where they are from. Published statistics serve
where nothing is tokenised yet, so that `plan` needs no data; a token array on the storage is
preferred, and read through `ulm` only then.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sweeps.spec.values import SweepSpec
from ulm.text.corpora import CorpusSource

if TYPE_CHECKING:
    from ulm.text.tokens import TokenArray

HEAPS = 30.0  # distinct words over the square root of tokens: IMDB has 11,500 in 500 reviews


@dataclass(frozen=True, kw_only=True, slots=True)
class CorpusVolume:
    """Size of a corpus.

    Args:
        tokens_per_document: Mean over documents, fastai's tokens.
        pool_documents: Documents that language models may see; None where unknown.
        test_documents: Documents of the test part; None where unknown.
        growth: (tokens, distinct words in them) of growing samples; Heaps' law where empty.
        basis: Where the numbers are from.
    """

    tokens_per_document: float
    pool_documents: int | None = None
    test_documents: int | None = None
    growth: tuple[tuple[int, int], ...] = ()
    basis: str = "assumed"

    @property
    def pool_tokens(self) -> int:
        """Tokens of the whole pool; of 25,000 documents where the pool is unknown."""
        return int((self.pool_documents or 25_000) * self.tokens_per_document)

    def words(self, tokens: int, minimum_count: int = 1) -> int:
        """Distinct words that so many tokens hold `minimum_count` times or more.

        Word frequencies fall as 1 / rank (Zipf), so a c-th of the words occurs c times.
        """
        found: float = HEAPS * tokens**0.5
        if self.growth:
            sampled, distinct = np.log(np.array(self.growth, float)).T
            found = float(np.exp(np.interp(np.log(max(1, tokens)), sampled, distinct)))
        return max(1, round(found / minimum_count))


@dataclass(frozen=True, kw_only=True, slots=True)
class Volumes:
    """The domain corpus of a sweep and the corpus its general model is pretrained on, if any."""

    domain: CorpusVolume
    general: CorpusVolume | None


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


_GROWTH = {
    "synthetic": ((2_416, 406), (4_682, 536), (18_969, 773), (76_509, 874), (237_573, 889)),
    "synthetic-general": ((2_345, 265), (4_700, 329), (9_513, 360)),
}
"""Of the generated languages."""


def published_volume(source: CorpusSource) -> CorpusVolume:
    """What is known of a source without reading it; IMDB's document length where nothing is."""
    if source.kind in _KNOWN:
        tokens, pool, test = _KNOWN[source.kind]
        if source.documents is not None:
            pool = source.documents + (test or 0)
        basis = f"known statistics of {source.kind}"
        return CorpusVolume(
            tokens_per_document=tokens,
            pool_documents=pool,
            test_documents=test,
            growth=_GROWTH.get(source.kind, ()),
            basis=basis,
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
    """What is wrong with the largest size, in words.

    None where it fits, nothing is known, or no regime has sizes.
    """
    pool = volumes.domain.pool_documents
    has_sizes = any(regime.trains_on_domain for regime in spec.regimes)
    if pool is None or spec.sizes[-1] <= pool or not has_sizes:
        return None
    return f"sizes: must not exceed the pool of {pool:,} documents, found {spec.sizes[-1]:,}"


def _stored(source: CorpusSource, cache: Path) -> CorpusVolume | None:
    if not cache.is_dir():
        return None
    from ulm.text.tokens import recalled_tokens

    array = recalled_tokens(source, cache)
    if array is None:
        return None
    return CorpusVolume(
        tokens_per_document=array.num_tokens / array.num_documents,
        pool_documents=array.num_documents - array.num_tests,
        test_documents=array.num_tests or None,
        growth=_growth(array),
        basis=f"the token array {array.folder.name}",
    )


def _growth(array: "TokenArray") -> tuple[tuple[int, int], ...]:
    """Tokens and distinct words of the first documents of a shuffled order."""
    order = np.random.default_rng(0).permutation(array.num_documents)
    counts = [array.counts(order[:number]) for number in (50, 200, 800, 3_200, 12_800)]
    return tuple((int(count.sum()), int((count > 0).sum())) for count in counts)
