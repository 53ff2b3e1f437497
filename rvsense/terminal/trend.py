"""What `top` remembers between two looks: the run of a few figures. Pure, bounded."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

LOOKS = 120


def _run() -> "deque[float | None]":
    return deque(maxlen=LOOKS)


@dataclass(slots=True)
class Trend:
    """Figures of the last looks, oldest first; None where one was not known."""

    p99_ms: "deque[float | None]" = field(default_factory=_run)
    accuracy: "deque[float | None]" = field(default_factory=_run)
    mi_bound: "deque[float | None]" = field(default_factory=_run)

    def add(self, status: Mapping[str, Any]) -> None:
        """Take the figures of another look."""
        self.p99_ms.append(status["serving"]["latency_p99_ms"])
        self.accuracy.append(status["score"]["accuracy"])
        self.mi_bound.append(status["learner"]["figures"].get("mi_bound"))

    def away(self) -> None:
        """Nothing was heard."""
        for run in (self.p99_ms, self.accuracy, self.mi_bound):
            run.append(None)
