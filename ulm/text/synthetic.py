"""The embedded corpora: a generated general language, and a generated domain of opinions.

A seed goes in, documents come out. Both languages share grammar and common words; the domain has
its own topics and its own opinion words, most of them too rare to be learnt from a hundred labels.
A review keeps one sentiment throughout, so its opinion words keep company with their like: that
company is all a language model can learn polarity from, and no other trace of the label is in the
text.
"""

from collections.abc import Callable

import numpy as np

from ulm.text import lexicon as words
from ulm.text.lexicon import NEGATIVE, POSITIVE, Lexicon, Opinions, WordList, make_lexicon
from ulm.text.listing import NO_LABEL, Listing, Part

LABEL_NAMES = ("negative", "positive")
GENERAL_DOCUMENTS = 4000
UNLABELLED_DOCUMENTS = 4000
LABELLED_DOCUMENTS = 1000
TEST_DOCUMENTS = 1000

GENERIC_SHARE = 0.15  # of the domain's opinions: they use a generic word
MOOD_SHARE = 0.5  # of general documents: they carry opinions, of generic words
OPINION_SHARE = 0.55  # of sentences: they carry an opinion
NEGATION_SHARE = 0.12  # of opinion sentences: they negate a word of the other polarity
CONTRAST_SHARE = 0.12  # of opinion sentences: they concede the other polarity first
NOISE_SHARE = 0.05  # of single opinion words: they are of the wrong polarity
MINIMUM_SENTENCES, MAXIMUM_SENTENCES = 5, 8  # of a document

# Raised when the grammar changes; the numbers are told by themselves.
GRAMMAR_VERSION = 1


def synthetic_version() -> str:
    """Return what determines the generated text besides the seed: grammar and numbers."""
    numbers = (
        words.WORD_SEED,
        words.TOPICS,
        words.DOMAIN_TOPICS,
        words.NOUNS_PER_TOPIC,
        words.COMMON_WORDS,
        words.OPINION_WORDS,
        words.GENERIC_OPINION_WORDS,
        words.ZIPF_EXPONENT,
        words.OPINION_EXPONENT,
        GENERIC_SHARE,
        MOOD_SHARE,
        OPINION_SHARE,
        NEGATION_SHARE,
        CONTRAST_SHARE,
        NOISE_SHARE,
        MINIMUM_SENTENCES,
        MAXIMUM_SENTENCES,
    )
    return f"grammar {GRAMMAR_VERSION} {numbers}"


