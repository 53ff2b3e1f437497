"""Listening sockets with sane bounds, and a bell that other threads may ring."""

import os
from collections.abc import Callable
from typing import Any

import zmq

from rvsense import addresses, ipc
from rvsense.config import Intake
from rvsense.errors import ConfigError
from rvsense.grids import CELLS

HEADER_BYTES = 8 * 1024
"""Room for a header of rvsense.wire, and for one that is too long: it is refused with a reason."""

SUBSCRIPTION_BYTES = 1024
"""What a subscriber may send: the topic it asks for."""


def bind(
    context: "zmq.Context[zmq.Socket[bytes]]",
    kind: int,
    endpoint: str,
    flag: str,
    *,
    max_message_bytes: int,
    high_water_messages: int = 1000,
    arm: Callable[["zmq.Socket[bytes]"], None] = lambda _: None,
) -> tuple["zmq.Socket[bytes]", str]:
    """A bound socket and the endpoint it really got.

    A peer that sends a part of more than `max_message_bytes` is cut off before it is stored.
    `arm` is called with the socket before it is bound: what looks after it begins there.

    Raises:
        ConfigError: when the endpoint cannot be bound; names the flag to choose another.
    """
    if problem := ipc.in_the_way(endpoint):
        raise ConfigError(f"{endpoint} {problem}; choose another with {flag}")
    socket = context.socket(kind)
    socket.setsockopt(zmq.MAXMSGSIZE, max_message_bytes)
    socket.setsockopt(zmq.HANDSHAKE_IVL, 5000)
    socket.setsockopt(zmq.IPV6, addresses.is_ipv6(endpoint))
    if kind == zmq.PULL:
        # No heartbeats: while it paces a sender by not reading, as lock-step does, it would not
        # read the answers either, cut the sender off and lose what is on its way.
        socket.setsockopt(zmq.TCP_KEEPALIVE, 1)
    else:
        socket.setsockopt(zmq.HEARTBEAT_IVL, 5000)
        socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, 15000)
    socket.set_hwm(high_water_messages)
    if kind == zmq.XPUB:
        # Every subscriber is told, so that each can be sent the last value.
        socket.setsockopt(zmq.XPUB_VERBOSER, 1)
    arm(socket)
    try:
        # ZeroMQ spells a free port `*`; everybody else writes 0. A path may end as it likes.
        is_free = endpoint.startswith("tcp:") and endpoint.endswith(":0")
        wanted = endpoint.removesuffix("0") + "*" if is_free else endpoint
        socket.bind(wanted)
    except zmq.ZMQError as error:
        socket.close(linger=0)
        in_use = error.errno == zmq.EADDRINUSE
        what = "is in use" if in_use else f"cannot be bound ({error.strerror})"
        raise ConfigError(f"{endpoint} {what}; choose another with {flag}") from None
    return socket, socket.getsockopt_string(zmq.LAST_ENDPOINT)


def request_message_bytes(intake: Intake) -> int:
    """The longest part that a request may have: the heatmap of the most chirps."""
    return intake.max_chirps * CELLS * CELLS * 2 * 4 + HEADER_BYTES  # float32 of two parts


def intake_message_bytes(intake: Intake) -> int:
    """The longest part that a frame may have: an image, or the heatmap of the most chirps."""
    return max(intake.max_image_bytes + HEADER_BYTES, request_message_bytes(intake))


class Bell:
    """A file descriptor for a poller that any thread may make readable."""

    def __init__(self) -> None:
        self._handle = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def fileno(self) -> int:
        """For the poller."""
        return self._handle

    def ring(self, *_: Any) -> None:
        """Wake the thread that polls."""
        os.eventfd_write(self._handle, 1)

    def clear(self) -> None:
        """Take note; to be called before looking at what the bell was rung for."""
        try:
            os.eventfd_read(self._handle)
        except BlockingIOError:
            return

    def close(self) -> None:
        """Release the descriptor."""
        os.close(self._handle)
