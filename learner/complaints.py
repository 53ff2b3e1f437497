"""What is said of messages that cannot be used: to whoever sent them, briefly, and not for ever.

A daemon that sends nonsense without end would else fill its own log, or that of everybody. What
is not said is counted all the same, and the next thing that is said tells how much was left out.
"""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

from rvsense.wire import short

AT_MOST = 8
"""Notices of one event to one daemon within PERIOD_S."""
PERIOD_S = 60.0
LONGEST_DETAIL = 300
"""Characters of an error's text."""


@dataclass(slots=True)
class _Said:
    since: float
    times: int = 0
    left_out: int = 0


class Complaints:
    """Decides which are sent; of who has gone nothing is kept for longer than PERIOD_S."""

    def __init__(self) -> None:
        self._said: dict[tuple[Hashable, str], _Said] = {}

    def may(self, who: Hashable, event: str, now: float) -> int | None:
        """None: not this one. Else how many were left out since the last one that was sent."""
        key = who, event
        said = self._said.get(key)
        if said is None or now - said.since >= PERIOD_S:
            self._said = {k: v for k, v in self._said.items() if now - v.since < PERIOD_S}
            left_out = said.left_out if said is not None else 0
            self._said[key] = _Said(now, times=1)
            return left_out
        if said.times >= AT_MOST:
            said.left_out += 1
            return None
        said.times += 1
        return 0


def brief(text: str) -> str:
    """An error's text, cut where it has become a quotation of what somebody sent."""
    return text if len(text) <= LONGEST_DETAIL else text[: LONGEST_DETAIL - 3] + "..."


def place_of(values: dict[str, Any]) -> dict[str, Any]:
    """Which pair or label it was, out of values that may be anything."""
    return {
        key: value if type(value := values.get(key)) is int else _words(value)
        for key in ("site", "epoch", "stamp_ns")
    }


def _words(value: Any) -> str:
    return value if isinstance(value, str) and len(value) <= 64 else short(value)
