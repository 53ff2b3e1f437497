"""Why a client hears nothing: a handshake that failed, told by the socket's monitor.

ZeroMQ keeps a refusal to itself: `send` succeeds, `recv` waits, and it does not even try again.
"""

from typing import Any

import zmq
from zmq.utils.monitor import parse_monitor_message

from rvsense import curve
from rvsense.errors import ConfigError

FAILED = (
    zmq.EVENT_HANDSHAKE_FAILED_AUTH
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
)
IN_A_ROW = 5
"""Handshakes cut short without a word: one or two are a daemon on its way up or down."""


class DeniedError(ConfigError):
    """The daemon does not let this client in, or is not the one that the client trusts."""


class Handshakes:
    """Gives a client socket its keys and watches its handshakes.

    Made before the socket connects, closed before it. `watched` is a socket for a poller,
    readable when `check` has something to look at.
    `connections` counts the handshakes that succeeded.
    """

    def __init__(
        self, socket: "zmq.Socket[Any]", endpoint: str, keys: curve.ClientKeys | None
    ) -> None:
        self.connections = 0
        self._endpoint, self._curve = endpoint, keys is not None
        if keys is not None:
            curve.use(socket, keys)
        self._cut_short = 0
        self._socket = socket
        events = FAILED | zmq.EVENT_HANDSHAKE_SUCCEEDED
        self.watched: zmq.Socket[bytes] = socket.get_monitor_socket(events)

    def check(self) -> None:
        """Look at what has happened since.

        Raises:
            DeniedError: no connection will come about with these keys.
        """
        while self.watched.poll(0):
            event = parse_monitor_message(self.watched.recv_multipart())["event"]
            if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                self.connections += 1
                self._cut_short = 0
            elif event == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
                raise DeniedError(
                    f"{self._endpoint} does not let this key in: it is not allowed there, was "
                    "revoked or has another role; `rvsense keys list` shows who is allowed"
                )
            elif event == zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL:
                raise DeniedError(self._mismatch())
            else:
                self._cut_short += 1
                if self._cut_short >= IN_A_ROW:
                    raise DeniedError(self._mismatch(f"hung up {self._cut_short} times"))

    def close(self) -> None:
        """Stop watching; must come before the socket's context ends, or that would hang."""
        self._socket.disable_monitor()
        self.watched.close(linger=0)

    def _mismatch(self, seen: str = "speaks otherwise") -> str:
        """What may be wrong; who hangs up says nothing, and may only have no room."""
        full = "is full (access.max_connections), " if self._cut_short else ""
        if self._curve:
            return (
                f"{self._endpoint} {seen}: it {full}is not the daemon that these keys trust, or "
                "asks for none; compare server.pub with the one there, or leave the keys out"
            )
        return (
            f"{self._endpoint} {seen}: it {full}asks for keys, or is no ZeroMQ socket; give "
            "--keys FOLDER or $RVSENSE_KEYS; `rvsense keys new` makes them"
        )
