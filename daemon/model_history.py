"""Which models served, and which were refused and why: the last few events, oldest first."""

import time
from collections import deque
from typing import Any

from rvsense.model import ServableModel

EVENTS = 32
DETAIL_CHARS = 240
"""Of an error's text; the log has it whole."""


class ModelHistory:
    """A bounded log of what became of published models. I/O thread only."""

    def __init__(self) -> None:
        self._events: deque[dict[str, Any]] = deque(maxlen=EVENTS)

    def serves(self, model: ServableModel, event: str) -> None:
        """A model answers from now on; `event` says how: restored, swapped, …"""
        published = model.published
        head = published.manifest["head"] or {}
        self._events.append(
            {
                "at_s": round(time.time(), 1),
                "event": event,
                "model": published.id,
                "step": published.step,
                "labels": sum(head.get("labels", {}).values()),
                "held_out_accuracy": head.get("accuracy"),
            }
        )

    def refused(self, name: str, reason: str, detail: str) -> None:
        """A published model does not serve."""
        self._events.append(
            {
                "at_s": round(time.time(), 1),
                "event": "refused",
                "model": name,
                "reason": reason,
                "detail": detail[:DETAIL_CHARS],
            }
        )

    def as_list(self) -> list[dict[str, Any]]:
        """For `/statusz`."""
        return list(self._events)
