"""Words of the generated languages: a general one, and a domain that shares its grammar.

A `SyntheticLanguage` (the knobs) goes in, a `Lexicon` comes out: word lists with Zipf frequencies.
Words are pronounceable strings of at least two syllables without doubled letters or apostrophes,
which fastai's tokeniser keeps whole. No word has two roles.
"""

from bisect import bisect
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import islice

import numpy as np

from ulm.errors import CorpusError

SINGLE_ONSETS = ("b", "d", "f", "g", "k", "l", "m", "n", "p", "r", "s", "t", "v", "z")
ONSETS = (*SINGLE_ONSETS, "br", "gr", "pl", "tr")
VOWELS = ("a", "e", "i", "o", "u")
CODAS = ("", "", "n", "r", "l", "k")

NEGATIVE, POSITIVE = 0, 1


@dataclass(frozen=True, kw_only=True, slots=True)
class SyntheticLanguage:
    """The knobs of the generated pair of languages.

    Args:
        seed: seed of the words themselves; both languages of a pair share it.
        topics: topics of the general language; the domain has `domain_topics` of its own.
        domain_topics: topics of the domain.
        nouns_per_topic: nouns that belong to one topic.
        common_words: nouns, verbs, adjectives and adverbs shared by all topics, of each kind.
        opinion_words: the domain's own opinion words of each polarity.
        generic_opinion_words: opinion words of each polarity that the general language has too.
        zipf_exponent: frequency of the word of rank r is proportional to r ** -exponent.
        opinion_exponent: the same for opinion words; smaller makes more of them matter.
        generic_share: share of the domain's opinions that use a generic word.
        mood_share: share of general documents that carry opinions (generic words only).
        opinion_share: share of sentences that carry an opinion.
        negation_share: share of opinion sentences that negate a word of the other polarity.
        contrast_share: share of opinion sentences that concede the other polarity first.
        noise_share: probability that a single opinion word is of the wrong polarity.
        minimum_sentences: shortest document.
        maximum_sentences: longest document.

    Raises:
        CorpusError: where a share leaves 0 to 1 or a number is not positive.
    """

    seed: int = 20181
    topics: int = 6
    domain_topics: int = 3
    nouns_per_topic: int = 30
    common_words: int = 40
    opinion_words: int = 300
    generic_opinion_words: int = 12
    zipf_exponent: float = 1.0
    opinion_exponent: float = 0.6
    generic_share: float = 0.15
    mood_share: float = 0.5
    opinion_share: float = 0.55
    negation_share: float = 0.12
    contrast_share: float = 0.12
    noise_share: float = 0.05
    minimum_sentences: int = 5
    maximum_sentences: int = 8

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            if name.endswith("_share") and not 0 <= value <= 1:
                raise CorpusError(f"{name} must lie from 0 to 1, found {value}; choose another")
            if isinstance(value, int) and name != "seed" and value < 1:
                raise CorpusError(f"{name} must be at least 1, found {value}; raise it")
        if self.minimum_sentences > self.maximum_sentences:
            raise CorpusError(
                f"minimum_sentences must not exceed maximum_sentences, found "
                f"{self.minimum_sentences} and {self.maximum_sentences}; swap them"
            )


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

    @property
    def words(self) -> tuple[str, ...]:
        """All of them."""
        return self.adjectives.words + self.verbs.words + self.adverbs.words


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

    def polarities(self) -> dict[str, int]:
        """Return the polarity of every opinion word: what an oracle knows and no model is told."""
        return {
            word: polarity
            for pair in (self.generic, self.own)
            for polarity in (NEGATIVE, POSITIVE)
            for word in pair[polarity].words
        }


def _new_words(rng: np.random.Generator) -> Iterator[str]:
    seen = set()
    while True:
        num_syllables = int(rng.integers(2, 4))
        syllables = [rng.choice(ONSETS) + rng.choice(VOWELS) for _ in range(num_syllables)]
        word = str("".join(syllables) + rng.choice(CODAS))
        if len(word) >= 5 and word not in seen:
            seen.add(word)
            yield word


@cache
def make_lexicon(language: SyntheticLanguage) -> Lexicon:
    """Make the words of a pair of languages; the same knobs give the same words."""
    words = _new_words(np.random.default_rng(language.seed))

    def take(count: int, exponent: float = language.zipf_exponent) -> WordList:
        return WordList(tuple(islice(words, count)), exponent)

    def opinions(count: int) -> Opinions:
        # Half adjectives, the rest verbs and adverbs, at least one of each.
        minor = max(1, count // 4)
        exponent = language.opinion_exponent
        return Opinions(
            adjectives=take(max(1, count - 2 * minor), exponent),
            verbs=take(minor, exponent),
            adverbs=take(minor, exponent),
        )

    return Lexicon(
        topics=tuple(take(language.nouns_per_topic) for _ in range(language.topics)),
        domain_topics=tuple(take(language.nouns_per_topic) for _ in range(language.domain_topics)),
        nouns=take(language.common_words),
        verbs=take(language.common_words),
        adjectives=take(language.common_words),
        adverbs=take(language.common_words),
        generic=(
            opinions(language.generic_opinion_words),
            opinions(language.generic_opinion_words),
        ),
        own=(opinions(language.opinion_words), opinions(language.opinion_words)),
    )
