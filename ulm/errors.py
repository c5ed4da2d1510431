"""What `ulm` raises when the user is mistaken; our own mistakes are asserts.

The tree::

    ValueError
    └── UlmError             a user's mistake: the rule, the value found, what to do
        ├── CorpusError      a source that can not be opened, or documents that break a rule
        ├── SubsetError      more labels, documents or folds than the corpus has
        ├── TokenError       a token array that is missing, cut short or could not be made
        ├── VocabularyError  a vocabulary that breaks a rule
        ├── DeviceError      what this machine can not do; another may
        ├── EncoderError     an encoder's files are missing or damaged (model/encoder.py)
        ├── LabellerError    a labeller's files are, or it is given no list of texts (labeller.py)
        └── TrainingDiverged the loss is no longer finite (training/listener.py)

Catching `UlmError` and showing its text is all a command line has to do: every message is complete.
"""


class UlmError(ValueError):
    """A user's mistake: the rule, then the value found, then what to do."""


class CorpusError(UlmError):
    """A source that can not be opened, or documents that break a rule of corpora."""


class SubsetError(UlmError):
    """More labels, documents or folds were asked for than the corpus has."""


class TokenError(UlmError):
    """A token array that is missing, cut short or could not be made."""


class DeviceError(UlmError):
    """Something was asked for that this machine can not do; another may."""


class VocabularyError(UlmError):
    """A vocabulary that breaks a rule: a word twice, specials not first, a size too small."""


def require_at_least(least: int, value: object, *names: str) -> None:
    """Hold fields of a value to a smallest number.

    Args:
        least: The smallest number allowed.
        value: Has the fields.
        names: Names of the fields.

    Raises:
        UlmError: One is smaller.
    """
    for name in names:
        found = getattr(value, name)
        if found < least:
            raise UlmError(f"{name} must be at least {least}, found {found}")
