"""A subscriber beside a scenario: every result of a daemon, counted as it comes."""

import math
import threading
from typing import Self

from rvsense import subscribe

QUIET_S = 2.0
"""Nothing more comes, once the daemon has ended."""
LOOK_S = 0.1


class Listener:
    """Counts results until it is left, and then those that still come.

    last      site → `result_seq` of its newest result; each site's count from 0
    received  results
    missed    results that went by, as their numbers tell
    absurd    results with a number in them that is not finite
    models    the sha256 of every model that answered
    """

    def __init__(self, endpoint: str) -> None:
        self.last: dict[str, int] = {}
        self.received = self.missed = self.absurd = 0
        self.models: set[str] = set()
        self._endpoint = endpoint
        self._heard, self._ending = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.finish()

    @property
    def results(self) -> int:
        """How many the daemon has given by the newest one's numbers."""
        return sum(last + 1 for last in self.last.values())

    def wait(self, timeout_s: float) -> bool:
        """For the next result."""
        self._heard.clear()
        return self._heard.wait(timeout_s)

    def finish(self) -> None:
        """Take what is still on its way, and be done."""
        self._ending.set()
        self._thread.join()

    def _listen(self) -> None:
        with subscribe(self._endpoint) as subscriber:
            while True:
                ending = self._ending.is_set()
                result = subscriber.receive(QUIET_S if ending else LOOK_S)
                if result is None and ending:
                    break
                if result is None:
                    continue
                self.received += 1
                self.last[result.site] = result.result_seq
                numbers = [*result.probs.values(), result.ood_score or 0.0]
                self.absurd += not all(map(math.isfinite, numbers))
                if result.model is not None:
                    self.models.add(result.model.sha256)
                self._heard.set()
            self.missed = subscriber.missed
