"""When a picture was taken, from what its device says, by the wall clock. Pure."""

import struct
from fractions import Fraction
from typing import Literal

from rvsense.errors import RvsenseError

Stamping = Literal["arrival", "device"]

OLDEST_NS = 2_000_000_000
"""A picture older than this on arrival was not stamped by the clock that we take it for."""

GIVE_UP_PICTURES = 30
"""So many pictures of an unknown clock are no hiccup."""

_REFERENCE = struct.Struct("@q")
"""The head of FFmpeg's AVProducerReferenceTime: microseconds since 1970 by the camera's clock."""


class KernelClock:
    """The clock of V4L2 stamps: time since boot or, rarely, since 1970. Its first stamps tell."""

    def __init__(self) -> None:
        self._since_boot: bool | None = None
        self._unknown = 0

    def wall_ns(self, pts: int, time_base: Fraction, wall_ns: int, monotonic_ns: int) -> int | None:
        """Nanoseconds since 1970 of a stamp; None for a picture that came too late to tell.

        `wall_ns` and `monotonic_ns` are the two clocks read at one moment after the picture came.

        Raises:
            RvsenseError: many stamps, and all of them of neither clock.
        """
        stamp_ns = int(pts * time_base * 1_000_000_000)
        for since_boot in (True, False) if self._since_boot is None else (self._since_boot,):
            taken_ns = stamp_ns + (wall_ns - monotonic_ns if since_boot else 0)
            if 0 <= wall_ns - taken_ns <= OLDEST_NS:
                self._since_boot = since_boot
                return taken_ns
        self._unknown += 1
        if self._since_boot is None and self._unknown == GIVE_UP_PICTURES:
            raise RvsenseError(
                f"the camera's stamp {stamp_ns / 1e9:.3f} s is neither of the time since boot "
                f"({monotonic_ns / 1e9:.3f} s) nor of the wall clock; use --stamp-source arrival"
            )
        return None


def of_sender(reference: bytes) -> int:
    """Nanoseconds since 1970 by the camera's clock, as its RTCP reports tie it to the stream."""
    (microseconds,) = _REFERENCE.unpack_from(reference)
    return int(microseconds) * 1000


class Throttle:
    """Chooses frames so that no more than `rate_hz` of them come, evenly; 0 takes all."""

    def __init__(self, rate_hz: float) -> None:
        self._period_ns = round(1e9 / rate_hz) if rate_hz else 0
        self._due_ns: int | None = None

    def takes(self, stamp_ns: int) -> bool:
        """Whether the frame of this moment is one of them."""
        if not self._period_ns:
            return True
        due_ns = stamp_ns if self._due_ns is None else self._due_ns
        if stamp_ns < due_ns - self._period_ns // 4:  # jitter must not cost a frame its turn
            return due_ns - stamp_ns > 2 * self._period_ns and self._again(stamp_ns)
        self._due_ns = max(due_ns, stamp_ns - self._period_ns) + self._period_ns
        return True

    def _again(self, stamp_ns: int) -> bool:
        """The clock was set back: count from here."""
        self._due_ns = stamp_ns + self._period_ns
        return True
