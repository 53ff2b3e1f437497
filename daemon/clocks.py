"""How a source's clock stands to ours, from when its frames were taken and when they came. Pure.

The delay of a frame is its arrival, on this machine's clock, minus its stamp. It holds the way
through device, network and queue, which varies but is never less than some floor, and the
difference of the two clocks. So the floor of the delays over time is a straight line whose slope
is the drift; jitter only ever lies above it.
"""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from rvsense.daemon.tally import median_and_p99

RECENT = 256
BIN_S = 2.0
BINS = 300
"""Ten minutes of floors: a drift of 1 ppm moves them by 0.6 ms."""
FEWEST_BINS = 15
JUMP_S = 1.0
"""Delays that differ by more are of a clock that was set, or of another recording; one alone is of
a frame that was held up."""
STEP_MS = 10.0
ALIKE = 0.2
"""Floors of both streams that step by more than that, and the same but for this share, tell that
the clock they are measured by was set: this machine's. No two devices drift like that."""


@dataclass(slots=True)
class StreamClock:
    """One stream of one site."""

    _delays_ms: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT))
    _floors: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=BINS))
    _epoch: int = -1
    _first_ns: int = 0
    _bin: int = -1
    _late: bool = False
    _step: tuple[float, int] = (0.0, 0)

    def took(self, stamp_ns: int, epoch: int, arrived_ns: int) -> None:
        """A frame came in, at `arrived_ns` of this machine's day."""
        delay_ms = (arrived_ns - stamp_ns) / 1e6
        if epoch != self._epoch:
            self._start(epoch, arrived_ns)
        elif abs(delay_ms - self._delays_ms[-1]) > JUMP_S * 1e3:
            if not self._late:
                self._late = True
                return
            self._start(epoch, arrived_ns)
        self._late = False
        self._delays_ms.append(delay_ms)
        at_s = (arrived_ns - self._first_ns) / 1e9
        number = int(at_s // BIN_S)
        if number != self._bin or not self._floors:
            self._bin = number
            if len(self._floors) > 1:
                self._step = (self._floors[-1][1] - self._floors[-2][1], arrived_ns)
            self._floors.append((at_s, delay_ms))
        elif delay_ms < self._floors[-1][1]:
            self._floors[-1] = (at_s, delay_ms)

    def stepped_with(self, other: "StreamClock") -> bool:
        """Whether the floors of both have just moved by as much."""
        (mine_ms, at_ns), (other_ms, other_ns) = self._step, other._step
        together = abs(at_ns - other_ns) <= 3 * BIN_S * 1e9
        alike = abs(mine_ms - other_ms) <= ALIKE * abs(mine_ms)
        return together and alike and abs(mine_ms) > STEP_MS

    def restart(self, arrived_ns: int) -> None:
        """The floors so far say nothing of those to come."""
        self._first_ns, self._bin, self._step = arrived_ns, -1, (0.0, 0)
        self._floors.clear()

    def as_map(self) -> dict[str, Any]:
        """For `/statusz`; drift in millionths, positive where the source's clock runs fast."""
        # The newest floor is not yet the least of its time.
        slope = line_slope(list(self._floors)[:-1])
        return {
            **median_and_p99("delay", self._delays_ms),
            "drift_ppm": None if slope is None else round(-1e3 * slope[0], 3),
            "drift_error_ppm": None if slope is None else round(1e3 * slope[1], 3),
        }

    def _start(self, epoch: int, arrived_ns: int) -> None:
        self._epoch = epoch
        self._delays_ms.clear()
        self.restart(arrived_ns)


def line_slope(points: Sequence[tuple[float, float]]) -> tuple[float, float] | None:
    """(slope, its standard error) of a straight line through (x, y); None for too few points."""
    n = len(points)
    if n < FEWEST_BINS:
        return None
    x_mean = math.fsum(x for x, _ in points) / n
    y_mean = math.fsum(y for _, y in points) / n
    spread = math.fsum((x - x_mean) ** 2 for x, _ in points)
    slope = math.fsum((x - x_mean) * (y - y_mean) for x, y in points) / spread
    left = math.fsum((y - y_mean - slope * (x - x_mean)) ** 2 for x, y in points)
    return slope, math.sqrt(left / (n - 2) / spread)


class Clocks:
    """The clocks of all sites, by site and stream."""

    def __init__(self) -> None:
        self._streams: dict[tuple[str, str], StreamClock] = {}

    def took(self, site: str, stream: str, stamp_ns: int, epoch: int, arrived_ns: int) -> None:
        """A radar or camera frame came in."""
        clock = self._streams.get((site, stream))
        if clock is None:
            clock = self._streams[site, stream] = StreamClock()
        clock.took(stamp_ns, epoch, arrived_ns)
        other = self._streams.get((site, "camera" if stream == "radar" else "radar"))
        if other is not None and clock.stepped_with(other):
            clock.restart(arrived_ns)
            other.restart(arrived_ns)

    def as_map(self, site: str) -> dict[str, Any]:
        """Stream → how its clock stands."""
        return {
            stream: clock.as_map()
            for (of, stream), clock in list(self._streams.items())
            if of == site
        }
