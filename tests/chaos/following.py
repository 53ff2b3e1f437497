"""A healthy subscriber: it reads all the time, in a thread of its own."""

import threading
from collections import Counter
from typing import Self

from rvsense import subscribe
from rvsense.results import Result
from tests.whole.running import PATIENCE_S

LOOK_S = 0.1


class Following:
    """A context manager; inside it the first result has come.

    latencies_ms  from received to published, of each result; take a copy to look at it
    missed        results that went by
    """

    def __init__(self, endpoint: str) -> None:
        self.latencies_ms: list[float] = []
        self.models: Counter[str] = Counter()
        self.missed = 0
        self._endpoint = endpoint
        self._first, self._stop = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._first.wait(PATIENCE_S), "no result comes"
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _read(self) -> None:
        with subscribe(self._endpoint) as subscriber:
            while not self._stop.is_set():
                if (result := subscriber.receive(LOOK_S)) is not None:
                    self._take(result)
                self.missed = subscriber.missed

    def _take(self, result: Result) -> None:
        self.latencies_ms.append((result.published_ns - result.received_ns) / 1e6)
        self.models[result.model.id if result.model is not None else ""] += 1
        self._first.set()
