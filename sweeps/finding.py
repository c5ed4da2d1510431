"""Finding: what one check found.

Checks of a spec (`sweeps.checks`) and of a cluster's nodes (`sweeps.run.health`) return findings;
`sweeps.tables` shows them. A value of its own file, because both rooms need it.
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """What one check found.

    Args:
        what: What was checked.
        result: `failed` stops a run, `note` may.
        detail: What was found, or the message with the remedy.
    """

    what: str
    result: Literal["ok", "note", "failed"]
    detail: str
