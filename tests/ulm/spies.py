"""What the steps of a training are given and return."""

from typing import Any

import pytest


def spied(
    monkeypatch: pytest.MonkeyPatch, task: object, name: str
) -> list[tuple[tuple[Any, ...], Any]]:
    """Arguments and result of every call that a task is going to make of its method `name`."""
    calls: list[tuple[tuple[Any, ...], Any]] = []
    method = getattr(task, name)

    def spy(*arguments: Any) -> Any:
        calls.append((arguments, method(*arguments)))
        return calls[-1][1]

    monkeypatch.setattr(task, name, spy)
    return calls
