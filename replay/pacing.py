"""When a frame is due. Pure: time comes in as numbers.

Rules:
- Due times hang on one origin, `origin + play time / speed`, so waiting errors never add up.
- A frame that is late by no more than the catch-up bound goes out at once, and the schedule
  stays: a short stall is made up.
- Beyond the bound the schedule itself moves, and what is given up is counted in `slipped_ns`:
  a long stall is not followed by a burst, it shows in the achieved rate instead.
"""

CATCH_UP_NS = 100_000_000


class Pacer:
    """The schedule of one run at `speed` times the source's own rate."""

    def __init__(self, speed: float, catch_up_ns: int = CATCH_UP_NS) -> None:
        self.slipped_ns = 0
        self._speed = speed
        self._catch_up_ns = catch_up_ns
        self._origin_ns: int | None = None

    def wait_ns(self, play_ns: int, now_ns: int) -> int:
        """How long to wait from `now_ns` before the frame at `play_ns` goes out; 0 is at once."""
        offset_ns = round(play_ns / self._speed)
        if self._origin_ns is None:
            self._origin_ns = now_ns - offset_ns
        late_ns = now_ns - (self._origin_ns + offset_ns)
        if late_ns > self._catch_up_ns:
            self._origin_ns += late_ns - self._catch_up_ns
            self.slipped_ns += late_ns - self._catch_up_ns
        return max(0, -late_ns)
