"""Seeding: every generator of a sweep derives from one function.

The same parts give the same seed in every process and Python version, so a trial that is repeated
on the same machine repeats its numbers.
"""

import hashlib


def seed_for(*parts: str | int) -> int:
    """A 63-bit seed from a path of names and numbers, e.g. (sweep seed, cell, stage, trial).

    Args:
        parts: Names and numbers; their order and types matter (1 and "1" differ).

    Returns:
        An integer in [0, 2**63).
    """
    path = "\x1f".join(f"{type(part).__name__}:{part}" for part in parts)
    return int.from_bytes(hashlib.blake2b(path.encode(), digest_size=8).digest(), "big") >> 1
