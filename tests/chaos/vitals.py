"""How a process stands, looked at from outside once a second, and what that adds up to."""

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

import psutil

from rvsense.daemon.clocks import line_slope
from tests.chaos.report import Figure, at_most, told

BLOCKS = 24
"""The least of so many stretches make the line: frames that wait while a machine is busy take
memory and give it back, and one look after the other is no new evidence."""
MOST_MB_PER_H = 1.0
SURE = 2.0
"""Standard errors: what is not shown to grow by more than allowed is let pass."""
PASSING = 2
"""Descriptors or threads that come and go with what a process does just then."""


@dataclass(frozen=True, slots=True)
class Look:
    """One process at one moment; `at_s` by a clock that nobody sets."""

    at_s: float
    memory_mb: float
    descriptors: int
    threads: int


def look(process: psutil.Process) -> Look:
    """Now.

    Raises:
        psutil.Error: it has gone.
    """
    with process.oneshot():
        memory_mb = process.memory_info().rss / 1e6
        return Look(time.monotonic(), memory_mb, process.num_fds(), process.num_threads())


def figures(name: str, looks: Sequence[Look]) -> list[Figure]:
    """Memory by quarters and by the slope of its floor, descriptors and threads at both ends."""
    quarter = max(1, len(looks) // 4)
    first, last = looks[:quarter], looks[-quarter:]
    rows = [
        told(f"{name}: memory in the first quarter, MB", _memory_mb(first)),
        told(f"{name}: memory in the last quarter, MB", _memory_mb(last)),
    ]
    if slope := line_slope(blocks(looks)):
        per_h, error_per_h = (3600 * value for value in slope)
        rows.append(told(f"{name}: slope of its floor, MB/h", f"{per_h:.2f} ± {error_per_h:.2f}"))
        sure_per_h = max(0.0, per_h - SURE * error_per_h)
        rows.append(at_most(f"{name}: memory surely grows by", sure_per_h, MOST_MB_PER_H, " MB/h"))
    return rows + [
        row
        for what in ("descriptors", "threads")
        for row in _steady(f"{name}: {what}", [getattr(one, what) for one in looks])
    ]


def blocks(looks: Sequence[Look]) -> list[tuple[float, float]]:
    """(seconds, MB): the least of equal stretches; empty for too few looks."""
    size = len(looks) // BLOCKS
    parts = [looks[number * size : (number + 1) * size] for number in range(BLOCKS * (size > 0))]
    return [(part[0].at_s, min(one.memory_mb for one in part)) for part in parts]


def _memory_mb(looks: Sequence[Look]) -> float:
    return statistics.fmean(one.memory_mb for one in looks)


def _steady(what: str, counts: Sequence[int]) -> list[Figure]:
    """At both ends, by the median of some looks."""
    few = max(1, len(counts) // 10)
    first, last = statistics.median(counts[:few]), statistics.median(counts[-few:])
    return [
        told(f"{what}, first and last", f"{first:g}, {last:g}"),
        at_most(f"{what}: more at the end", last - first, PASSING),
    ]
