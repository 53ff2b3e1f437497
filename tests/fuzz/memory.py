"""How much memory a process has, and whether that grows."""

import os
from collections.abc import Sequence
from pathlib import Path

from rvsense.learner.trimming import give_back

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
MB = 1e6


def resident_mb(pid: int | None = None) -> float:
    """Of a process now; of this one without `pid`."""
    fields = Path(f"/proc/{pid or os.getpid()}/statm").read_text().split()
    return int(fields[1]) * PAGE_BYTES / MB


def used_mb() -> float:
    """Of this process, without what the last message left free: some of them have 20 MB."""
    give_back()
    return resident_mb()


def peak_mb() -> float:
    """The most that this process has had so far; `ru_maxrss` would count the one that began it."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) * 1024 / MB


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Of a straight line through (x, y) by least squares; 0 for fewer than three points."""
    if len(points) < 3:
        return 0.0
    x_mean = sum(x for x, _ in points) / len(points)
    y_mean = sum(y for _, y in points) / len(points)
    spread = sum((x - x_mean) ** 2 for x, _ in points)
    return sum((x - x_mean) * (y - y_mean) for x, y in points) / spread
