"""Finds the connection whose message has no end. Pure.

ZeroMQ bounds the size of a part and the number of messages, not of the parts of one: until the last
has come it keeps all of them, and tells nobody. But the kernel tells how much has come in on a
connection.

Rules:
1. What came before a connection's last whole message is forgiven.
2. One on which more has come since than a message may have is suspected. It may be that its whole
   messages wait in here; so it goes only if, after that, nothing was waiting, or others were taken
   so often that it would have had its turn.
"""

from collections.abc import Mapping

ALLOWANCE_BYTES = 64
"""At each look: heartbeats of one that says nothing for months are no message."""
ROUNDS = 4
"""Messages of each connection that may be taken before a waiting one has its turn: ZeroMQ takes
one of each."""


class Endless:
    """Looks after the connections of one entrance, told apart by descriptor.

    Args:
        most_bytes: a message may have, with what the kernel may hold back of those behind it.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._base: dict[int, int] = {}
        self._suspected: dict[int, tuple[int, int]] = {}
        self._heard: set[int] = set()
        self._idle = self._taken = 0

    def heard(self, handle: int) -> None:
        """A whole message of this connection was taken."""
        self._heard.add(handle)
        self._taken += 1

    def idle(self) -> None:
        """Nothing was waiting to be taken."""
        self._idle += 1

    def forget(self, handle: int) -> None:
        """A connection has gone, or begins with this descriptor."""
        self._base.pop(handle, None)
        self._suspected.pop(handle, None)
        self._heard.discard(handle)

    def look(self, received: Mapping[int, int]) -> list[int]:
        """The connections that have to go.

        Args:
            received: bytes that came in on each so far.
        """
        endless = []
        for handle, count in received.items():
            base = self._base.get(handle, count)
            if handle in self._heard:
                base = count
            self._base[handle] = min(count, base + ALLOWANCE_BYTES)
            if count - base <= self._most_bytes:
                self._suspected.pop(handle, None)
                continue
            idle, taken = self._suspected.setdefault(handle, (self._idle, self._taken))
            if self._idle > idle or self._taken - taken > ROUNDS * len(received):
                endless.append(handle)
        self._heard.clear()
        return endless
