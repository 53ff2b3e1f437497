"""Who was turned away, where and why: counted always, logged within bounds."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import structlog

from rvsense.logs import RepeatLimiter


class Denials:
    """Counts by (entrance, reason of rvsense.gate); one thread uses it.

    Args:
        on_denied: told the entrance and the reason of each.
    """

    def __init__(self, on_denied: Callable[[str, str], None] = lambda *_: None) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()
        self._on_denied = on_denied
        self._limiter = RepeatLimiter()
        self._log = structlog.get_logger()

    def note(self, entrance: str, reason: str, now_s: float, **details: Any) -> None:
        """Somebody was turned away, or shown out."""
        self.counts[entrance, reason] += 1
        self._on_denied(entrance, reason)
        if self._limiter.admit(f"{entrance}: {reason}", now_s):
            self._log.warning("connection_denied", entrance=entrance, reason=reason, **details)

    def summarise(self, now_s: float) -> None:
        """Log how many were not logged one by one."""
        for key, count in self._limiter.summaries(now_s):
            self._log.warning("connections_denied", at=str(key), not_logged=count)

    def as_map(self) -> dict[str, int]:
        """For `/statusz`."""
        return {f"{entrance}: {reason}": n for (entrance, reason), n in self.counts.items()}
