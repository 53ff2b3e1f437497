"""At the door: lets in whom the gate allows, says who was turned away, and shows people out.

Used from one thread at a time; one polls it beside its sockets. libzmq asks it at every handshake;
the keys are read at the start and on reload, never at a handshake.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import zmq
from zmq.utils import z85

from rvsense import keyring
from rvsense.denials import Denials
from rvsense.gate import Allowed, Gate, Verdict, fingerprint
from rvsense.visitors import Visitors

HANDLER = "inproc://zeromq.zap.01"
"""Where libzmq asks, in every context of its own."""
BURST = 16
"""Handshakes judged before the sockets get their turn again."""


class Doorman:
    """Arms sockets with the server's keys and judges who connects to them.

    Times are seconds of a monotonic clock.

    Args:
        folder: the server's keys, as rvsense.keyring has them.
        guests: allowed besides, as long as this process lives.

    Raises:
        ConfigError: a key cannot be read.
    """

    def __init__(
        self,
        context: "zmq.Context[zmq.Socket[bytes]]",
        poller: zmq.Poller,
        folder: Path,
        denials: Denials,
        *,
        guests: tuple[Allowed, ...] = (),
    ) -> None:
        self._pair = keyring.server_pair(folder)
        self._folder, self._guests, self._denials = folder, guests, denials
        self._gate = Gate(self._read())
        self._poller = poller
        self._visitors = Visitors()
        self._asked = context.socket(zmq.REP)
        self._asked.bind(HANDLER)
        poller.register(self._asked, zmq.POLLIN)

    def arm(self, socket: "zmq.Socket[bytes]", entrance: str) -> None:
        """Let a socket that is not bound yet speak CURVE only, with those its entrance takes."""
        socket.setsockopt(zmq.CURVE_SERVER, 1)
        socket.setsockopt(zmq.CURVE_SECRETKEY, self._pair.secret)
        socket.setsockopt(zmq.ZAP_DOMAIN, entrance.encode())
        socket.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)  # nobody comes in while nobody judges

    def turn(self, ready: Mapping[Any, int], now_s: float) -> None:
        """Judge who asks to come in."""
        if self._asked in ready:
            for _ in range(BURST):
                if not self._asked.poll(0):
                    break
                self._judge(self._asked.recv_multipart(), now_s)

    def knows(self, entrance: str, message: zmq.Frame, now_s: float) -> bool:
        """Whether the sender of a message is still allowed; one who is not is cut off."""
        user = self._visitors.saw(entrance, message)
        if user in self._gate.users:
            return True
        self._show_out(user, now_s)
        return False

    def reload(self, now_s: float) -> bool:
        """Read again who is allowed; who is not any more is cut off, and nobody else.

        Returns:
            Whether it is not the same people as before.

        Raises:
            ConfigError: a file is no key; the old list stands.
        """
        before = self._gate.users
        self._gate.replace(self._read())
        for user in sorted(before - self._gate.users):
            self._show_out(user, now_s)
        return before != self._gate.users

    def allowed(self) -> dict[str, int]:
        """How many are, by role."""
        return self._gate.counts()

    def close(self) -> None:
        """Judge nobody any more: nobody comes in."""
        if not self._asked.closed:
            self._poller.unregister(self._asked)
            self._asked.close(linger=0)

    def _read(self) -> dict[bytes, Allowed]:
        everybody = [*keyring.allowed(self._folder), *self._guests]
        return {z85.decode(one.public): one for one in everybody}

    def _judge(self, request: list[bytes], now_s: float) -> None:
        verdict = self._gate.judge(request)
        self._asked.send_multipart(verdict.reply)
        if verdict.reason is not None:
            details = _details(verdict, request[-1])
            self._denials.note(verdict.entrance, verdict.reason, now_s, **details)

    def _show_out(self, user: str, now_s: float) -> None:
        role, name, key = user.split("/", 2)
        for entrance in self._visitors.evict(user):
            self._denials.note(entrance, "revoked", now_s, name=f"{role}/{name}", key=key)


def _details(verdict: Verdict, key: bytes) -> dict[str, str]:
    name = "" if verdict.who is None else f"{verdict.who.role}/{verdict.who.name}"
    return {"address": verdict.address, "key": fingerprint(z85.encode(key)), "name": name}
