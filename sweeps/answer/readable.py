"""Readable: a document's text from its tokens (pure).

fastai's rules mark what they take away: capitals by a token before the word, repetitions by a token
and a count. The marks are undone, so that a text reads as it was written but for its spaces and for
capitals that no mark keeps: those inside a word or behind a quote.
"""

from collections.abc import Iterator, Sequence

SHORTENED = 420  # characters of a document that are shown
_NO_SPACE_BEFORE = frozenset(".,;:!?)]}%'’”…،؛؟。，、；：！？」』）\n")
_NO_SPACE_AFTER = frozenset("([{“‘$#「『（\n")
_SPACE = "▁"  # what fastai writes for a space inside a token


def readable(tokens: Sequence[str]) -> str:
    """The text of a document.

    Args:
        tokens: As `fastai.text.core.tokenize_texts` makes them.
    """
    text, is_open, in_quotes = "", True, False
    for word in _words(iter(tokens)):
        is_quote = word == '"'
        is_close = word[:1] in _NO_SPACE_BEFORE or word == "n't" or (is_quote and in_quotes)
        text += word if is_open or is_close else f" {word}"
        in_quotes = in_quotes != is_quote and "\n" not in word  # a line ends what stands open
        is_open = word[-1:] in _NO_SPACE_AFTER or (is_quote and in_quotes)
    return text.strip()


def _words(tokens: Iterator[str]) -> Iterator[str]:
    for token in tokens:
        if token in ("xxbos", "xxeos", "xxpad", "xxfld"):
            continue
        if token in ("xxmaj", "xxup"):
            word = next(tokens, "")
            yield word.capitalize() if token == "xxmaj" else word.upper()
        elif token in ("xxrep", "xxwrep"):
            yield _repeated(token, next(tokens, "1"), next(tokens, ""))
        elif word := token.replace(_SPACE, " ").strip(" "):
            yield word


def _repeated(mark: str, count: str, what: str) -> str:
    times = int(count) if count.isdigit() else 1
    return what * times if mark == "xxrep" else " ".join([what] * times)


def shortened(text: str, most: int = SHORTENED) -> str:
    """The text, or its beginning and its end around an ellipsis where it is long.

    Reviews judge at their end, so that a third of what is shown is from there.
    """
    if len(text) <= most:
        return text
    tail = most // 3
    head = text[: most - tail].rsplit(" ", 1)[0]
    return f"{head} … {text[-tail:].split(' ', 1)[-1]}"
