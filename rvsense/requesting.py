"""The asker's side of the requests endpoint: one question, one reply, or an error that says why.

`ask(endpoint, "status")["status"]` is what the daemon says of itself.
"""

import contextlib
import os
import time
from typing import Any, Self

import msgpack
import zmq

from rvsense import addresses, curve
from rvsense.config import Endpoints
from rvsense.errors import RvsenseError, UsageError
from rvsense.handshake import Handshakes

VERSION = 1
DEFAULT_ENDPOINT = Endpoints().requests
DEFAULT_TIMEOUT_S = 5.0

Keys = str | os.PathLike[str] | None


class NoAnswerError(RvsenseError):
    """Nothing came back in time: no daemon is there, or it is stuck."""


class RefusedError(RvsenseError):
    """The daemon will not do it; `code` is for programs, the message for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Requester:
    """A connection to one daemon's requests endpoint; reconnects by itself.

    Args:
        endpoint: the daemon's requests endpoint.
        keys: a client's folder of CURVE keys; None = as the environment says (rvsense.curve).

    Raises:
        UsageError: `endpoint` is none that can be connected to.
        ConfigError: the keys cannot be used.
    """

    def __init__(self, endpoint: str = DEFAULT_ENDPOINT, keys: Keys = None) -> None:
        found = curve.client_keys(keys)
        if not addresses.is_peer(endpoint):
            raise UsageError(f"endpoint {endpoint!r}: {addresses.PEER_FORM} expected")
        self.endpoint = endpoint
        self._number = 0
        self._context = zmq.Context()
        self._context.linger = 0
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.setsockopt(zmq.HEARTBEAT_IVL, 2000)
        self._socket.setsockopt(zmq.IPV6, addresses.is_ipv6(endpoint))
        # What was asked of a daemon that is away must not reach it in a heap when it is back.
        self._socket.setsockopt(zmq.IMMEDIATE, 1)
        self._handshakes = Handshakes(self._socket, endpoint, found)
        self._poller = zmq.Poller()
        self._poller.register(self._handshakes.watched, zmq.POLLIN)
        try:
            self._socket.connect(endpoint)
        except zmq.ZMQError as error:
            self.close()
            reason = error.strerror
            raise UsageError(f"endpoint {endpoint!r} cannot be connected to: {reason}") from None

    def ask(
        self,
        op: str,
        payload: bytes | None = None,
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        **fields: Any,
    ) -> dict[str, Any]:
        """The daemon's reply to `op` with `fields`, as it came.

        Raises:
            NoAnswerError: none came within `timeout_s` seconds.
            RefusedError: the daemon said no, and why.
            DeniedError: it does not let these keys in.
        """
        self._number += 1
        request = msgpack.packb({"v": VERSION, "id": self._number, "op": op, **fields})
        deadline_s = time.monotonic() + timeout_s
        if not self._send([request] if payload is None else [request, payload], deadline_s):
            raise NoAnswerError(
                f"no requests endpoint at {self.endpoint} (waited {timeout_s:g} s): is a daemon "
                "running there? It says its endpoints when it starts"
            )
        while self._ready(zmq.POLLIN, deadline_s):
            reply = _reply(self._socket.recv_multipart())
            # An older id answers a question that was given up.
            if reply.get("id") not in (self._number, None):
                continue
            if reply.get("ok") is True:
                return reply
            error = reply.get("error") or {}
            raise RefusedError(str(error.get("code")), str(error.get("message")))
        raise NoAnswerError(
            f"no answer from {self.endpoint} within {timeout_s:g} s: is it a daemon's requests "
            "endpoint, and is that daemon well? /livez says so"
        )

    def _send(self, parts: list[bytes], deadline_s: float) -> bool:
        """Send as soon as there is somebody to send to; whether that was before the deadline."""
        while self._ready(zmq.POLLOUT, deadline_s):
            # The connection may end between the look and the sending, which would then wait.
            with contextlib.suppress(zmq.Again):
                self._socket.send_multipart(parts, zmq.NOBLOCK)
                return True
        return False

    def _ready(self, for_what: int, deadline_s: float) -> bool:
        """Whether the socket is, before the deadline; DeniedError as soon as it never will be."""
        self._poller.register(self._socket, for_what)
        while (left_s := deadline_s - time.monotonic()) > 0:
            ready = dict(self._poller.poll(max(1, round(left_s * 1e3))))
            self._handshakes.check()
            if self._socket in ready:
                return True
        return False

    def close(self) -> None:
        """Close the socket; a question on its way is given up."""
        self._handshakes.close()
        self._socket.close()
        self._context.term()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def ask(
    endpoint: str,
    op: str,
    payload: bytes | None = None,
    *,
    timeout_s: float = DEFAULT_TIMEOUT_S,
    keys: Keys = None,
    **fields: Any,
) -> dict[str, Any]:
    """Ask one thing and hang up; see Requester."""
    with Requester(endpoint, keys) as requester:
        return requester.ask(op, payload, timeout_s=timeout_s, **fields)


def _reply(parts: list[bytes]) -> dict[str, Any]:
    try:
        reply = msgpack.unpackb(parts[-1])
    except ValueError:
        reply = None
    if not isinstance(reply, dict):
        raise RefusedError(
            "bad_reply", "what answers there is no rvsense daemon: its reply is no map"
        )
    return reply
