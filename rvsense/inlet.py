"""Takes messages from a socket, of so many parts at most.

ZeroMQ bounds neither the parts of a message nor how long it takes to take a million of them. Of a
message with too many the first are given, so that it can be refused by name; the rest is thrown
away, some in each turn.
"""

import zmq

MOST_PARTS = 8
"""More than any message of ours has; that many are still looked at, and refused where they are."""
SKIPPED_AT_ONCE = 4096


class Inlet:
    """One socket's messages; used from the thread that owns it."""

    def __init__(self, socket: "zmq.Socket[bytes]") -> None:
        self._socket = socket
        self._skipping = False

    def take(self) -> list[zmq.Frame] | None:
        """The next message, not copied; None when there is none, or not yet.

        One of more than MOST_PARTS parts is given with one part too many.
        """
        if self._skipping:
            self._skip()
        if self._skipping:
            return None
        try:
            parts = [self._socket.recv(zmq.NOBLOCK, copy=False)]
        except zmq.Again:
            return None
        while parts[-1].more and len(parts) <= MOST_PARTS:
            parts.append(self._socket.recv(zmq.NOBLOCK, copy=False))
        self._skipping = parts[-1].more
        return parts

    def _skip(self) -> None:
        for _ in range(SKIPPED_AT_ONCE):
            if not self._socket.recv(zmq.NOBLOCK, copy=False).more:
                self._skipping = False
                return
