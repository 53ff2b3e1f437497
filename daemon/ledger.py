"""Where every frame went: received = settled by outcome + pending, at every instant.

The counts are the core's own; `pending` is measured from its queues when the ledger is taken, so
`balanced` compares two independent figures.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StreamLedger:
    """One stream of one site in the pairing core."""

    received: int
    paired: int
    dropped: Mapping[str, int]
    pending: int

    def balanced(self) -> bool:
        """Whether received = paired + dropped + pending: no frame is lost or counted twice."""
        return self.received == self.paired + sum(self.dropped.values()) + self.pending

    def as_dict(self) -> dict[str, object]:
        """For /statusz and `rvsense pair`; reasons that never happened are left out."""
        return {
            "received": self.received,
            "paired": self.paired,
            "dropped": {reason: count for reason, count in self.dropped.items() if count},
            "pending": self.pending,
        }


@dataclass(frozen=True, slots=True)
class SiteLedger:
    """Both streams of one site."""

    radar: StreamLedger
    camera: StreamLedger

    def balanced(self) -> bool:
        """Whether both streams balance and they agree on the number of pairs."""
        same_pairs = self.radar.paired == self.camera.paired
        return same_pairs and self.radar.balanced() and self.camera.balanced()

    def as_dict(self) -> dict[str, object]:
        """For /statusz and `rvsense pair`."""
        return {"radar": self.radar.as_dict(), "camera": self.camera.as_dict()}
