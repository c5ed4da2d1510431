"""Arguments: what the words of a command line mean on a cluster's head.

`ray submit` copies one script to the head and runs it from the home folder there, with all words
joined by spaces and no quotes around them. So a name with a space arrives as several words, and
paths that were right on the laptop start from another folder. Words and ways to look come in; words
and paths that exist go out. A space inside a word that names nothing and opens no bracket can not
be told from one between words; such a word needs quotes inside quotes: `'"two words"'`.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from sweeps.paths import LOCAL_COPY

PROJECT_VARIABLE = "SWEEP_PROJECT"
"""Folder on a head where the user's clone is mounted."""
STORAGE_VARIABLE = "SWEEP_STORAGE"
"""Folder or URI of the sweeps, where nothing else names one."""

_CLOSING = {"[": "]", "{": "}"}


def rejoin(words: Sequence[str], exists: Callable[[str], bool]) -> list[str]:
    """Join neighbouring words that were one before a shell split them.

    Words are joined by one space where the first alone names nothing and the longest run of words
    names a file or folder, or where a later word closes the brackets that the first opens, as in
    `--set sizes=[100,` `400]`. Of `name=value` the value is looked at too.

    Args:
        words: Arguments as they arrived.
        exists: Whether a text names a file or folder.

    Returns:
        The arguments as they were meant.
    """
    joined: list[str] = []
    at = 0
    while at < len(words):
        count = _belonging(words[at:], exists)
        joined.append(" ".join(words[at : at + count]))
        at += count
    return joined


def _belonging(words: Sequence[str], exists: Callable[[str], bool]) -> int:
    """How many words from the first on make one argument."""
    if _leads_somewhere(words[0], exists):
        return 1
    limit = _up_to_an_option(words)
    for count in range(limit, 1, -1):
        if _leads_somewhere(" ".join(words[:count]), exists):
            return count
    for count in range(1, limit + 1):
        if _is_balanced(" ".join(words[:count])):
            return count
    return 1


def _up_to_an_option(words: Sequence[str]) -> int:
    options = (at for at, word in enumerate(words) if at > 0 and word.startswith("--"))
    return next(options, len(words))


def _leads_somewhere(word: str, exists: Callable[[str], bool]) -> bool:
    """Whether a word names a file or folder, or the value does that it gives to a name."""
    name, _, value = word.partition("=")
    return exists(word) or (" " not in name and exists(value))


def _is_balanced(text: str) -> bool:
    """Whether every bracket is closed; quotes are not looked at, a shell has removed them."""
    open_brackets: list[str] = []
    for letter in text:
        if letter in _CLOSING:
            open_brackets.append(_CLOSING[letter])
        elif open_brackets and letter == open_brackets[-1]:
            open_brackets.pop()
    return not open_brackets


def is_found(word: str, environment: Mapping[str, str]) -> bool:
    """Whether a word names a file or folder from here, in the mounted clone or on the storage."""
    if not word or Path(word).expanduser().exists():
        return bool(word)
    project = project_folder(environment)
    if project is not None and (project / word).exists():
        return True
    return sweep_folder(Path(word), environment).exists()


def project_folder(environment: Mapping[str, str]) -> Path | None:
    """The user's clone on a cluster's head; None elsewhere."""
    folder = environment.get(PROJECT_VARIABLE)
    return Path(folder).expanduser() if folder else None


def sweep_folder(folder: Path, environment: Mapping[str, str]) -> Path:
    """The folder of a sweep as given, or, where it does not exist, the one on the shared folder.

    Args:
        folder: What the user typed: a name, or one below a folder `runs`.
        environment: Holds `SWEEP_STORAGE` on a cluster; a URI there has its local copy in `runs`.

    Returns:
        `folder` itself where it exists or nothing better is known.
    """
    storage = environment.get(STORAGE_VARIABLE)
    if folder.expanduser().exists() or not storage or "://" in storage:
        return folder
    shared = Path(storage).expanduser() / folder.name
    is_a_sweep = folder.name and folder.parent.name in ("", LOCAL_COPY)
    return shared if is_a_sweep and shared.is_dir() else folder
