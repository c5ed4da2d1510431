"""Text notes: what of a text makes a sweep tell little, found before it starts.

Documents and labels come in; notes with their remedy go out, each a list of one or of none. What is
measured of texts is measured on some of them.
"""

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from statistics import median
from unicodedata import category

import numpy as np

from ulm.text import scripts
from ulm.text.corpora import Corpus, CorpusSource, Part
from ulm.text.listing import NO_LABEL

NO_LABELS = ("unlabelled", "unlabeled", "none", "nan", "na", "n/a", "#n/a", "null", "\\n", "?", "-")
"""Names of classes that read as if their documents had no label."""
NO_NUMBERS = ("-1", "-1.0")
"""The same, where there are two classes besides and no other is below 0."""

SAMPLE, HEAD = 300, 50_000  # documents, and characters of each, in which words are counted
# Medians over documents, in characters without accents. English, German, Polish and Greek have 4 to
# 6, the texts of packages' licences 6; Chinese without blanks has 79. Of scripts that are written
# without blanks words have 2 to 4, and up to 7 where few are Chinese characters; titles have 8.
LONGEST_WORDS, LONGEST_OF_UNSPACED, LONGEST_OF_HAN = 15, 8, 5
HAN, UNSPACED = (re.compile(f"[{characters}]") for characters in (scripts.HAN, scripts.UNSPACED))
# Of letters alone: numbers tell no language, and the tokeniser cuts "don't" otherwise.
WORD = re.compile(r"(?<![\w'’])[^\W\d_]+(?![\w'’])")
FEW = 0.05  # of documents, or of test documents
KNOWN_TO_GENERAL = 0.6  # of the words
GENERAL_WORDS = 1_000_000  # that are looked through for those of the domain
MOST_NAMED = 12  # classes


def sample(texts: Sequence[str]) -> tuple[str, ...]:
    """Some of the documents, evenly from all, long ones cut."""
    step = max(1, -(-len(texts) // SAMPLE))
    return tuple(texts[i][:HEAD] for i in range(0, len(texts), step))


def classes_of(counts: Mapping[str, int]) -> str:
    """Classes with their documents; the smallest and the largest where there are many."""
    if len(counts) <= MOST_NAMED:
        return ", ".join(f"{name}: {count:,}" for name, count in counts.items())
    few, many = (choose(counts, key=lambda name: counts[name]) for choose in (min, max))
    return f"{len(counts)} classes, from {counts[few]:,} of {few!r} to {counts[many]:,} of {many!r}"


def no_labels(names: Sequence[str], source: CorpusSource) -> list[str]:
    """Classes that may be none."""
    is_scale = any(name.startswith("-") and name not in NO_NUMBERS for name in names)
    said = NO_LABELS if is_scale or len(names) < 3 else (*NO_LABELS, *NO_NUMBERS)
    found = [name for name in names if name.lower() in said and "+" not in names]
    where = "put them in unlabelled/" if source.kind == "folder" else "leave the field empty"
    return [f"classes {found} read as no label: {where} if they are none"] if found else []


def left_out(source: CorpusSource) -> list[str]:
    """Files of a folder that are no documents."""
    from ulm.text import folders

    if source.kind != "folder" or source.path is None:
        return []
    files = folders.left_out(source.path)
    if not files:
        return []
    first = str(files[0].relative_to(source.path))
    return [
        f"files that are no documents, as {first!r}: {len(files):,}; documents are {folders.LAYOUT}"
    ]


def empty_documents(corpus: Corpus) -> list[str]:
    """Documents without text."""
    number = corpus.left_out.empty
    return [f"documents without text, which are left out: {number:,}"] if number else []


def disputed_labels(corpus: Corpus) -> list[str]:
    """Labels that another of the same text contradicts."""
    labels_of: dict[bytes, Counter[int]] = {}
    for text, label in zip(corpus.digests, corpus.labels.tolist(), strict=True):
        if label != NO_LABEL:
            labels_of.setdefault(text, Counter())[label] += 1
    number = sum(found.total() - max(found.values()) for found in labels_of.values())
    if not number:
        return []
    return [f"labels that others of the same text contradict: {number:,}; give a text one label"]


def copies_in_test(corpus: Corpus) -> list[str]:
    """Test documents that are scored again and again."""
    tests = [corpus.digests[i] for i in np.flatnonzero(corpus.parts == Part.TEST)]
    num_copies = len(tests) - len(set(tests))
    if num_copies <= FEW * len(tests):
        return []
    return [
        f"{num_copies:,} of the {len(tests):,} test documents repeat another of them, and each is "
        "scored as if it were one more: leave one of each"
    ]


def blanks(texts: Sequence[str]) -> list[str]:
    """Texts in which the tokeniser does not find the words."""
    length = median(map(_word_length, texts))
    characters = "".join(texts)
    num_han, num_other = len(HAN.findall(characters)), len(UNSPACED.findall(characters))
    num_letters = sum(map(str.isalpha, characters))
    is_unspaced = 2 * (num_han + num_other) > num_letters
    longest = LONGEST_OF_UNSPACED if is_unspaced else LONGEST_WORDS
    if length <= (LONGEST_OF_HAN if 3 * num_han > num_letters else longest):
        return []
    remedy = "put blanks between words or characters first"
    if not is_unspaced:
        remedy += ", take tags out, put one word in place of ids"
    return [f"words are {length:.0f} characters long, and the tokeniser splits at blanks: {remedy}"]


def long_documents(texts: Sequence[str], maximum_tokens: int) -> list[str]:
    """Documents from whose end alone classifiers learn."""
    share = sum(len(text.split()) > maximum_tokens for text in texts) / len(texts)
    if share <= FEW:
        return []
    return [
        f"{share:.0%} of the documents have more than {maximum_tokens:,} words: classifiers learn "
        "from that many last tokens, bow from all; raise classifier.maximum_tokens, or cut "
        "documents to what tells their class"
    ]


def unknown_words(texts: Sequence[str], general: Sequence[str]) -> list[str]:
    """Words of domain documents that general text does not have."""
    known: set[str] = set()
    num_seen = 0
    for text in general:
        found = _words(text)
        known.update(found)
        num_seen += len(found)
        if num_seen > GENERAL_WORDS:
            break
    return unknown_to(texts, known)


def unknown_to(texts: Sequence[str], known: Collection[str]) -> list[str]:
    """Words of domain documents that a general model does not know."""
    found = [word in known for text in texts for word in _words(text)]
    share = sum(found) / len(found) if found else 1.0  # of numbers alone nothing is said
    if share >= KNOWN_TO_GENERAL:
        return []
    return [
        f"it has {share:.0%} of the words of the domain, and so little of it, or text of another "
        "language or kind, is little to start from: set general to more text of your own language, "
        "or leave out the regimes ulm and ulm+domain"
    ]


def other_letters(texts: Sequence[str]) -> list[str]:
    """Domain documents in other letters than those of an English model."""
    letters = [character for text in texts for character in text if character.isalpha()]
    if 2 * sum(map(str.isascii, letters)) >= len(letters):
        return []
    return [
        "it is English and most letters of the domain are not: set general to text of your own "
        "language, or leave out the regimes ulm and ulm+domain"
    ]


def _words(text: str) -> list[str]:
    return WORD.findall(text.lower())


def _word_length(text: str) -> float:
    words = [word for word in text.split() if "://" not in word]
    marks = sum(category(c) == "Mn" for word in words for c in word)
    return (sum(map(len, words)) - marks) / max(1, len(words))
