"""Curves of a run that may go on for years: thinned as it grows, never more than so many points.

Pure. One thread adds; any may read, and gets whole points of which the last is the newest.

Rules:
1. Every `stride`-th row that was added is kept. When the curves are full every other row goes and
   the stride doubles: the points stay evenly spread over the whole run.
2. The newest row is shown whatever the stride, so that a curve ends where the figures stand.
3. Time is kept by a clock that nobody sets, and shown as the wall clock stands now: a machine that
   starts in 1970 and then learns the hour has no half a century in its curves.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

POINTS = 512
SITE_POINTS = 128
DIGITS = 5
"""Significant ones: finer than a screen, and a third of the bytes."""

Row = tuple[float | None, ...]


class Curves:
    """Named curves over one axis of time.

    Args:
        names: of the curves.
        points: kept at most, the newest aside; even.
    """

    def __init__(self, names: Sequence[str], points: int = POINTS) -> None:
        self._names, self._points = tuple(names), points
        self._rows: list[Row] = []
        self._newest: Row | None = None
        self._added, self._stride = 0, 1

    def add(self, at_s: float, values: Mapping[str, float | None]) -> None:
        """A row at `at_s`, monotonic; names without a finite value have a gap there."""
        row = (round(at_s, 1), *(_short(values.get(name)) for name in self._names))
        self._newest = row  # first: whoever reads meanwhile takes it last, and so in order
        if self._added % self._stride == 0:
            self._rows.append(row)
        if len(self._rows) == self._points:
            self._rows, self._stride = self._rows[::2], 2 * self._stride
        self._added += 1

    def as_map(self, ahead_s: float = 0.0) -> dict[str, Any]:
        """`at_s`, `ahead_s` later, and each curve as lists of one length, for JSON."""
        rows, newest = self._rows.copy(), self._newest
        if newest is not None and (not rows or rows[-1] is not newest):
            rows.append(newest)
        at_s, *columns = list(zip(*rows, strict=True)) or [()] * (1 + len(self._names))
        shown = {
            "at_s": [round(moment_s + ahead_s, 1) for moment_s in at_s if moment_s is not None]
        }
        named = zip(self._names, columns, strict=True)
        return shown | {name: list(column) for name, column in named}


def _short(value: float | None) -> float | None:
    if value is None or not math.isfinite(value):
        return None
    return float(f"{value:.{DIGITS}g}")


FIGURES = {
    "step": ("learner", "figures", "step"),
    "loss": ("learner", "figures", "loss"),
    "mi_bound": ("learner", "figures", "mi_bound"),
    "mi_ceiling": ("learner", "figures", "mi_ceiling"),
    "top1": ("learner", "figures", "top1"),
    "retrieval": ("learner", "figures", "retrieval"),
    "head_accuracy": ("learner", "figures", "head_accuracy"),
    "accuracy": ("score", "accuracy"),
    "coverage": ("score", "coverage"),
    "latency_p99_ms": ("serving", "latency_p99_ms"),
}
"""Curve → where its figure stands in the map of `/statusz`."""

SITE_FIGURES = ("offset_ms", "skew_p50_ms", "radar_hz", "camera_hz")
"""Curves of each site, by their names in `sites` of `/statusz`."""


class History:
    """The curves of a daemon and of each of its sites; fed the map of `/statusz`."""

    def __init__(self) -> None:
        self._run = Curves(tuple(FIGURES))
        self._sites: dict[str, Curves] = {}
        self._ahead_s = 0.0

    def add(self, at_s: float, unix_s: float, status: Mapping[str, Any]) -> None:
        """Take the figures as of `at_s`, monotonic, when the wall clock says `unix_s`."""
        self._ahead_s = unix_s - at_s
        self._run.add(at_s, {name: _at(status, path) for name, path in FIGURES.items()})
        for name, site in status["sites"].items():
            if name not in self._sites:
                self._sites[name] = Curves(SITE_FIGURES, SITE_POINTS)
            self._sites[name].add(at_s, site)

    def as_map(self, site: str = "") -> dict[str, Any]:
        """The run's curves, and those of `site` where there is one of that name."""
        curves, ahead_s = self._sites.get(site), self._ahead_s
        return {
            "curves": self._run.as_map(ahead_s),
            "site": None if curves is None else {"name": site, "curves": curves.as_map(ahead_s)},
        }


def _at(values: Mapping[str, Any], path: tuple[str, ...]) -> float | None:
    value: Any = values
    for key in path:
        value = value.get(key)
    return value if isinstance(value, int | float) else None
