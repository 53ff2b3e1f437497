"""Which pairs reach the learner: by radar stamp alone, never by load.

Neighbouring frames are near copies. Stamp time is cut into buckets of one period; the first pair of
each bucket is kept, and a new era starts afresh. Pairs come in stamp order, so what is kept is a
function of the pairs and of nothing else, at any replay speed.
"""

from rvsense.daemon.decisions import Paired

NS_PER_S = 1_000_000_000


class Thinning:
    """Keeps at most `rate_hz` pairs for each second of stamps, for one site; 0 keeps all."""

    def __init__(self, rate_hz: float) -> None:
        self._period_ns = round(NS_PER_S / rate_hz) if rate_hz > 0 else 0
        self._last: tuple[int, int] | None = None

    def keeps(self, pair: Paired) -> bool:
        """Whether this pair goes on; call once for each pair, in the order of the core."""
        if not self._period_ns:
            return True
        bucket = (pair.era, pair.radar.stamp_ns // self._period_ns)
        if bucket == self._last:
            return False
        self._last = bucket
        return True
