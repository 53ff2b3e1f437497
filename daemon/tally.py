"""What became of every message and every radar frame. Pure counting.

The serving ledger balances at every instant:
    radar taken in = answered + dropped {overload, late, duplicate} + waiting
"""

import hashlib
import math
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any

from rvsense.daemon.effects import PairFound

LATENCIES_KEPT = 4096


@dataclass(slots=True)
class Tally:
    """Counts since start, and what can be said of them."""

    received: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    answered: int = 0
    abstained: Counter[str] = field(default_factory=Counter)
    pairs: int = 0
    examined: int = 0
    taught: int = 0
    learn: int = 0
    skew_ms: deque[float] = field(default_factory=lambda: deque(maxlen=LATENCIES_KEPT))
    latency_ms: deque[float] = field(default_factory=lambda: deque(maxlen=LATENCIES_KEPT))
    _pair_log: dict[str, Any] = field(default_factory=dict)

    def paired(self, pair: PairFound) -> None:
        """A pair was found."""
        self.pairs += 1
        self.skew_ms.append(pair.skew_ns / 1e6)
        log = self._pair_log.setdefault(pair.site, hashlib.sha256())
        line = f"{pair.epoch} {pair.radar_seq} {pair.camera_seq} {pair.skew_ns}\n"
        log.update(line.encode())

    @property
    def pair_log_sha256(self) -> str:
        """Digest of every pair so far, site by site: which sites spoke first does not matter."""
        lines = [f"{site} {log.hexdigest()}\n" for site, log in sorted(self._pair_log.items())]
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    @property
    def messages(self) -> int:
        """Messages that came in, the rejected ones included."""
        return sum(self.received.values()) + sum(self.rejected.values())

    def serving(self, waiting: int) -> dict[str, Any]:
        """The serving ledger, with the frames that wait at this instant."""
        radar = self.received["radar"]
        settled = self.answered + sum(self.dropped.values()) + waiting
        return {
            "radar": radar,
            "answered": self.answered,
            "dropped": dict(self.dropped),
            "waiting": waiting,
            "balanced": radar == settled,
        }


def percentile(values: "deque[float]", share: float) -> float | None:
    """The smallest value that at least `share` of the values do not exceed; None without any."""
    return _at(sorted(values), share)


def median_and_p99(name: str, values_ms: "deque[float]") -> dict[str, float | None]:
    """Both percentiles under their names in `/statusz`, sorted for once."""
    ordered = sorted(values_ms)
    return {f"{name}_p50_ms": _at(ordered, 0.5), f"{name}_p99_ms": _at(ordered, 0.99)}


def _at(ordered: list[float], share: float) -> float | None:
    return ordered[max(math.ceil(share * len(ordered)) - 1, 0)] if ordered else None
