"""Moments as people write them, and the frames that they mean. Pure."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime

from rvsense.errors import UsageError

NEAR_NS = 16_666_667
"""Half a frame at 30 frames a second: as far as the daemon looks for a label's frame."""

FARTHEST_NS = 2**63 - 1
"""From 1970, on the wire."""

FORM = "nanoseconds since 1970, or a time like 2026-05-04T12:00:00.25Z (without a zone: UTC)"
_TIME = re.compile(
    r"(?P<whole>\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d)?)(?:\.(?P<part>\d{1,9}))?(?P<zone>.*)"
)

Frame = tuple[int, int]
"""(epoch, stamp_ns) of a radar frame; a later one is greater."""


def stamp_ns(text: str) -> int:
    """A moment in nanoseconds since 1970.

    Raises:
        UsageError: when it is none, or one that no frame can have.
    """
    moment_ns = int(text) if re.fullmatch(r"-?\d{1,19}", text) else _time_ns(text)
    if abs(moment_ns) > FARTHEST_NS:
        raise UsageError(f"{text!r} is no moment of a frame: they are of 1677 to 2262")
    return moment_ns


def _time_ns(text: str) -> int:
    match = _TIME.fullmatch(text)
    try:
        if match is None:
            raise ValueError
        whole = datetime.fromisoformat(match["whole"] + match["zone"])
    except ValueError:
        raise UsageError(f"{text!r} is no moment: {FORM}") from None
    zoned = whole if whole.tzinfo is not None else whole.replace(tzinfo=UTC)
    return round(zoned.timestamp()) * 10**9 + int((match["part"] or "0").ljust(9, "0"))


def told(moment_ns: int) -> str:
    """A moment as a person reads it, to the millisecond, in UTC."""
    seconds, rest = divmod(moment_ns, 10**9)
    try:
        whole = datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return f"{moment_ns} ns"
    return f"{whole:%Y-%m-%dT%H:%M:%S}.{rest // 10**6:03d}Z"


def nearest(held: Sequence[Frame], moment_ns: int, epoch: int | None) -> Frame | None:
    """The frame at hand that a label at this moment joins; None where none is near enough."""
    near = [
        frame
        for frame in held
        if abs(frame[1] - moment_ns) <= NEAR_NS and epoch in (None, frame[0])
    ]
    # Of several clocks the newest counts: stamps repeat when a recording is played again.
    return min(near, key=lambda f: (-f[0], abs(f[1] - moment_ns)), default=None)


def between(
    held: Sequence[Frame], from_ns: int, to_ns: int, epoch: int | None = None
) -> list[Frame]:
    """The frames at hand of a span, both ends inclusive, oldest first."""
    return sorted(f for f in held if from_ns <= f[1] <= to_ns and epoch in (None, f[0]))


def newest(held: Sequence[Frame], past_s: float = 0.0, epoch: int | None = None) -> list[Frame]:
    """The newest frame, or that of this clock, and those of its clock up to `past_s` seconds
    before it, oldest first.
    """
    among = [frame for frame in held if epoch in (None, frame[0])]
    if not among:
        return []
    epoch, last_ns = max(among)
    return between(held, last_ns - round(past_s * 1e9), last_ns, epoch)
