"""The constant offset and the frame period of two streams, from their stamps alone.

Offset means radar stamp minus camera stamp of the same moment. Stamps of periodic streams show it
only up to a whole period of the faster one; the smallest |offset| is assumed, as is right for
devices set by NTP or started together. Where the differences do not gather round one value (rates
that are no multiples of each other) no offset is claimed.

Both estimates are medians over sets of stamps: a few lost frames or outliers do not move them, and
the order in which frames arrived cannot.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import pairwise

MIN_FRAMES = 6
"""Fewer frames of either stream than this, or fewer that met, show no constant offset."""

CONCENTRATION = 0.7
"""Part of the differences within a period that must lie in half of it; unrelated rates: 0.5."""

ALIAS_SHARE = 0.6
"""An offset a period away counts as equally likely with this part of the best one's support."""


def median_ns(values: Sequence[int]) -> int:
    """The lower median of a non-empty sequence."""
    return sorted(values)[(len(values) - 1) // 2]


def period_ns(stamps_ns: Sequence[int]) -> int | None:
    """Median step of sorted stamps; None for fewer than two."""
    if len(stamps_ns) < 2:
        return None
    return median_ns([after - before for before, after in pairwise(stamps_ns)])


def offset_ns(radar_ns: Sequence[int], camera_ns: Sequence[int]) -> int | None:
    """Radar minus camera for two sorted lists of stamps over the same stretch of time.

    Takes all differences up to one period of the faster stream, finds where half a period holds
    most of them, prefers the nearest to zero among the places a period apart, and returns the
    median there; None where the stamps show no common offset.
    """
    if min(len(radar_ns), len(camera_ns)) < MIN_FRAMES:
        return None
    period = min(period_ns(radar_ns) or 0, period_ns(camera_ns) or 0)
    differences = sorted(
        radar - camera
        for radar in radar_ns
        for camera in camera_ns[
            bisect_left(camera_ns, radar - period) : bisect_right(camera_ns, radar + period)
        ]
    )
    if not differences:
        return None
    centre = _densest(differences, period // 2)
    best = _around(differences, centre, period // 4)
    near = _around(differences, centre, period // 2)
    if len(best) < max(MIN_FRAMES, CONCENTRATION * len(near)):
        return None
    aliases = [_around(differences, centre + shift, period // 4) for shift in (-period, period)]
    likely = [best, *(alias for alias in aliases if len(alias) >= ALIAS_SHARE * len(best))]
    return min(map(median_ns, likely), key=lambda offset: (abs(offset), offset))


def _densest(differences: Sequence[int], width: int) -> int:
    """Median of the fullest window of this width; of equals the one nearest to zero."""
    candidates = []
    for start, low in enumerate(differences):
        end = bisect_right(differences, low + width)
        centre = differences[(start + end - 1) // 2]
        candidates.append((start - end, abs(centre), centre))
    return min(candidates)[2]


def _around(differences: Sequence[int], centre: int, reach: int) -> Sequence[int]:
    """The differences within `reach` of `centre`."""
    return differences[
        bisect_left(differences, centre - reach) : bisect_right(differences, centre + reach)
    ]
