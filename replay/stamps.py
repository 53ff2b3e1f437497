"""Capture times of frames, in nanoseconds since the radar of the sequence started.

ROD2021 ships no times: frame i is at i/30 s in both streams. The lab's form ships two files
(CR data collector): `timestamps*.txt`, one line per image in the order of their numbers,
seconds since the first image by the camera's own clock; and `start_time*.txt`, line 1 the
radar's start and line 2 the camera's, by the host's clock. From them a camera frame is at
(camera start - radar start) + its line. A radar frame stays at i/30 s. The host notes the
radar's start late by an unknown constant; it is left in, for the online offset estimate.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

FRAMES_PER_SECOND = 30
NS_PER_S = 1_000_000_000
PERIOD_NS = NS_PER_S // FRAMES_PER_SECOND
_START_FORMATS = ("%Y-%m-%d %H:%M:%S.%f", "%Y-%m-%d %H:%M:%S")
_LONGEST_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Problem:
    """Something in a dataset that was left out: counted under `reason`, the rest is used."""

    reason: str
    detail: str


def index_ns(frame_id: int) -> int:
    """The stamp of frame `frame_id` of a 30 Hz stream, rounded to the nearest nanosecond."""
    return (frame_id * NS_PER_S + FRAMES_PER_SECOND // 2) // FRAMES_PER_SECOND


def by_index(frame_ids: Iterable[int]) -> dict[int, int]:
    """Frame id → stamp for a stream without times of its own."""
    return {frame_id: index_ns(frame_id) for frame_id in frame_ids}


def camera_delay_ns(start_times: Path) -> tuple[int, Problem | None]:
    """How long after the radar the camera started; 0 and a problem where that cannot be."""
    lines = _lines(start_times)
    try:
        radar, camera = (_moment(line) for line in lines[:2])
    except ValueError as error:
        detail = f"{start_times}: two lines of start times expected ({error}); taken as equal"
        return 0, Problem("bad_start_time", detail)
    delay = camera - radar
    if abs(delay.total_seconds()) > _LONGEST_S:
        detail = f"{start_times}: the two starts are {delay} apart; taken as equal"
        return 0, Problem("bad_start_time", detail)
    return (delay.days * 86_400 + delay.seconds) * NS_PER_S + delay.microseconds * 1000, None


def by_file(
    frame_ids: Sequence[int], timestamps: Path, delay_ns: int
) -> tuple[Mapping[int, int], list[Problem]]:
    """Frame id → stamp of the images `frame_ids` (ascending), one line of the file for each.

    An image whose line is missing or no time gets no stamp and is reported: a guessed time
    would make wrong pairs.
    """
    lines = _lines(timestamps)
    stamps: dict[int, int] = {}
    problems = []
    for line_number, frame_id in enumerate(frame_ids):
        seconds = _seconds(lines[line_number]) if line_number < len(lines) else None
        if seconds is None:
            detail = f"{timestamps}:{line_number + 1}: no time for image {frame_id}"
            problems.append(Problem("no_stamp", detail))
        else:
            stamps[frame_id] = delay_ns + round(seconds * NS_PER_S)
    return stamps, problems


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []


def _moment(line: str) -> datetime:
    for form in _START_FORMATS:
        try:
            return datetime.strptime(line.strip(), form)
        except ValueError:
            continue
    raise ValueError(f"{line.strip()[:40]!r} is no time")


def _seconds(line: str) -> float | None:
    try:
        value = float(line)
    except ValueError:
        return None
    return value if math.isfinite(value) and abs(value) <= _LONGEST_S else None
