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
