"""How a setting is written down."""

from dataclasses import field
from typing import Any

MIB = 1024 * 1024


def setting(
    default: Any,
    doc: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] | None = None,
) -> Any:
    """A dataclass field with its documentation and its allowed values (bounds inclusive)."""
    return field(
        default=default, metadata={"doc": doc, "low": low, "high": high, "choices": choices}
    )
