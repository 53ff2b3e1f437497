"""The cheapest non-crossing matching of two sorted lists of stamps: one pure function.

Cost of a matching: the sum of |radar - camera| over its pairs, plus tolerance / 2 for every frame
left out. Saving against "leave everything out" is tolerance - |radar - camera| a pair, so the
matching is found as the one of the greatest saving, in integers. "Most pairs" would be the wrong
aim: it buys a pair by spoiling the partners of its neighbours.

Among matchings of equal cost the one with most pairs wins (a pair at exactly the tolerance costs
what its two frames cost alone), then the one whose list of (radar, camera) indices comes first in
dictionary order: earlier radar frames first, then earlier camera frames.
"""

from collections.abc import Sequence


def best_pairs(
    radar_ns: Sequence[int],
    camera_ns: Sequence[int],
    tolerance_ns: int,
    complete_from_ns: int,
) -> list[tuple[int, int]]:
    """Index pairs of the best matching, increasing in both.

    Both lists are sorted, in one time base. Only pairs within the tolerance (inclusive) whose
    later frame is at `complete_from_ns` or after are allowed. O(n m) with n and m the few frames
    of one contested stretch.
    """
    n, m = len(radar_ns), len(camera_ns)
    # One more pair is worth 1, a nanosecond more than all pairs together: cost first, then count.
    per_ns = min(n, m) + 1
    best = [[0] * (m + 1) for _ in range(n + 1)]
    for i in range(n - 1, -1, -1):
        row, below = best[i], best[i + 1]
        for j in range(m - 1, -1, -1):
            value = max(below[j], row[j + 1])
            saving = _saving(radar_ns[i], camera_ns[j], tolerance_ns, complete_from_ns)
            if saving >= 0:
                value = max(value, saving * per_ns + 1 + below[j + 1])
            row[j] = value

    pairs = []
    j = 0
    for i in range(n):
        for k in range(j, m):
            saving = _saving(radar_ns[i], camera_ns[k], tolerance_ns, complete_from_ns)
            if saving >= 0 and best[i][j] == saving * per_ns + 1 + best[i + 1][k + 1]:
                pairs.append((i, k))
                j = k + 1
                break
    return pairs


def _saving(radar_ns: int, camera_ns: int, tolerance_ns: int, complete_from_ns: int) -> int:
    """What this pair saves, or -1 where it is not allowed."""
    if max(radar_ns, camera_ns) < complete_from_ns:
        return -1
    return max(tolerance_ns - abs(radar_ns - camera_ns), -1)
