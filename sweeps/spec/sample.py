"""Sample: how much text a corpus of one's own has, before it is tokenised (reads its files).

A source comes in; documents are counted, some of them by words and signs, and a volume goes out, so
that a first plan need not assume the length of reviews. A source that can not be read is planned as
one that is unknown: `check` and `run` say what is wrong with it.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path

from sweeps.spec.values import SweepSpec
from sweeps.spec.volume import CorpusVolume, Volumes, stored_volumes
from ulm.errors import CorpusError
from ulm.text.corpora import TABLE_KINDS, CorpusSource
from ulm.text.folders import read_folder
from ulm.text.listing import Part
from ulm.text.rows import READERS, Columns
from ulm.text.tables import num_drawn

MOST_ROWS = 200_000  # of a larger table no more is read: a second or two
FIRST, EVERY = 300, 20  # texts that are counted: the first ones, then each twentieth

# Every word and sign is a token; fastai puts a mark before a word with a capital, and one in front.
TOKEN = re.compile(r"\w+|[^\w\s]")
CAPITAL = re.compile(r"\b[A-Z]")


def known_volumes(spec: SweepSpec, cache: Path) -> Volumes:
    """Both corpora of a sweep: published, from their token arrays, or else sampled.

    Args:
        spec: The sweep.
        cache: Folder of the token arrays.
    """
    volumes, source = stored_volumes(spec, cache), spec.general.source
    general = volumes.general
    if source is not None and general is not None:
        general = _sampled(source, general)
    return Volumes(domain=_sampled(spec.corpus, volumes.domain), general=general)


def _sampled(source: CorpusSource, volume: CorpusVolume) -> CorpusVolume:
    if volume.pool_documents is not None or source.path is None:
        return volume
    try:
        found = _of_table(source) if source.kind in TABLE_KINDS else _of_folder(source)
    except (CorpusError, OSError):
        return volume
    return found or volume


def _of_folder(source: CorpusSource) -> CorpusVolume | None:
    assert source.path is not None, "a folder has a path"
    listing = read_folder(source.path)
    texts = listing.texts
    step = max(1, len(texts) // FIRST)
    num_test = int((listing.parts == Part.TEST).sum())
    return _volume(source, [texts[i] for i in range(0, len(texts), step)], len(texts), num_test)


def _of_table(source: CorpusSource) -> CorpusVolume | None:
    path = source.path
    if path is None or not path.is_file():
        return None
    columns = Columns(text=source.text_column, label=source.label_column, part=source.part_column)
    texts: list[str] = []
    marks: Counter[str | None] = Counter()  # parts where a column has them, else labels
    for number, row in enumerate(islice(READERS[source.kind](path, columns), MOST_ROWS)):
        if number < FIRST or number % EVERY == 0:
            texts.append(row.text)
        marks[row.label if columns.part is None else row.part] += 1
    if marks.total() == MOST_ROWS:
        return _volume(source, texts, None, 0)
    return _volume(source, texts, marks.total(), _num_test(source, marks))


def _num_test(source: CorpusSource, marks: Mapping[str | None, int]) -> int:
    """As many as are drawn, or as the part column has."""
    if source.part_column is not None:
        return marks.get("test", 0)
    counts = [count for label, count in marks.items() if label is not None]
    return sum(num_drawn(count, source.test_share) for count in counts)


def _volume(
    source: CorpusSource, texts: Sequence[str], num_documents: int | None, num_test: int
) -> CorpusVolume | None:
    if not texts:
        return None
    return CorpusVolume(
        tokens_per_document=sum(map(_num_tokens, texts)) / len(texts),
        pool_documents=None if num_documents is None else num_documents - num_test,
        test_documents=num_test or None,
        basis=f"{source.name} is not tokenised: words of {len(texts):,} documents counted",
    )


def _num_tokens(text: str) -> int:
    return 1 + len(TOKEN.findall(text)) + len(CAPITAL.findall(text))
