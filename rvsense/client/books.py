"""What a subscriber makes of each result: new, had already, too old, or the first of a new life.

Pure: time is passed in.
"""

from dataclasses import dataclass, field

from rvsense.results import Result


@dataclass(slots=True)
class Books:
    """Counts of one subscriber.

    received  results that were new and young enough
    missed    results that went by, as `result_seq` tells
    stale     results that were older than `max_age_s` on arrival, and were passed over
    restarts  times that a site's numbers began anew: the daemon was started again. One that was
              restarted while we were away and has got further than we had looks like a gap.
    """

    site: str = ""
    max_age_s: float | None = None
    received: int = 0
    missed: int = 0
    stale: int = 0
    restarts: int = 0
    _last: dict[str, int] = field(default_factory=dict)

    def take(self, result: Result, now_ns: int) -> bool:
        """Whether this result is one to hand on; `now_ns` is the time of day."""
        # A topic is a prefix: `site-1` also matches `site-10`.
        if self.site and result.site != self.site:
            return False
        last = self._last.get(result.site)
        # The last value that another newcomer is sent: had already, unless it was lost to us.
        if result.repeat and last == result.result_seq:
            return False
        if last is not None and result.result_seq <= last:
            self.restarts += 1
        elif last is not None:
            self.missed += result.result_seq - last - 1
        self._last[result.site] = result.result_seq
        if self.max_age_s is not None and now_ns - result.published_ns > self.max_age_s * 1e9:
            self.stale += 1
            return False
        self.received += 1
        return True
