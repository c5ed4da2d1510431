"""Question: what a user asks of a finished or unfinished sweep (pure).

Options of `sweep advise` come in and are checked; a frozen question goes out.
"""

from dataclasses import dataclass

from sweeps.errors import QuestionError


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """What is wanted, what may be spent, what things cost.

    Args:
        target: Accuracy to reach, above chance and below 1; None asks only what more text brings.
        budget_documents: Domain documents that can be had in all.
        price_per_document: Money for one more document.
        price_per_gpu_hour: Money for one accelerator hour.
        chance: Accuracy of always saying the most frequent class; None where unknown.
        pool_documents: Domain documents that the recorded corpus has; None where unknown.
    """

    target: float | None = None
    budget_documents: int | None = None
    price_per_document: float | None = None
    price_per_gpu_hour: float | None = None
    chance: float | None = None
    pool_documents: int | None = None

    def __post_init__(self) -> None:
        if self.target is not None and not 0 < self.target < 1:
            raise QuestionError(
                f"--target must be an accuracy between 0 and 1, found {self.target:g}; "
                "85 % is --target 0.85"
            )
        if self.target is not None and self.chance is not None and self.target <= self.chance:
            raise QuestionError(
                f"--target must be above {self.chance:.3g}, what always saying one class scores, "
                f"found {self.target:g}; name a higher accuracy"
            )
        if self.budget_documents is not None and self.budget_documents < 1:
            raise QuestionError(
                f"--budget-documents must be at least 1, found {self.budget_documents}; name all "
                "documents that can be had, those at hand included"
            )
        for name in ("price_per_document", "price_per_gpu_hour"):
            price = getattr(self, name)
            if price is not None and not 0 <= price < float("inf"):
                option = name.replace("_", "-")
                raise QuestionError(f"--{option} must be money, 0 or more, found {price:g}")

    @property
    def most_documents(self) -> int | None:
        """Documents that a cell of this sweep may have; None where no limit is known."""
        limits = (self.budget_documents, self.pool_documents)
        return min((limit for limit in limits if limit is not None), default=None)
