"""Rules: how a value of a spec refuses what breaks a rule of it (pure).

A condition and a message come in; nothing goes out, or a ValueError that the reader of a spec turns
into `file:line: key: message`.
"""


def require(condition: bool, message: str) -> None:
    """Hold a value to a rule.

    Args:
        condition: Whether the rule holds.
        message: The rule and the value found.

    Raises:
        ValueError: It does not hold.
    """
    if not condition:
        raise ValueError(message)


def require_at_least(least: int, value: object, *names: str) -> None:
    """Hold fields of a value to a smallest number.

    Args:
        least: The smallest number allowed.
        value: Has the fields.
        names: Names of the fields.

    Raises:
        ValueError: One is smaller.
    """
    for name in names:
        found = getattr(value, name)
        require(found >= least, f"{name} must be at least {least}, found {found}")
