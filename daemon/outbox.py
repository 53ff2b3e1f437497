"""What waits to be sent to the learner. Pure.

Rules:
1. At most `window` messages are on their way: sent, and not yet taken by the learner.
2. At most `most` messages wait behind them. A pair too many pushes out the oldest waiting pair
   (`learner_backlog`); labels are few and dear, so they are never pushed out by pairs. A
   `lossless` outbox pushes nothing out: its owner stops intake while it is `full`, and what one
   message still brings in is bounded by what may wait for its partner.
3. A learner that is gone takes with it what was on its way (`learner_lost`).
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Any, Literal

What = Literal["pair", "label"]


@dataclass(slots=True)
class Outbox:
    """Bounded, ordered, with its losses counted by reason."""

    most: int
    lossless: bool = False
    window: int = 8
    dropped: dict[str, int] = field(
        default_factory=lambda: {"learner_backlog": 0, "learner_lost": 0}
    )
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
        self.dropped["learner_lost"] += sum(what == "pair" for what in self._on_the_way)
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
        for index, (what, _) in enumerate(self._waiting):
            if what == "pair":
                del self._waiting[index]
                self.dropped["learner_backlog"] += 1
                return
        self._waiting.popleft()  # labels only: the newest says as much as the oldest
