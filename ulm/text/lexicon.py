"""Words of the generated languages: a general one, and a domain that shares its grammar.

A `Lexicon` comes out: word lists with Zipf frequencies, the same on every machine. Words are
pronounceable strings of at least two syllables without doubled letters or apostrophes, which
fastai's tokeniser keeps whole. No word has two roles.
"""

from bisect import bisect
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import islice

import numpy as np

SINGLE_ONSETS = ("b", "d", "f", "g", "k", "l", "m", "n", "p", "r", "s", "t", "v", "z")
ONSETS = (*SINGLE_ONSETS, "br", "gr", "pl", "tr")
VOWELS = ("a", "e", "i", "o", "u")
CODAS = ("", "", "n", "r", "l", "k")

NEGATIVE, POSITIVE = 0, 1

# The numbers below are part of `synthetic_version`.
WORD_SEED = 20181  # both languages share their words, whatever the seed of the documents
TOPICS, DOMAIN_TOPICS = 6, 3  # of the general language, and of the domain alone
NOUNS_PER_TOPIC = 30
COMMON_WORDS = 40  # nouns, verbs, adjectives and adverbs shared by all topics, of each kind
OPINION_WORDS = 300  # the domain's own, of each polarity
GENERIC_OPINION_WORDS = 12  # of each polarity, that the general language has too
ZIPF_EXPONENT = 1.0  # the frequency of the word of rank r is proportional to r ** -exponent
OPINION_EXPONENT = 0.6  # of opinion words; smaller makes more of them matter


class WordList:
    """Words with Zipf frequencies.

    Args:
        words: the words, most frequent first.
        exponent: frequency of rank r is proportional to r ** -exponent.
    """

    def __init__(self, words: tuple[str, ...], exponent: float) -> None:
        self.words = words
        weights = np.arange(1, len(words) + 1, dtype=np.float64) ** -exponent
        self._cumulative = np.cumsum(weights / weights.sum()).tolist()
        self._cumulative[-1] = 1.0

    def draw(self, rng: np.random.Generator) -> str:
        """Draw one word."""
        return self.words[bisect(self._cumulative, rng.random())]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Opinions:
    """Opinion words of one polarity by their place in a sentence."""

    adjectives: WordList
    verbs: WordList
    adverbs: WordList


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Lexicon:
    """All words of the pair of languages.

    Args:
        topics: nouns of each topic of the general language.
        domain_topics: nouns of each topic of the domain.
        nouns: nouns of all topics; `verbs`, `adjectives` and `adverbs` likewise.
        generic: opinions that both languages know, negative then positive.
        own: opinions of the domain alone, negative then positive.
    """

    topics: tuple[WordList, ...]
    domain_topics: tuple[WordList, ...]
    nouns: WordList
    verbs: WordList
    adjectives: WordList
    adverbs: WordList
    generic: tuple[Opinions, Opinions]
    own: tuple[Opinions, Opinions]


def _new_words(rng: np.random.Generator) -> Iterator[str]:
    seen = set()
    while True:
        num_syllables = int(rng.integers(2, 4))
        syllables = [rng.choice(ONSETS) + rng.choice(VOWELS) for _ in range(num_syllables)]
        word = str("".join(syllables) + rng.choice(CODAS))
        if len(word) >= 5 and word not in seen:
            seen.add(word)
            yield word


def _opinions(words: Iterator[str], count: int) -> Opinions:
    """Half adjectives, the rest verbs and adverbs."""
    minor = count // 4

    def take(number: int) -> WordList:
        return WordList(tuple(islice(words, number)), OPINION_EXPONENT)

    return Opinions(adjectives=take(count - 2 * minor), verbs=take(minor), adverbs=take(minor))


@cache
def make_lexicon() -> Lexicon:
    """Make the words of the pair of languages."""
    words = _new_words(np.random.default_rng(WORD_SEED))

    def take(count: int) -> WordList:
        return WordList(tuple(islice(words, count)), ZIPF_EXPONENT)

    return Lexicon(
        topics=tuple(take(NOUNS_PER_TOPIC) for _ in range(TOPICS)),
        domain_topics=tuple(take(NOUNS_PER_TOPIC) for _ in range(DOMAIN_TOPICS)),
        nouns=take(COMMON_WORDS),
        verbs=take(COMMON_WORDS),
        adjectives=take(COMMON_WORDS),
        adverbs=take(COMMON_WORDS),
        generic=(
            _opinions(words, GENERIC_OPINION_WORDS),
            _opinions(words, GENERIC_OPINION_WORDS),
        ),
        own=(_opinions(words, OPINION_WORDS), _opinions(words, OPINION_WORDS)),
    )