class _Writer:
    """Writes sentences of one document: a topic, and a sentiment or none.

    Args:
        rng: where every choice comes from.
        lexicon: the words.
        topic: nouns of this document.
        sentiment: polarity of its opinions, or None for a document without opinions.
        own_share: share of opinions that use the domain's own words.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        lexicon: Lexicon,
        *,
        topic: WordList,
        sentiment: int | None,
        own_share: float,
    ) -> None:
        self.rng, self.lexicon = rng, lexicon
        self.topic, self.sentiment, self.own_share = topic, sentiment, own_share

    def chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    def noun(self) -> str:
        source = self.topic if self.chance(0.6) else self.lexicon.nouns
        return source.draw(self.rng)

    def subject(self) -> str:
        article = "the" if self.chance(0.7) else "this"
        if self.chance(0.3):
            return f"{article} {self.lexicon.adjectives.draw(self.rng)} {self.noun()}"
        return f"{article} {self.noun()}"

    def opinions(self, sentiment: int) -> Opinions:
        if self.chance(NOISE_SHARE):
            sentiment = 1 - sentiment
        pair = self.lexicon.own if self.chance(self.own_share) else self.lexicon.generic
        return pair[sentiment]

    def adjective(self, sentiment: int) -> str:
        return self.opinions(sentiment).adjectives.draw(self.rng)

    def neutral_sentence(self) -> str:
        verb = self.lexicon.verbs.draw(self.rng)
        kind = int(self.rng.integers(4))
        if kind == 0:
            return f"{self.subject()} {verb} {self.subject()}"
        if kind == 1:
            return f"{self.subject()} of {self.subject()} {verb}"
        if kind == 2:
            return f"there {verb} a {self.noun()} in {self.subject()}"
        return f"{self.subject()} {verb} {self.lexicon.adverbs.draw(self.rng)}"

    def plain_opinion(self, sentiment: int) -> str:
        kind = int(self.rng.integers(5))
        if kind <= 1:
            first, second = self.adjective(sentiment), self.adjective(sentiment)
            return f"{self.subject()} was {first} and {second}"
        if kind == 2:
            verb = self.opinions(sentiment).verbs.draw(self.rng)
            return f"we {verb} {self.subject()} and its {self.adjective(sentiment)} {self.noun()}"
        if kind == 3:
            verb = self.lexicon.verbs.draw(self.rng)
            adverb = self.opinions(sentiment).adverbs.draw(self.rng)
            return f"a {self.adjective(sentiment)} {self.noun()} {verb} {adverb}"
        return f"what a {self.adjective(sentiment)} {self.adjective(sentiment)} {self.noun()}"

    def opinion_sentence(self, sentiment: int) -> str:
        other = 1 - sentiment
        pick = self.rng.random()
        if pick < NEGATION_SHARE:
            return f"{self.subject()} was not {self.adjective(other)}"
        if pick < NEGATION_SHARE + CONTRAST_SHARE:
            conceded = f"{self.subject()} was {self.adjective(other)} but"
            return f"{conceded} {self.adjective(sentiment)} and {self.adjective(sentiment)}"
        return self.plain_opinion(sentiment)

    def document(self) -> str:
        sentences = []
        for _ in range(int(self.rng.integers(MINIMUM_SENTENCES, MAXIMUM_SENTENCES + 1))):
            if self.sentiment is not None and self.chance(OPINION_SHARE):
                sentences.append(self.opinion_sentence(self.sentiment))
            else:
                sentences.append(self.neutral_sentence())
        return " . ".join(sentences) + " ."


def _pick(rng: np.random.Generator, lists: tuple[WordList, ...]) -> WordList:
    return lists[int(rng.integers(len(lists)))]


def general_text(num_documents: int, *, seed: int) -> tuple[str, ...]:
    """Write documents of the general language.

    Args:
        num_documents: how many.
        seed: seed of the documents, not of the words.
    """
    lexicon = make_lexicon()
    rng = np.random.default_rng([seed, 0])
    return tuple(
        _Writer(
            rng,
            lexicon,
            topic=_pick(rng, lexicon.topics),
            sentiment=int(rng.integers(2)) if rng.random() < MOOD_SHARE else None,
            own_share=0.0,
        ).document()
        for _ in range(num_documents)
    )


def domain_text(sentiments: list[int], *, seed: int) -> tuple[str, ...]:
    """Write one review for each sentiment asked for.

    Args:
        sentiments: 0 (negative) or 1 (positive) of each review.
        seed: seed of the documents, not of the words.
    """
    lexicon = make_lexicon()
    rng = np.random.default_rng([seed, 1])
    return tuple(
        _Writer(
            rng,
            lexicon,
            topic=_pick(rng, lexicon.domain_topics),
            sentiment=sentiment,
            own_share=1.0 - GENERIC_SHARE,
        ).document()
        for sentiment in sentiments
    )


def _listing(
    texts: tuple[str, ...], parts: list[Part], labels: list[int], names: tuple[str, ...]
) -> Listing:
    return Listing(
        texts=texts,
        parts=np.array(parts, dtype=np.uint8),
        labels=np.array(labels, dtype=np.int16),
        label_names=names,
    )


def _read_general(num_documents: int, seed: int) -> Listing:
    texts = general_text(num_documents, seed=seed)
    return _listing(texts, [Part.UNLABELLED] * len(texts), [NO_LABEL] * len(texts), ())


def _read_domain(num_unlabelled: int, seed: int) -> Listing:
    parts = [Part.LABELLED] * LABELLED_DOCUMENTS
    parts += [Part.TEST] * TEST_DOCUMENTS + [Part.UNLABELLED] * num_unlabelled
    # Alternating sentiments balance every part.
    sentiments = [(NEGATIVE, POSITIVE)[index % 2] for index in range(len(parts))]
    labels = [
        NO_LABEL if part is Part.UNLABELLED else sentiment
        for part, sentiment in zip(parts, sentiments, strict=True)
    ]
    return _listing(domain_text(sentiments, seed=seed), parts, labels, LABEL_NAMES)


def read_synthetic(kind: str, *, documents: int | None, seed: int) -> Listing:
    """Generate one of the embedded corpora.

    Args:
        kind: ``synthetic`` (the domain: 1,000 labelled, 1,000 test and the unlabelled documents) or
            ``synthetic-general``.
        documents: unlabelled documents; None for 4,000.
        seed: seed of the documents, >= 0.
    """
    readers: dict[str, tuple[Callable[[int, int], Listing], int]] = {
        "synthetic": (_read_domain, UNLABELLED_DOCUMENTS),
        "synthetic-general": (_read_general, GENERAL_DOCUMENTS),
    }
    reader, default = readers[kind]
    return reader(default if documents is None else documents, seed)
