"""What a player did, counted, and how it is said at the end. Pure."""

import json
from collections import Counter
from dataclasses import dataclass, field

from rvsense.frames import Kind

KINDS: tuple[Kind, ...] = ("radar", "camera", "label")
LINES_PER_REASON = 20


@dataclass
class Tally:
    """Frames sent and rejected, and the times from which the radar's rate follows."""

    speed: float | None
    sent: Counter[Kind] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    loops: int = 0
    """Whole passes through the dataset."""
    delivered: bool = False
    """The receiver took everything that was sent."""
    seconds: float = 0.0
    _first_radar: tuple[int, int] | None = None
    _last_radar: tuple[int, int] = (0, 0)

    def count_sent(self, kind: Kind, play_ns: int, now_ns: int) -> None:
        """A frame due at `play_ns` of the run was handed to the socket at `now_ns`."""
        self.sent[kind] += 1
        if kind == "radar":
            self._last_radar = (play_ns, now_ns)
            self._first_radar = self._first_radar or self._last_radar

    def count_rejected(self, reason: str, detail: str) -> str | None:
        """Something was left out; the line that says so, or None when enough have."""
        self.rejected[reason] += 1
        if self.rejected[reason] > LINES_PER_REASON:
            return None
        more = "; more of these are counted only" * (self.rejected[reason] == LINES_PER_REASON)
        return f"rvsense replay: rejected ({reason}): {detail}{more}"

    @property
    def rate_hz(self) -> float | None:
        """Radar frames a second as they went out, all sites together; None below two."""
        return self._rate(clock=1)

    @property
    def wanted_hz(self) -> float | None:
        """The same as the schedule asked for; None at speed max, which asks for none."""
        source_hz = self._rate(clock=0)
        return source_hz * self.speed if source_hz and self.speed else None

    def as_json(self) -> str:
        """The report as one JSON line, for the daemon to know that everything was sent."""
        return json.dumps(
            {
                "sent": {kind: self.sent[kind] for kind in KINDS},
                "rejected": dict(sorted(self.rejected.items())),
                "seconds": round(self.seconds, 3),
                "rate_hz": _rounded(self.rate_hz),
                "wanted_hz": _rounded(self.wanted_hz),
                "loops": self.loops,
                "delivered": self.delivered,
            }
        )

    def as_text(self) -> str:
        """The report as one line for a person."""
        sent = ", ".join(f"{self.sent[kind]} {kind}" for kind in KINDS)
        text = f"rvsense replay: sent {sent} in {self.seconds:.1f} s"
        if self.rate_hz:
            text += f", {self.rate_hz:.2f} radar frames/s"
            text += f" of {self.wanted_hz:.2f} wanted" if self.wanted_hz else ""
        if self.rejected:
            text += "; rejected " + ", ".join(f"{n} {why}" for why, n in self.rejected.items())
        return text

    def _rate(self, *, clock: int) -> float | None:
        if self._first_radar is None:
            return None
        span_ns = self._last_radar[clock] - self._first_radar[clock]
        return (self.sent["radar"] - 1) * 1e9 / span_ns if span_ns > 0 else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
