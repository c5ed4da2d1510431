"""Passwords: kept out of what is shown and of what is recorded (pure).

Texts and URLs come in; the same without passwords goes out. `ledger.url` and `tracking.uri` may
hold one. What a run writes (its record of the spec, the workers' copy of it, MLflow, reports, log
lines) passes through here; whoever reads a record later takes the password from the environment.
"""

import re
from urllib.parse import parse_qsl, urlencode

_USER_INFO = re.compile(r"(?<=://)(?!/)[^\s'\"]*@(?=[^/@]*)")
_PASSWORD = re.compile(r"(?<=://)([^:/@\s]*):\S*@")
_SECRET_NAME = "(?i:[a-z_]*password|[a-z_]*token|secret(?:_key)?|access_key)"
_SECRET_QUERY = re.compile(rf"([?&]{_SECRET_NAME}=)[^&\s'\"]+")


def redact_uri(text: str) -> str:
    """A text with the user and password of every URI in it replaced by `***`."""
    return _SECRET_QUERY.sub(r"\1***", _USER_INFO.sub("***@", text))


def without_password(url: str) -> str:
    """A URL without the password in it, the user's name kept, so that it can still be opened."""
    base, mark, query = _PASSWORD.sub(r"\1@", url).partition("?")
    options = parse_qsl(query)
    kept = [(name, value) for name, value in options if not re.fullmatch(_SECRET_NAME, name)]
    if len(kept) < len(options):
        query = urlencode(kept)
    return base + (mark + query if query else "")
