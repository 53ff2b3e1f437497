"""The sending end: a PUSH socket that waits for its receiver and drops nothing."""

import contextlib
import os
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import zmq

from rvsense import addresses, curve
from rvsense.errors import UsageError
from rvsense.frames import AnyFrame, Kind
from rvsense.handshake import DeniedError, Handshakes
from rvsense.wire import encode

HIGH_WATER_MESSAGES = 16
"""Small: lock-step means that the receiver's pace is felt here, not in a long queue."""

HIGH_WATER_LIVE = 2
"""What waits here gets old."""

_POLL_MS = 100
_LINGER_WHEN_STOPPED_MS = 500


@dataclass(frozen=True, slots=True)
class Packed:
    """A frame as it goes over the wire."""

    kind: Kind
    parts: Sequence[bytes | memoryview]


def packed(frame: AnyFrame) -> Packed:
    """Encode a frame."""
    return Packed(frame.kind, encode(frame))


class Sender:
    """A context manager around the socket; leaving it waits until all is delivered.

    After `stop` was set on the way, leaving waits half a second at most: whoever stops a
    player whose receiver is gone wants it to end. When everything was sent, leaving waits as
    long as the receiver takes, or until `stop` is set; `delivered` tells which.

    `keys` is the folder of its keys, where the receiver asks for some (rvsense.curve).
    A `live` one keeps next to nothing for a receiver that is slow or away; ask `ready` first.
    """

    def __init__(
        self,
        endpoint: str,
        stop: threading.Event,
        *,
        live: bool = False,
        keys: str | os.PathLike[str] | None = None,
    ) -> None:
        self.delivered = False
        self._sent = False
        self._stop = stop
        found = curve.client_keys(keys)
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.PUSH)
        self._socket.set_hwm(HIGH_WATER_LIVE if live else HIGH_WATER_MESSAGES)
        # Without a receiver nothing live is put by: it would come out old when there is one.
        self._socket.setsockopt(zmq.IMMEDIATE, live)
        self._socket.setsockopt(zmq.IPV6, addresses.is_ipv6(endpoint))
        self._handshakes = Handshakes(self._socket, endpoint, found)
        try:
            self._socket.connect(endpoint)
        except zmq.ZMQError as error:
            self._context.destroy(linger=0)
            raise UsageError(
                f"cannot send to {endpoint!r}: {error}; an endpoint like tcp://127.0.0.1:5560 or "
                "ipc:///run/rvsense/intake is expected"
            ) from None

    def ready(self) -> bool:
        """Whether a frame could leave at once; waits a moment for it.

        Raises:
            DeniedError: the receiver does not let us in.
        """
        self._handshakes.check()
        return bool(self._socket.poll(_POLL_MS, zmq.POLLOUT))

    def send(self, frame: AnyFrame) -> bool:
        """Send as soon as the receiver takes it; False when `stop` was set before it did.

        Raises:
            DeniedError: the receiver does not let us in.
        """
        return self.send_parts(encode(frame))

    def send_parts(self, parts: Sequence[bytes | memoryview]) -> bool:
        """`send` for a frame that is encoded already."""
        while not self._stop.is_set():
            # It may go again at once: the connection ends between the look and the sending.
            with contextlib.suppress(zmq.Again):
                if self._socket.poll(_POLL_MS, zmq.POLLOUT):
                    # No copy: every frame owns its array, and nothing writes to it any more.
                    self._socket.send_multipart(parts, flags=zmq.NOBLOCK, copy=False)
                    self._sent = True
                    return True
            self._handshakes.check()
        return False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                self._meet()
        except DeniedError:
            self._leave(hurried=True)
            raise
        self._leave(hurried=error is not None or self._stop.is_set())

    def _meet(self) -> None:
        """Wait for the receiver of what was sent; one that does not let us in never takes it."""
        while self._sent and not self._handshakes.connections and not self._stop.is_set():
            self._handshakes.watched.poll(_POLL_MS)
            self._handshakes.check()

    def _leave(self, *, hurried: bool) -> None:
        started_s = time.monotonic()
        self._handshakes.close()
        self._socket.close(linger=_LINGER_WHEN_STOPPED_MS if hurried else -1)
        # term() waits for delivery and cannot be called off: it waits on a thread of its own.
        closing = threading.Thread(target=self._context.term, name="deliver", daemon=True)
        closing.start()
        while closing.is_alive() and (hurried or not self._stop.is_set()):
            closing.join(_POLL_MS / 1000)
        lingered_out = hurried and (time.monotonic() - started_s) * 1000 >= _LINGER_WHEN_STOPPED_MS
        self.delivered = not closing.is_alive() and not lingered_out
