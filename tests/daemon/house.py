"""A daemon's three entrances with a doorman and a lobby, without a daemon behind them."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import zmq

from rvsense import curve, keyring
from rvsense.config import Access, Config
from rvsense.daemon.auth import Doors
from rvsense.daemon.sockets import bind
from rvsense.handshake import DeniedError, Handshakes

KINDS = {"intake": (zmq.PULL, zmq.PUSH), "results": (zmq.XPUB, zmq.SUB)}
KINDS |= {"requests": (zmq.ROUTER, zmq.DEALER)}
PATIENCE_S = 10.0


class House:
    """The three entrances of a daemon with a doorman, and an I/O thread that turns."""

    def __init__(self, folder: Path, **access: Any) -> None:
        self.folder = folder
        keyring.new_server(folder)
        self.context = zmq.Context()
        self.context.linger = 0
        self.heard: list[tuple[str, bytes]] = []
        self._poller = zmq.Poller()
        config = Config(access=Access(**{"keys": str(folder)} | access))
        self.doors = Doors(self.context, self._poller, config, folder)
        self.sockets: dict[str, zmq.Socket[bytes]] = {}
        self.at: dict[str, str] = {}
        for name, (kind, _) in KINDS.items():
            self.sockets[name], self.at[name] = bind(
                self.context,
                kind,
                "tcp://127.0.0.1:0",
                f"--{name}",
                max_message_bytes=1000,
                arm=self.doors.arm(name),
            )
            self._poller.register(self.sockets[name], zmq.POLLIN)
        self._orders: list[tuple[Callable[[], object], Future[None]]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._turn)
        self._thread.start()

    def key(self, role: str, name: str) -> curve.ClientKeys:
        """Keys of somebody who is allowed from the next reload on."""
        bundle = keyring.new_client(self.folder, role, name)
        found = curve.client_keys(bundle)
        assert found is not None
        return found

    def order(self, what: Callable[[], object]) -> None:
        """Have the I/O thread do something, and wait for it."""
        order: Future[None] = Future()
        self._orders.append((what, order))
        order.result(PATIENCE_S)

    def reload(self) -> None:
        """As SIGHUP does."""
        self.order(lambda: self.doors.reload(time.monotonic()))

    def denied(self, entrance: str, reason: str, count: int = 1) -> None:
        """Wait until so many have been turned away."""
        wait_until(lambda: self.doors.denials.counts[entrance, reason] >= count)

    def stop(self) -> None:
        """End the thread."""
        self._stop.set()
        self._thread.join(PATIENCE_S)

    def close(self) -> None:
        """End the thread and every socket."""
        self.stop()
        self.doors.close()
        self.context.destroy(linger=0)

    def _turn(self) -> None:
        while not self._stop.is_set():
            ready = dict(self._poller.poll(10))
            self.doors.turn(ready, time.monotonic())
            for name, socket in self.sockets.items():
                if socket in ready:
                    message = socket.recv_multipart(copy=False)
                    first = message[-1].bytes
                    if name == "results":
                        known = _is_goodbye(message[-1]) or self.doors.hears_out(message[-1])
                    else:
                        known = self.doors.admits(name)(message)
                    if known:
                        self.heard.append((name, first))
            while self._orders:
                what, order = self._orders.pop()
                what()
                order.set_result(None)


def _is_goodbye(message: zmq.Frame) -> bool:
    """Whether it was ZeroMQ that said it, for a peer that has gone."""
    try:
        return message.get(zmq.SRCFD) is None
    except zmq.ZMQError:
        return True


class Client:
    """A socket that connects to one entrance."""

    def __init__(self, house: House, entrance: str, keys: curve.ClientKeys | None) -> None:
        self.context = zmq.Context()
        self.context.linger = 0
        self.socket = self.context.socket(KINDS[entrance][1])
        self.shakes = Handshakes(self.socket, house.at[entrance], keys)
        if entrance == "results":
            self.socket.subscribe(b"")
        self.socket.connect(house.at[entrance])

    def verdict(self) -> str:
        """`in`, or why not."""
        try:
            wait_until(self._is_in)
        except DeniedError as error:
            return str(error)
        return "in"

    def _is_in(self) -> bool:
        self.shakes.check()
        return self.shakes.connections > 0

    def close(self) -> None:
        """Hang up."""
        self.shakes.close()
        self.context.destroy(linger=0)


def wait_until(done: Callable[[], object]) -> None:
    """Poll; only a failure takes long."""
    deadline = time.monotonic() + PATIENCE_S
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.01)
