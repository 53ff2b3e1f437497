"""How long to wait before a process that ended is started again. Pure."""

from dataclasses import dataclass


@dataclass(slots=True)
class Backoff:
    """Doubles from `first_s` to `most_s`; a run of `stable_s` starts the count anew."""

    first_s: float = 0.5
    most_s: float = 30.0
    stable_s: float = 60.0
    _next_s: float = 0.0

    def delay_s(self, ran_s: float) -> float:
        """Seconds to wait after a run that lasted `ran_s`."""
        if self._next_s == 0.0 or ran_s >= self.stable_s:
            self._next_s = self.first_s
        delay_s, self._next_s = self._next_s, min(self._next_s * 2, self.most_s)
        return delay_s
