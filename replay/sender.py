"""The sending end: a PUSH socket that waits for its receiver and drops nothing."""

import threading
import time
from types import TracebackType
from typing import Self

import zmq

from rvsense.errors import UsageError
from rvsense.frames import AnyFrame
from rvsense.wire import encode

HIGH_WATER_MESSAGES = 16
"""Small: lock-step means that the receiver's pace is felt here, not in a long queue."""

_POLL_MS = 100
_LINGER_WHEN_STOPPED_MS = 500


class Sender:
    """A context manager around the socket; leaving it waits until all is delivered.

    After `stop` was set on the way, leaving waits half a second at most: whoever stops a
    player whose receiver is gone wants it to end. When everything was sent, leaving waits as
    long as the receiver takes, or until `stop` is set; `delivered` tells which.
    """

    def __init__(self, endpoint: str, stop: threading.Event) -> None:
        self.delivered = False
        self._stop = stop
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.PUSH)
        self._socket.set_hwm(HIGH_WATER_MESSAGES)
        try:
            self._socket.connect(endpoint)
        except zmq.ZMQError as error:
            self._context.destroy(linger=0)
            raise UsageError(
                f"cannot send to {endpoint!r}: {error}; an endpoint like tcp://127.0.0.1:5560 or "
                "ipc:///run/rvsense/intake is expected"
            ) from None

    def send(self, frame: AnyFrame) -> bool:
        """Send as soon as the receiver takes it; False when `stop` was set before it did."""
        parts = encode(frame)
        while not self._stop.is_set():
            if self._socket.poll(_POLL_MS, zmq.POLLOUT):
                # No copy: every frame owns its array, and nothing writes to it any more.
                self._socket.send_multipart(parts, flags=zmq.NOBLOCK, copy=False)
                return True
        return False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        hurried = error is not None or self._stop.is_set()
        started_s = time.monotonic()
        self._socket.close(linger=_LINGER_WHEN_STOPPED_MS if hurried else -1)
        # term() waits for delivery and cannot be called off: it waits on a thread of its own.
        closing = threading.Thread(target=self._context.term, name="deliver", daemon=True)
        closing.start()
        while closing.is_alive() and (hurried or not self._stop.is_set()):
            closing.join(_POLL_MS / 1000)
        lingered_out = hurried and (time.monotonic() - started_s) * 1000 >= _LINGER_WHEN_STOPPED_MS
        self.delivered = not closing.is_alive() and not lingered_out
