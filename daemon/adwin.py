"""ADWIN: has the mean of a stream changed? (Bifet and Gavaldà, SDM 2007.) Pure.

The window keeps growing while nothing changes. Whenever it can be cut into an older and a newer
part whose means differ by more than chance explains, the older part is forgotten: a change.

Values are kept as an exponential histogram: buckets of 1, 2, 4, … values, at most `PER_SIZE` of
each size, of which the two oldest merge when there is one too many. So n values take
O(log n) memory, and cuts are tried between buckets only.
"""

import math
from collections import deque
from dataclasses import dataclass, field

PER_SIZE = 5
"""M of the paper: cuts at a fifth of the window or finer."""
MIN_PART = 5
"""A part of fewer values proves nothing."""


@dataclass(slots=True)
class Bucket:
    """`count` values, their sum, and the sum of their squared distances from their mean."""

    count: int
    total: float
    spread: float

    def merged(self, other: "Bucket") -> "Bucket":
        """Both as one."""
        count = self.count + other.count
        gap = self.total / self.count - other.total / other.count
        between = gap * gap * self.count * other.count / count
        return Bucket(count, self.total + other.total, self.spread + other.spread + between)


@dataclass(frozen=True, slots=True)
class Change:
    """The mean before and after."""

    before: float
    after: float


@dataclass(slots=True)
class Adwin:
    """An adaptive window over values between 0 and 1.

    `delta` bounds the probability that one look at independent values of an unchanging mean
    sees a change.
    """

    delta: float
    _buckets: deque[Bucket] = field(default_factory=deque)  # oldest, and so largest, first

    def __len__(self) -> int:
        return sum(bucket.count for bucket in self._buckets)

    @property
    def mean(self) -> float | None:
        """Of the window; None while it is empty."""
        return sum(bucket.total for bucket in self._buckets) / len(self) if self._buckets else None

    def add(self, value: float) -> Change | None:
        """Take the next value; the change that became plain by it, if one did."""
        self._buckets.append(Bucket(1, value, 0.0))
        self._compress()
        change = None
        while (cut := self._cut()) is not None:
            older, newer, parts = cut
            change = Change(change.before if change else older, newer)
            for _ in range(parts):
                self._buckets.popleft()
        return change

    def clear(self) -> None:
        """Forget everything."""
        self._buckets.clear()

    def _compress(self) -> None:
        size = 1
        end = len(self._buckets)
        while True:
            start = end
            while start and self._buckets[start - 1].count == size:
                start -= 1
            if end - start <= PER_SIZE:
                return
            merged = self._buckets[start].merged(self._buckets[start + 1])
            self._buckets[start] = merged
            del self._buckets[start + 1]
            end, size = start + 1, 2 * size

    def _cut(self) -> tuple[float, float, int] | None:
        """The first cut that shows a change: mean before, mean after, buckets before it."""
        n = len(self)
        if n < 2 * MIN_PART:
            return None
        whole = self._buckets[0]
        for i in range(1, len(self._buckets)):
            whole = whole.merged(self._buckets[i])
        variance = whole.spread / n
        confidence = math.log(2.0 * math.log(n) / self.delta)
        count, total = 0, 0.0
        for parts, bucket in enumerate(self._buckets, start=1):
            count += bucket.count
            total += bucket.total
            rest = n - count
            if rest < MIN_PART:
                return None
            if count < MIN_PART:
                continue
            older, newer = total / count, (whole.total - total) / rest
            harmonic = 1.0 / (1.0 / count + 1.0 / rest)
            # ε_cut of the paper's section 3, with the window's own variance.
            noise = math.sqrt(2.0 / harmonic * variance * confidence)
            if abs(older - newer) > noise + 2.0 / (3.0 * harmonic) * confidence:
                return older, newer, parts
        return None
