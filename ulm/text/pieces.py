"""spaCy's tokens of whole texts, from the tokens of their pieces: each piece is tokenised once.

A piece ends at a space that follows a character other than white space: spaCy drops exactly these
spaces and tokenises what lies between on its own. Of 250,000 pieces in a thousand reviews 29,000
are distinct, so that reading a text is one dictionary lookup for each piece.

The one part of spaCy that sees beyond a piece is its search for special cases ("a.m.", ":-)") among
tokens. A find that spans pieces changes nothing itself, its text having a space, but it can take
the place of a find inside a piece. `SpecialCases` knows the pieces where that can matter and the
neighbours with which it could; a text in which they meet is given to spaCy whole.
"""

import re
from array import array
from collections.abc import Iterable, Sequence
from itertools import chain, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

SPLIT = re.compile(r"(?<=\S) ")
# Bounds the memory of pieces to about 150 MiB; 100,000 reviews have a million. spaCy keeps every
# word besides: 43 MB for 100,000 of them, as of log lines with ids (EXPERIMENTS.md).
MAXIMUM_PIECES = 300_000
# No token of a special case is longer.
EDGE_CHARACTERS = 40


def _alternatives(strings: Iterable[str]) -> re.Pattern[str]:
    longest_first = sorted(set(strings), key=lambda string: (-len(string), string))
    return re.compile("|".join(map(re.escape, longest_first)))


class SpecialCases:
    """spaCy's special cases of several tokens, which it searches for in whole texts.

    Args:
        tokenizer: spaCy's tokeniser.
    """

    def __init__(self, tokenizer: Any) -> None:
        from spacy.tokenizer import Tokenizer

        plain = Tokenizer(
            tokenizer.vocab,
            prefix_search=tokenizer.prefix_search,
            suffix_search=tokenizer.suffix_search,
            infix_finditer=tokenizer.infix_finditer,
            token_match=tokenizer.token_match,
            url_match=tokenizer.url_match,
        )
        parts = {case: [token.text for token in plain(case)] for case in tokenizer.rules}
        several = {case: tokens for case, tokens in parts.items() if len(tokens) > 1}
        self._inside = _alternatives(several)
        self._begin = {_hashes(tokenizer(case))[0] for case in several}
        self._across = _alternatives(
            f"{left} {right}" for tokens in several.values() for left, right in pairwise(tokens)
        )

    def inside(self, piece: str, hashes: list[int]) -> bool:
        """Whether a piece holds a special case and more: the search may have made its tokens."""
        if self._begin.isdisjoint(hashes):
            return False
        found = self._inside.search(piece)
        return found is not None and found.group() != piece

    def across(self, pieces: Sequence[str], index: int) -> bool:
        """Whether a special case may reach from one piece into its neighbours."""
        before = pieces[index - 1][-EDGE_CHARACTERS:] if index else ""
        after = pieces[index + 1][:EDGE_CHARACTERS] if index + 1 < len(pieces) else ""
        return self._across.search(f"{before} {pieces[index]} {after}") is not None


class _Known(dict[str, int]):
    """Number of each piece; a piece that is new is tokenised when it is asked for."""

    def __init__(self, tokenizer: Any, special: SpecialCases) -> None:
        super().__init__()
        self._tokenizer = tokenizer
        self._special = special
        self.hashes = array("Q")
        self.ends = array("q", [0])
        self.suspicious = set[int]()

    def __missing__(self, piece: str) -> int:
        number = len(self)
        hashes = _hashes(self._tokenizer(piece))
        self.hashes.extend(hashes)
        self.ends.append(len(self.hashes))
        if self._special.inside(piece, hashes):
            self.suspicious.add(number)
        self[piece] = number
        return number


def _hashes(doc: Any) -> list[int]:
    return [token.orth for token in doc]


class PieceTokeniser:
    """spaCy's tokeniser with a memory of pieces.

    Args:
        tokenizer: spaCy's tokeniser.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._special = SpecialCases(tokenizer)
        self._known = _Known(tokenizer, self._special)

    def __call__(self, texts: Iterable[str]) -> list[NDArray[np.uint64]]:
        """SpaCy's hash of every token of each text."""
        if len(self._known) > MAXIMUM_PIECES:
            self._known = _Known(self._tokenizer, self._special)
        numbers: list[list[int] | None] = []
        whole: dict[int, NDArray[np.uint64]] = {}
        for index, text in enumerate(texts):
            found = self._numbers(text)
            if found is None:
                whole[index] = np.array(_hashes(self._tokenizer(text)), np.uint64)
            numbers.append(found)
        pieced = iter(self._gather([found for found in numbers if found is not None]))
        return [whole[i] if found is None else next(pieced) for i, found in enumerate(numbers)]

    def _numbers(self, text: str) -> list[int] | None:
        """The numbers of a text's pieces; None where it must be tokenised whole."""
        known = self._known
        pieces = SPLIT.split(text)
        numbers = list(map(known.__getitem__, pieces))
        if not known.suspicious.isdisjoint(numbers) and any(
            number in known.suspicious and self._special.across(pieces, index)
            for index, number in enumerate(numbers)
        ):
            return None
        return numbers

    def _gather(self, texts: list[list[int]]) -> list[NDArray[np.uint64]]:
        """Tokens of the pieces of each text."""
        hashes = np.frombuffer(self._known.hashes, np.uint64)
        ends = np.frombuffer(self._known.ends, np.int64)
        pieces = np.fromiter(chain.from_iterable(texts), np.int64)
        starts, lengths = ends[pieces], ends[pieces + 1] - ends[pieces]
        after = np.cumsum(lengths)
        tokens = hashes[np.repeat(starts - (after - lengths), lengths) + np.arange(lengths.sum())]
        last = np.cumsum([len(numbers) for numbers in texts])
        return np.split(tokens, after[last[:-1] - 1]) if texts else []
