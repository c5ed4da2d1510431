"""The error tree. A user's mistake is a `SweepError`: one message with the remedy, exit code 2.

    ValueError
    ├── ulm.errors.UlmError        bad text, corpus or model file (raised below sweeps)
    └── SweepError
        ├── SpecError              every mistake of one spec, as `file:line: key: message` lines
        ├── MeaningError           the spec no longer means what the recorded cells mean
        ├── StorageError           a run folder, ledger or store that cannot be read or written
        │   ├── DamagedError       files are not what was written
        │   └── LostEncoderError   an encoder of the store is gone or damaged
        ├── TrackingError          the MLflow record cannot be used at start
        │   └── OutageError        its server is down, slow or refuses; later it may not
        ├── ClusterError           the cluster does not answer, or a node of it is not fit
        ├── QuestionError          an option of `sweep advise` asks for what cannot be
        └── CapacityError          no node of the cluster can ever hold a trial

Our own mistakes are asserts. Text of an error: the rule, then the value found, then what to do.
"""

from collections.abc import Sequence

from sweeps.passwords import redact_uri


class SweepError(ValueError):
    """A mistake the user can mend; its text is the whole message shown."""


class SpecError(SweepError):
    """Every mistake found in one spec.

    Args:
        mistakes: One line each, `file:line: key: what is wrong, what was found, what is allowed`.
    """

    def __init__(self, mistakes: Sequence[str]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("\n".join(self.mistakes))


class MeaningError(SweepError):
    """A changed spec would alter the meaning of cells that are already recorded."""


class StorageError(SweepError):
    """A run folder, ledger or encoder store cannot be read or written."""


class DamagedError(StorageError):
    """Files of shared storage are not what was written: cut short, or with other bytes."""


class LostEncoderError(StorageError):
    """An encoder that was in the store is gone or damaged.

    Args:
        key: Its store key.
        reason: What was found.
    """

    def __init__(self, key: str, reason: str) -> None:
        self.key = key
        super().__init__(f"encoder {key} {reason}")


class TrackingError(SweepError):
    """The tracking store cannot be used when a sweep starts."""


class OutageError(TrackingError):
    """The tracking server does not answer, or with an error; nothing says that it never will."""


class ClusterError(SweepError):
    """The cluster does not answer or refuses this machine, or one of its nodes is not fit."""


class CapacityError(SweepError):
    """No node of the cluster, also of the largest it may grow to, can hold a trial."""


class QuestionError(SweepError):
    """An option of `sweep advise` asks for what cannot be."""


def describe_error(error: BaseException) -> str:
    """The first cause of an error on one line, without passwords: what a client wraps says more."""
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    text = " ".join(str(error).split()) or type(error).__name__
    return redact_uri(text)[:300]
