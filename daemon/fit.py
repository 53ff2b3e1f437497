"""The two figures pairing works with, offset and tolerance: learned at first, then followed.

Rules:
1. A figure given in the settings stays as given. With both given there is nothing to learn.
2. Otherwise nothing is ready until `learn` has seen the era's first frames of both streams.
3. Every `WINDOW_PAIRS` pairs the offset moves half way to the median skew of those pairs, and the
   automatic tolerance becomes half the median step between them (the slower stream's period).
   That follows 200 ppm of drift within 1 ms at 30 fps and a change of the frame rate too.
4. An offset that moves by more than `MAX_DRIFT` since it was last found, or skews that scatter by
   more than `MAX_SPREAD`, are no clock drift but two frame rates (30 and 29.97 fps, say): following
   them would marry frames ever farther apart. The offset falls back to 0 for a window of pairs and
   starts from the median skew found there, so near 0 again.
5. Both are functions of stamps and of the pairs before: arrival order and load cannot move them.
"""

from rvsense.daemon import offset

FIRST_FRAMES = 16
"""Frames of each stream the first estimate is taken from: half a second at 30 fps."""

WINDOW_PAIRS = 32
"""Pairs between two updates: long enough for a median, about a second at 30 fps."""

MAX_DRIFT = 300e-6
"""Two free-running quartz clocks stay within 200 ppm of each other."""

DRIFT_SLACK_NS = 3_000_000
"""What jitter may add to the apparent drift."""

MAX_SPREAD = 1 / 6
"""Median deviation of skews over their median step; rates of 30 and 25 fps reach 0.21."""

NOMINAL_PERIOD_NS = 1_000_000_000 // 30
"""Taken where neither stream has two frames to tell a period from: CRUW's 30 fps."""


class Fit:
    """Offset and tolerance of one site in one era."""

    def __init__(self, tolerance_ns: int | None, offset_ns: int | None) -> None:
        self._fixed_tolerance_ns = tolerance_ns
        self._fixed_offset_ns = offset_ns
        self.adaptive = tolerance_ns is None or offset_ns is None
        self._skews_ns: list[int] = []
        self._radar_ns: list[int] = []
        self.forget()

    def forget(self) -> None:
        """Go back to knowing only what the settings say."""
        self.ready = not self.adaptive
        self.firm = self.ready
        self.offset_ns = self._fixed_offset_ns or 0
        self._found_ns = (0, 0)
        self.tolerance_ns = self._fixed_tolerance_ns or NOMINAL_PERIOD_NS // 2
        self._skews_ns.clear()
        self._radar_ns.clear()

    def learn(self, radar_ns: list[int], camera_ns: list[int]) -> None:
        """First estimate, from the sorted stamps of one stretch of time; raw camera stamps."""
        self.ready = True
        self.firm = min(len(radar_ns), len(camera_ns)) >= FIRST_FRAMES
        if self._fixed_offset_ns is None:
            self._find(radar_ns[-1], offset.offset_ns(radar_ns, camera_ns) or 0)
        if self._fixed_tolerance_ns is None:
            periods = (offset.period_ns(radar_ns), offset.period_ns(camera_ns))
            self.tolerance_ns = max((p for p in periods if p), default=NOMINAL_PERIOD_NS) // 2

    def note(self, radar_ns: int, skew_ns: int) -> bool:
        """Take in a pair; True when the window was full and the figures may have moved."""
        self._radar_ns.append(radar_ns)
        self._skews_ns.append(skew_ns)
        if len(self._skews_ns) < WINDOW_PAIRS:
            return False
        step_ns = offset.period_ns(self._radar_ns) or 0
        if self._fixed_offset_ns is None:
            self._follow(radar_ns, step_ns)
        if self._fixed_tolerance_ns is None:
            self.tolerance_ns = step_ns // 2
        self._skews_ns.clear()
        self._radar_ns.clear()
        return True

    def _follow(self, now_ns: int, step_ns: int) -> None:
        """Rules 3 and 4 for the offset."""
        median_ns = offset.median_ns(self._skews_ns)
        spread_ns = offset.median_ns([abs(skew_ns - median_ns) for skew_ns in self._skews_ns])
        if self.firm:
            median_ns = self.offset_ns + (median_ns - self.offset_ns) // 2
        since_ns, found_ns = self._found_ns
        drift_ns = (now_ns - since_ns) * MAX_DRIFT + DRIFT_SLACK_NS
        if spread_ns > step_ns * MAX_SPREAD or (self.firm and abs(median_ns - found_ns) > drift_ns):
            self.firm = False
            self.offset_ns = 0
        elif self.firm:
            self.offset_ns = median_ns
        else:
            self.firm = True
            self._find(now_ns, median_ns)

    def _find(self, now_ns: int, offset_ns: int) -> None:
        """Set the offset, from which drift is counted."""
        self.offset_ns = offset_ns
        self._found_ns = (now_ns, offset_ns)
