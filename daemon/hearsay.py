"""What a learner says of itself, as it may be kept and logged: it may be anybody's. Pure."""

from collections.abc import Mapping
from typing import Any

from rvsense.wire import short

LONGEST = 500
"""Characters of a text."""
MOST = 24
"""Values in one line of the log."""
OURS = frozenset({"event", "level", "timestamp", "logger", "exc_info", "stack_info", "not_logged"})
"""What lines of the log have of their own."""


def words(text: str) -> str:
    """A text, cut where it has no end."""
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."


def details(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values for a line of the log, few and short."""
    names = [name for name in values if name not in OURS and name == words(name)][:MOST]
    return {name: _brief(values[name]) for name in names}


def _brief(value: Any) -> Any:
    if isinstance(value, list | dict):
        return value if len(repr(value)) <= LONGEST else short(value)
    return words(value) if isinstance(value, str) else value
