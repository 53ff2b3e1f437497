"""How much memory a process takes, looked at from outside again and again."""

import threading
from typing import Self

import psutil

LOOK_S = 0.5


class Memory:
    """A context manager; `growth_mb` is from the first look to the highest."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._first_mb = self._most_mb = self._now_mb()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def growth_mb(self) -> float:
        """Resident, in millions of bytes."""
        return self._most_mb - self._first_mb

    def _look(self) -> None:
        while not self._stop.wait(LOOK_S):
            self._most_mb = max(self._most_mb, self._now_mb())

    def _now_mb(self) -> float:
        return float(self._process.memory_info().rss / 1e6)
