"""Ending: what a trial's last report says, whatever its training came to.

A function that trains comes in; an outcome, or the text of a failure that another attempt would not
mend, goes out. Training that runs out of memory is tried once more in the same process, each batch
in two parts: half the memory and the same gradient (`ulm.training.accumulation`). What is too
large for this machine is said under a name of its own: the next run, which may have another, asks
the trial again. So is what is no fault of the trial, a lost encoder, a full disk, a damaged token
array or a device that can not do what is asked of all: the trial does not count, and is asked again
when that is mended.
"""

import ctypes
import socket
from collections.abc import Callable, Sequence

from sweeps import garbage
from sweeps.disk import full_disk, is_full
from sweeps.errors import LostEncoderError
from sweeps.search.messages import (
    BROKEN,
    FAILURE,
    HALVES,
    LOST_ENCODER,
    MISFIT,
    NODE,
    OUTCOME,
    dump,
)
from sweeps.search.records import Outcome
from ulm.errors import DeviceError, TokenError, UlmError

MORE_MEMORY = "run again where a trial has more memory, or lower `batch` in a sweep of another name"


def ending_of(
    train: Callable[[int], Outcome], *, place: str, has_batches: bool = True, parts: int = 1
) -> dict[str, str]:
    """The result that a trial reports last.

    Args:
        train: Trains with batches cut into this many parts.
        place: Where the trial writes, to be named when it is full.
        has_batches: Whether parts save memory; `bow` trains on all documents at once.
        parts: More than one where a worker was lost because memory did not suffice.

    Returns:
        The outcome, a failure, or why this trial, or none, can go on here; with the last an encoder
        that is lost.
    """
    try:
        return _ending_in_memory(train, (parts, HALVES) if has_batches else (1,))
    except LostEncoderError as lost:
        return {LOST_ENCODER: lost.key, MISFIT: str(lost)}
    except TokenError as damaged:
        return {MISFIT: str(damaged)}
    except DeviceError as unable:
        return {MISFIT: f"{socket.gethostname()}: {unable}", NODE: "this"}
    except Exception as error:
        if not is_full(error):
            raise
        return {MISFIT: str(full_disk(place))}


def _ending_in_memory(train: Callable[[int], Outcome], tries: Sequence[int]) -> dict[str, str]:
    for parts in sorted(set(tries)):
        ending, is_too_large = _attempt(train, parts)
        give_back_memory()
        if not is_too_large:
            return ending
    if HALVES in tries:
        return {BROKEN: f"{ending[BROKEN]}, also with half the batch at a time: {MORE_MEMORY}"}
    return ending


def _attempt(train: Callable[[int], Outcome], parts: int) -> tuple[dict[str, str], bool]:
    """The ending and whether memory did not suffice; no frame of the training is left."""
    from ulm.training.listener import TrainingDiverged
    from ulm.training.memory_errors import is_out_of_memory

    try:
        return {OUTCOME: dump(train(parts))}, False
    except TrainingDiverged as error:
        return {FAILURE: f"diverged: {error}"}, False
    except (TokenError, DeviceError):
        raise  # no fault of the trial
    except UlmError as error:
        return {FAILURE: str(error)}, False
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        return {BROKEN: f"out of memory: {error}"}, True


def give_back_memory() -> None:
    """Frees what training held: actors are reused; torch and glibc keep freed memory."""
    import torch

    garbage.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
