"""What a recording may hold: when its oldest files go, and when it must pause. Pure.

Rules:
1. A recording holds at most `most_bytes`; the oldest closed file goes first, the one that is
   being written never.
2. The disk keeps `free_bytes` free. Where all closed files together would not give that back,
   none is removed, since others fill the disk, and recording pauses until there is room again.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from rvsense.config import Recorder
from rvsense.configfile import slots
from rvsense.errors import UsageError

MB, GB = 10**6, 10**9


@dataclass(frozen=True, slots=True)
class Caps:
    """Bounds of one recording, in bytes and seconds."""

    segment_bytes: int
    segment_s: float
    most_bytes: int
    free_bytes: int
    ring: bool = True
    """The oldest files may go; else a recording that finds no room pauses."""

    def __post_init__(self) -> None:
        if self.most_bytes < 2 * self.segment_bytes:
            raise UsageError(
                f"a recording of at most {self.most_bytes / GB:g} GB in files of "
                f"{self.segment_bytes / MB:g} MB: it must hold two files at least; raise --most-gb "
                "or lower --segment-mb"
            )


@dataclass(frozen=True, slots=True)
class Verdict:
    """How many of the oldest files to remove, and whether to pause."""

    remove: int = 0
    pause: bool = False


def caps_of(settings: Recorder) -> Caps:
    """The settings in bytes.

    Raises:
        UsageError: one is out of its bounds, or they contradict each other.
    """
    for name, slot in slots(Recorder).items():
        try:
            slot.read(getattr(settings, name))
        except ValueError as error:
            flag = f"--{name.replace('_', '-')}"
            raise UsageError(f"{flag} {getattr(settings, name)}: {error} expected") from None
    return Caps(
        segment_bytes=settings.segment_mb * MB,
        segment_s=settings.segment_s,
        most_bytes=round(settings.most_gb * GB),
        free_bytes=round(settings.free_gb * GB),
    )


def judge(caps: Caps, closed_bytes: Sequence[int], open_bytes: int, free_bytes: int) -> Verdict:
    """What has to be done now.

    Args:
        closed_bytes: sizes of the closed files, the oldest first.
        open_bytes: size of the file that is being written.
        free_bytes: what the disk has left.
    """
    held = sum(closed_bytes) + open_bytes
    short = free_bytes < caps.free_bytes
    if not caps.ring:
        return Verdict(pause=short)
    helps = free_bytes + sum(closed_bytes) >= caps.free_bytes
    remove, gained = 0, 0
    for size in closed_bytes:
        over = held - gained > caps.most_bytes
        scarce = short and helps and free_bytes + gained < caps.free_bytes
        if not over and not scarce:
            break
        remove, gained = remove + 1, gained + size
    return Verdict(remove, pause=short and not helps)
