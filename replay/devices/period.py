"""Tells a profile that does not fit the radar by the rate of its frames. Pure.

Packets do not say where a frame ends. With wrong loops or samples the frames would be cut in the
wrong places, and look like frames all the same; but they would come at the wrong rate.

Rules:
1. A frame's delay is its stamp minus its number times the period. Stamps may come late, never
   early: the least delay of `WINDOW` frames shows the rate, whatever the load of this machine.
2. When it moves by more than `SLACK` of the time gone and `JITTER_NS`, the rate is another. One
   loop of 255 too many shows after ten seconds, half a frame after two.
3. After `CHECKED_S` the profile is taken for right: what moves later is a clock that was set.
4. After a pause of `PAUSE_NS`, or with a recording that starts anew, it begins again: the radar was
   stopped and started.
"""

from rvsense.errors import RvsenseError

WINDOW = 30
SLACK = 0.002
JITTER_NS = 20_000_000
CHECKED_S = 30.0
PAUSE_NS = 1_000_000_000


class PeriodCheck:
    """Watches the first frames of a radar that should send one every `period_ns`."""

    def __init__(self, period_ns: int) -> None:
        self._period_ns = period_ns
        self._done = False
        self._recording = 0
        self._last_ns: int | None = None
        self._first = 0
        self._count = 0
        self._least_ns: int | None = None
        self._anchor_ns: int | None = None

    def see(self, number: int, stamp_ns: int, recording: int = 0) -> None:
        """Take in a frame of the n-th recording.

        Raises:
            RvsenseError: frames come at another rate.
        """
        if recording != self._recording:
            self._recording, self._done, self._last_ns = recording, False, None
        if self._done:
            return
        if self._last_ns is None or stamp_ns - self._last_ns > PAUSE_NS:
            self._start()
        self._last_ns = stamp_ns
        delay_ns = stamp_ns - number * self._period_ns
        self._least_ns = delay_ns if self._least_ns is None else min(self._least_ns, delay_ns)
        self._count += 1
        if self._count == WINDOW:
            self._judge(number, self._least_ns)
            self._count, self._least_ns = 0, None

    def _start(self) -> None:
        self._count = 0
        self._least_ns = self._anchor_ns = None

    def _judge(self, number: int, least_ns: int) -> None:
        """A window is over; the first one is what later ones are held against."""
        if self._anchor_ns is None:
            self._anchor_ns, self._first = least_ns, number
            return
        frames = number - self._first
        gone_ns = frames * self._period_ns
        moved_ns = least_ns - self._anchor_ns
        if abs(moved_ns) > SLACK * gone_ns + JITTER_NS:
            found_ms = (gone_ns + moved_ns) / frames / 1e6
            raise RvsenseError(
                f"frames of the profile's size come every {found_ms:.2f} ms, and it says "
                f"{self._period_ns / 1e6:.2f}: its loops, samples, transmitters or period_ms are "
                "not what the radar was set up with"
            )
        self._done = gone_ns > CHECKED_S * 1e9
