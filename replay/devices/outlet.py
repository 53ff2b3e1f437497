"""The short line between a capture and the sending of it: the newest wins, nobody waits."""

import threading
from collections import deque
from typing import Generic, TypeVar

Item = TypeVar("Item")

MOST = 4
"""Frames that may wait: a hiccup of a tenth of a second passes, what is older is of no use."""


class Outlet(Generic[Item]):
    """One thread offers, another takes. `overrun` counts what was pushed out by newer items."""

    def __init__(self, most: int = MOST) -> None:
        self.captured = 0
        self.overrun = 0
        self._waiting: deque[Item] = deque(maxlen=most)
        self._changed = threading.Condition()
        self._error: BaseException | None = None
        self._closed = False

    def offer(self, item: Item) -> None:
        """Put an item in line; never blocks."""
        with self._changed:
            self.captured += 1
            self.overrun += len(self._waiting) == self._waiting.maxlen
            self._waiting.append(item)
            self._changed.notify()

    def close(self, error: BaseException | None = None) -> None:
        """No more items come: the source ended, or failed with `error`."""
        with self._changed:
            self._closed = True
            self._error = error
            self._changed.notify()

    @property
    def ended(self) -> bool:
        """Closed, and all was taken."""
        with self._changed:
            return self._closed and not self._waiting

    def check(self) -> None:
        """Raises what the source failed with."""
        with self._changed:
            if self._error is not None:
                raise self._error

    def take(self, timeout_s: float) -> Item | None:
        """The oldest item that waits; None when none came in time or none comes any more."""
        with self._changed:
            if not self._waiting and not self._closed:
                self._changed.wait(timeout_s)
            return self._waiting.popleft() if self._waiting else None
