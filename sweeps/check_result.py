"""Check result: what one check found.

Checks of a spec (`sweeps.checks`) and of a cluster's nodes (`sweeps.run.health`) return results;
`sweeps.tables` shows them. A value of its own file, because both rooms need it.
"""

from dataclasses import dataclass
from typing import Literal, Self


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckResult:
    """What one check found.

    Args:
        what: What was checked.
        result: `failed` stops a run, `note` may.
        detail: What was found, or the message with the remedy.
    """

    what: str
    result: Literal["ok", "note", "failed"]
    detail: str

    @classmethod
    def ok(cls, what: str, detail: str) -> Self:
        """Nothing is in the way of a run."""
        return cls(what=what, result="ok", detail=detail)

    @classmethod
    def note(cls, what: str, detail: str) -> Self:
        """A run may go on, and who asks for it should know."""
        return cls(what=what, result="note", detail=detail)

    @classmethod
    def failed(cls, what: str, detail: str) -> Self:
        """A run would stop."""
        return cls(what=what, result="failed", detail=detail)
