"""What waits to be sent to the learner. Pure.

Rules:
1. At most `window` messages are on their way: sent, and not yet taken by the learner.
2. At most `most` messages wait behind them. A pair too many pushes out the oldest waiting pair
   (`learner_backlog`, or `learner_away` while none is there); labels are few and dear, so they
   are not pushed out by pairs, as long as they hold no more than half of the places: somebody who
   labels every frame must not end all learning. A `lossless` outbox pushes nothing out: its
   owner stops intake while it is `full`, and what one message still brings in is bounded by what
   may wait for its partner.
3. A learner that is gone takes with it what was on its way (`learner_lost`).
4. What is lost is counted by the same reasons, pairs and labels each for themselves.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Any, Literal

from rvsense import link

What = Literal["pair", "label"]
REASONS = ("learner_backlog", "learner_away", "learner_lost")


@dataclass(slots=True)
class Outbox:
    """Bounded, ordered, with its losses counted by reason.

    away   set by its owner while there is no learner
    """

    most: int
    lossless: bool = False
    window: int = link.WINDOW
    away: bool = False
    dropped: dict[str, int] = field(default_factory=lambda: dict.fromkeys(REASONS, 0))
    labels_dropped: dict[str, int] = field(default_factory=lambda: dict.fromkeys(REASONS, 0))
    forwarded: int = 0
    _waiting: deque[tuple[What, Any]] = field(default_factory=deque)
    _on_the_way: deque[What] = field(default_factory=deque)
    _taken: int = 0

    def put(self, what: What, message: Any) -> None:
        """Queue a message."""
        self._waiting.append((what, message))
        if len(self._waiting) > self.most and not self.lossless:
            self._push_out()

    def next(self) -> Any | None:
        """The next message that may be sent now, or None."""
        if not self._waiting or len(self._on_the_way) >= self.window:
            return None
        what, message = self._waiting.popleft()
        self._on_the_way.append(what)
        return message

    def taken(self, count: int) -> None:
        """The learner says how many it has taken since its greeting."""
        for _ in range(min(count - self._taken, len(self._on_the_way))):
            self.forwarded += self._on_the_way.popleft() == "pair"
        self._taken = count

    def lost(self) -> None:
        """The learner is gone; its successor starts counting at 0."""
        for what in self._on_the_way:
            self._count(what, "learner_lost")
        self._on_the_way.clear()
        self._taken = 0

    @property
    def full(self) -> bool:
        """Whether the next message would push one out: lock-step stops intake then."""
        return len(self._waiting) >= self.most

    @property
    def pending_pairs(self) -> int:
        """Pairs that wait or are on their way."""
        waiting = sum(what == "pair" for what, _ in self._waiting)
        return waiting + sum(what == "pair" for what in self._on_the_way)

    @property
    def empty(self) -> bool:
        """Whether the learner has taken everything."""
        return not self._waiting and not self._on_the_way

    def _push_out(self) -> None:
        labels = sum(what == "label" for what, _ in self._waiting)
        # Of too many labels the newest says as much as the oldest.
        victim: What = "label" if labels > (self.most + 1) // 2 else "pair"
        del self._waiting[[what for what, _ in self._waiting].index(victim)]
        self._count(victim, "learner_away" if self.away else "learner_backlog")

    def _count(self, what: What, reason: str) -> None:
        (self.dropped if what == "pair" else self.labels_dropped)[reason] += 1
