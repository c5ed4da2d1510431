"""Sample: how much text a corpus of one's own has, before it is tokenised (reads its files).

A source comes in; documents are counted, some of them by words and signs, and a volume goes out, so
that a first plan need not assume the length of reviews. A source that can not be read is planned as
one that is unknown, and its volume says why.
"""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path
from statistics import fmean

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
    except (CorpusError, OSError) as error:
        return replace(volume, basis=f"{volume.basis}, for it can not be read: {error}")
    return found or volume


def _of_folder(source: CorpusSource) -> CorpusVolume | None:
    assert source.path is not None, "a folder has a path"
    listing = read_folder(source.path)
    texts = listing.texts
    step = max(1, len(texts) // FIRST)
    counted = [_num_tokens(texts[i]) for i in range(0, len(texts), step)]
    num_test = int((listing.parts == Part.TEST).sum())
    return _volume(source, fmean(counted), len(counted), len(texts), num_test)


def _of_table(source: CorpusSource) -> CorpusVolume | None:
    path = source.path
    assert path is not None, "a table has a path"
    if not path.is_file():
        raise CorpusError(f"{path} is no file")
    columns = Columns(text=source.text_column, label=source.label_column, part=source.part_column)
    first: list[int] = []
    later: list[int] = []
    marks: Counter[str | None] = Counter()  # parts where a column has them, else labels
    for number, row in enumerate(islice(READERS[source.kind](path, columns), MOST_ROWS)):
        if number < FIRST:
            first.append(_num_tokens(row.text))
        elif number % EVERY == 0:
            later.append(_num_tokens(row.text))
        marks[row.label if columns.part is None else (row.part or "").casefold()] += 1
    if not first:
        return None
    number, is_whole = marks.total(), marks.total() < MOST_ROWS
    mean = fmean(first)
    if later:  # they stand for all after the first ones, which may be shorter
        mean = (sum(first) + (number - len(first)) * fmean(later)) / number
    return _volume(
        source,
        mean,
        len(first) + len(later),
        number if is_whole else None,
        _num_test(source, marks) if is_whole else 0,
    )


def _num_test(source: CorpusSource, marks: Mapping[str | None, int]) -> int:
    """As many as are drawn, or as the part column has."""
    if source.part_column is not None:
        return marks.get("test", 0)
    counts = [count for label, count in marks.items() if label is not None]
    return sum(num_drawn(count, source.test_share) for count in counts)


def _volume(
    source: CorpusSource, mean: float, num_counted: int, num_documents: int | None, num_test: int
) -> CorpusVolume:
    return CorpusVolume(
        tokens_per_document=mean,
        pool_documents=None if num_documents is None else num_documents - num_test,
        test_documents=num_test or None,
        basis=f"{source.name} is not tokenised: words of {num_counted:,} documents counted",
    )


def _num_tokens(text: str) -> int:
    return 1 + len(TOKEN.findall(text)) + len(CAPITAL.findall(text))
