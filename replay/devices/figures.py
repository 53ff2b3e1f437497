"""What a live device did, counted, and how it is said. Pure."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from rvsense.frames import Kind


@dataclass(slots=True)
class Figures:
    """Frames of one run; `dropped` is by reason, each frame at most once."""

    site: str
    device: str
    captured: int = 0
    sent: Counter[Kind] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    """Other counts of the device: reconnections, packets behind their time."""
    started_ns: int = 0
    now_ns: int = 0
    _spans: dict[Kind, tuple[int, int]] = field(default_factory=dict)

    def count_sent(self, kind: Kind, now_ns: int) -> None:
        """A frame was handed to the socket; `now_ns` is monotonic, as all here."""
        self.sent[kind] += 1
        first, _ = self._spans.get(kind, (now_ns, now_ns))
        self._spans[kind] = (first, now_ns)

    def observe(
        self, captured: int, dropped: Mapping[str, int], notes: Mapping[str, int], now_ns: int
    ) -> None:
        """Take over the counts of capture and line as they stand."""
        self.captured = captured
        self.dropped = Counter(dropped)
        self.notes = Counter(notes)
        self.now_ns = now_ns

    @property
    def seconds(self) -> float:
        """Since the start."""
        return (self.now_ns - self.started_ns) / 1e9

    def rate_hz(self, kind: Kind) -> float | None:
        """Frames a second from the first sent to the last; None below two."""
        first, last = self._spans.get(kind, (0, 0))
        return (self.sent[kind] - 1) * 1e9 / (last - first) if last > first else None

    def as_json(self) -> str:
        """The whole run as one JSON line."""
        rates = {kind: self.rate_hz(kind) for kind in self.sent}
        return json.dumps(
            {
                "device": self.device,
                "site": self.site,
                "captured": self.captured,
                "sent": dict(self.sent),
                "dropped": dict(self.dropped),
                "notes": dict(self.notes),
                "seconds": round(self.seconds, 3),
                "rate_hz": {kind: rate and round(rate, 3) for kind, rate in rates.items()},
            }
        )

    def as_text(self, before: Counter[Kind], seconds: float) -> str:
        """One line for a person who watches: rates since `before`, counts since the start."""
        parts = [
            f"{kind} {(n - before[kind]) / seconds:.1f}/s ({n})" for kind, n in self.sent.items()
        ]
        parts = parts or ["nothing sent yet"]
        for counts in (self.dropped, self.notes):
            parts += [f"{n} {reason}" for reason, n in counts.items() if n]
        return f"{self.device} of {self.site}: " + ", ".join(parts)
