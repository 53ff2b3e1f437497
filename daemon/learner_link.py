"""The daemon's end of the link to its learner: one connection after another, each with a greeting.

Every connection is a socket of its own, so that nothing meant for a learner that died, or for a
cable that was pulled, reaches what comes after. I/O thread only.
"""

import os
import socket
import uuid
from collections.abc import Iterator
from typing import Any

import zmq
from zmq.utils.monitor import parse_monitor_message

from rvsense import addresses, curve, link
from rvsense.inlet import Inlet

CONNECT_MS = 5000
"""A network that swallows everything is tried again after so long; the kernel takes minutes."""
RETRY_MS = 200
RETRY_MOST_MS = 5000
BURST = 64
"""Messages taken in before the other sockets get their turn."""
DENIED = zmq.EVENT_HANDSHAKE_FAILED_AUTH | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
WATCHED = zmq.EVENT_DISCONNECTED | DENIED


class LearnerLink:
    """A DEALER in a poller, made and unmade.

    Args:
        remote: the learner is not our own child: heartbeats find out that it has gone.
        keys: ours, where a remote learner asks for them.
    """

    def __init__(
        self,
        context: "zmq.Context[zmq.Socket[bytes]]",
        poller: zmq.Poller,
        endpoint: str,
        *,
        lockstep: bool,
        remote: bool,
        keys: curve.ClientKeys | None = None,
    ) -> None:
        self.endpoint = endpoint
        self._context, self._poller = context, poller
        self._remote, self._keys = remote, keys
        self._hello = link.pack(
            "hello",
            lockstep=lockstep,
            daemon=f"{socket.gethostname()}:{os.getpid()}",
            life=uuid.uuid4().hex,
            fetch=remote,
        )
        self._socket: zmq.Socket[bytes] | None = None
        self._inlet: Inlet | None = None
        self._monitor: zmq.Socket[bytes] | None = None

    def connect(self) -> None:
        """Begin a connection; its greeting waits until the learner is there."""
        self.disconnect()
        made = self._context.socket(zmq.DEALER)
        if self._remote:
            made.setsockopt(zmq.MAXMSGSIZE, link.MOST_BYTES)
            made.setsockopt(zmq.HANDSHAKE_IVL, link.HANDSHAKE_MS)
            made.setsockopt(zmq.CONNECT_TIMEOUT, CONNECT_MS)
            made.setsockopt(zmq.RECONNECT_IVL, RETRY_MS)
            made.setsockopt(zmq.RECONNECT_IVL_MAX, RETRY_MOST_MS)
            made.setsockopt(zmq.IPV6, addresses.is_ipv6(self.endpoint))
            if self.endpoint.startswith("tcp:"):
                made.setsockopt(zmq.HEARTBEAT_IVL, link.HEARTBEAT_MS)
                made.setsockopt(zmq.HEARTBEAT_TIMEOUT, link.SILENCE_MS)
            self._monitor = made.get_monitor_socket(WATCHED)
        if self._keys is not None:
            curve.use(made, self._keys)
        made.connect(self.endpoint)
        self._poller.register(made, zmq.POLLIN)
        made.send_multipart(self._hello)
        self._socket, self._inlet = made, Inlet(made)

    def disconnect(self) -> None:
        """End the connection, and let go of what was to be sent."""
        if self._socket is None:
            return
        if self._monitor is not None:
            self._socket.disable_monitor()
            self._monitor.close(linger=0)  # or it would hold up the end of the context
            self._monitor = None
        self._poller.unregister(self._socket)
        self._socket.close(linger=0)
        self._socket = self._inlet = None

    @property
    def broken(self) -> bool:
        """Whether the connection to a remote learner has ended: the next needs a greeting."""
        return self._monitor is not None and bool(self._monitor.poll(0))

    @property
    def denied(self) -> bool:
        """Of a broken connection: whether the learner would not have it. Asked once."""
        assert self._monitor is not None
        event = parse_monitor_message(self._monitor.recv_multipart())["event"]
        return bool(event & DENIED)

    def send(self, message: list[Any]) -> None:
        """Send a message, where there is a connection."""
        if self._socket is not None:
            self._socket.send_multipart(message, copy=False)

    def receive(self) -> Iterator[list[bytes]]:
        """What has come in so far; of very much some, and the rest in another turn."""
        for _ in range(BURST):
            message = self._inlet.take() if self._inlet is not None else None
            if message is None:
                return
            yield [part.bytes for part in message]
