"""Answers that go on: bounded in number, in rate, in time, and in what lies unread.

Rules:
1. There are so many places; who comes when all are taken is refused, and told so.
2. A stream is asked PER_S times a second for what is new, and says b"" when nothing is.
3. A viewer that does not read is cut off after SEND_WITHIN_S: a thread never waits for one longer.
   What it has not read is little (SEND_BUFFER_BYTES) and what is made meanwhile is nothing: one
   that is slow sees fewer pictures, not old ones.
4. After `lifetime_s` a stream ends; a browser comes back by itself, if there is still a place.
5. A viewer that goes frees its place at once. Who comes waits a moment for one: a page that changes
   its site leaves and comes again in the same instant.
"""

import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

R = TypeVar("R")

Stream = Callable[[R], Iterator[bytes]]
"""Makes the pieces of one stream from its request; runs in the stream's own thread."""

PER_S = 5.0
SEND_WITHIN_S = 5.0
SEND_BUFFER_BYTES = 64 * 1024
LIFETIME_S = 600.0
ADMIT_WITHIN_S = 0.5


class Places:
    """The places for streams, taken one by one from many threads.

    Args:
        most: how many there are.
        lifetime_s: how long one may be kept.
        send_within_s: how long a viewer may leave what was sent unread.
    """

    def __init__(
        self, most: int = 8, lifetime_s: float = LIFETIME_S, send_within_s: float = SEND_WITHIN_S
    ) -> None:
        self.most, self.lifetime_s, self.send_within_s = most, lifetime_s, send_within_s
        self.closed = threading.Event()
        self._free = threading.BoundedSemaphore(most)

    @property
    def refusal(self) -> str:
        """What one viewer too many is told."""
        return (
            f"{self.most} pages are open already, which is all that page.viewers allows; "
            "close one of them, or raise it\n"
        )

    @contextmanager
    def taken(self) -> Iterator["Place | None"]:
        """A place for as long as the context lasts; None when there is none."""
        if not self._free.acquire(timeout=ADMIT_WITHIN_S):
            yield None
            return
        try:
            yield Place(self)
        finally:
            self._free.release()

    def close(self) -> None:
        """End every stream within a turn."""
        self.closed.set()


class Place:
    """One stream's."""

    def __init__(self, places: Places) -> None:
        self._places = places

    def feed(self, viewer: socket.socket, pieces: Iterator[bytes]) -> None:
        """Send what the stream says until it, its time or the server ends.

        Raises:
            OSError: the viewer has gone; TimeoutError: it does not read.
        """
        viewer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        viewer.settimeout(self._places.send_within_s)
        ends_s = time.monotonic() + self._places.lifetime_s
        going = select.poll()
        going.register(viewer, select.POLLIN)
        for piece in pieces:
            if piece:
                viewer.sendall(piece)
            # Whoever only listens has nothing more to say: what can be read is the end.
            gone = going.poll(1000 / PER_S)
            if gone or self._places.closed.is_set() or time.monotonic() >= ends_s:
                return
