"""ZeroMQ in memory: PULL, XPUB, ROUTER and DEALER with latency, bounds, and ends that die.

Messages of one connection keep their order. What a process has not read dies with it; what its
peers have sent since waits for the next one that binds, as with a connection that is made again.
"""

import random
import struct
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import zmq

from tests.simulate.scheduler import Process, Scheduler, Task

LATENCY_S = (0.0001, 0.002)

Accept = Callable[["Socket"], None]


class Network:
    """What is bound, who listens, and what connects to them.

    on_publish, on_read   for the checks: what goes out, and what is taken in
    cut                   endpoints that nothing gets to at the moment
    """

    def __init__(self, scheduler: Scheduler, chance: random.Random) -> None:
        self.scheduler = scheduler
        self.bound: dict[str, Socket] = {}
        self.cut: set[str] = set()
        self.on_publish: Callable[[list[bytes]], None] = lambda _: None
        self.on_read: Callable[[Socket, list[bytes]], None] = lambda _, __: None
        self.on_bind: Callable[[Socket, str], None] = lambda _, __: None
        self._listeners: dict[str, Accept] = {}
        self._waiting: dict[str, list[Socket]] = {}
        self._chance = chance
        self._ports = 40000

    def latency_ns(self) -> int:
        """How long the next message takes."""
        return round(self._chance.uniform(*LATENCY_S) * 1e9)

    def port(self) -> int:
        """A free one."""
        self._ports += 1
        return self._ports

    def deliver(self, endpoint: str, message: list[bytes]) -> bool:
        """Hand a message to the socket that is bound there; False when it has no room."""
        socket = self.bound.get(endpoint)
        if socket is None or len(socket.inbox) >= socket.high_water:
            return False
        socket.put(message)
        return True

    def listen(self, endpoint: str, accept: Accept) -> None:
        """Take the connections to an endpoint, those that wait first."""
        self._listeners[endpoint] = accept
        if endpoint in self.cut:
            return
        for socket in self._waiting.pop(endpoint, []):
            if not socket.closed:
                accept(socket)

    def hang_up(self, endpoint: str) -> None:
        """Take no more."""
        self._listeners.pop(endpoint, None)

    def mend(self, endpoint: str) -> None:
        """What was cut is whole: who waited gets through."""
        self.cut.discard(endpoint)
        if endpoint in self._listeners:
            self.listen(endpoint, self._listeners[endpoint])

    def connect(self, socket: "Socket", endpoint: str) -> None:
        """A socket wants to be connected."""
        if socket.closed:
            return
        accept = self._listeners.get(endpoint)
        if accept is None or endpoint in self.cut:
            self._waiting.setdefault(endpoint, []).append(socket)
        else:
            accept(socket)


class Context:
    """Makes sockets of the process that it is made in."""

    def __init__(self, network: Network) -> None:
        self._network = network

    def socket(self, kind: int) -> "Socket":
        """As zmq's."""
        return Socket(self._network, kind)

    def term(self) -> None:
        """As zmq's."""

    def destroy(self, linger: int | None = None) -> None:
        """As zmq's."""


class Part:
    """One part of a message, not copied: zmq's Frame."""

    def __init__(self, content: bytes, *, more: bool = False) -> None:
        self.bytes = content
        self.buffer = memoryview(content)
        self.more = more

    def get(self, name: str | int) -> str:
        """Nobody has said who he is; there are no descriptors here."""
        if name == zmq.SRCFD:
            return "-1"
        raise zmq.ZMQError(zmq.EINVAL)


class Socket:
    """Any kind."""

    def __init__(self, network: Network, kind: int) -> None:
        task = network.scheduler.current
        assert task is not None
        self.process: Process = task.process
        self.kind = kind
        self.inbox: deque[list[bytes]] = deque()
        self._rest: deque[bytes] = deque()
        self.high_water = 1000
        self.watching: list[Task] = []
        self.peer: Callable[[list[bytes]], None] | None = None
        self.replies: dict[bytes, Callable[[list[bytes]], None]] = {}
        self.subscribers: list[Any] = []
        self.options: dict[int, Any] = {}
        self._network = network
        self._endpoint = ""
        self.closed = False
        self._clear_ns = 0
        self._unsent: deque[list[bytes]] = deque()
        self._monitor: Socket | None = None

    def bind(self, endpoint: str) -> None:
        """As zmq's."""
        if endpoint.endswith(":*"):
            endpoint = endpoint[:-1] + str(self._network.port())
        holder = self._network.bound.get(endpoint)
        if holder is not None and holder.process.alive:
            raise zmq.ZMQError(zmq.EADDRINUSE)
        self._endpoint = endpoint
        self._network.bound[endpoint] = self
        self._network.on_bind(self, endpoint)

    def connect(self, endpoint: str) -> None:
        """As zmq's: what is sent waits until somebody listens there."""
        self._endpoint = endpoint
        self._network.connect(self, endpoint)

    def put(self, message: list[bytes]) -> None:
        """A message comes in."""
        if self.closed:
            return
        self.inbox.append(message)
        for task in self.watching:
            self._network.scheduler.wake(task)

    def later(self, function: Callable[[], None]) -> None:
        """Call a function when a message sent now has come through; in the order of the calls."""
        scheduler = self._network.scheduler
        self._clear_ns = max(self._clear_ns, scheduler.now_ns + self._network.latency_ns())
        scheduler.at(self._clear_ns, function)

    def send_multipart(self, parts: list[Any], flags: int = 0, copy: bool = True) -> None:
        """As zmq's."""
        message = [bytes(part) for part in parts]
        if self.kind == zmq.XPUB:
            self._network.on_publish(message)
            for subscriber in self.subscribers:
                subscriber.offer(message)
        elif self.kind == zmq.ROUTER:
            reply = self.replies.get(message[0])
            if reply is not None:
                self.later(lambda: reply(message[1:]))
        else:
            self.later(lambda: self._pass_on(message))

    def _pass_on(self, message: list[bytes]) -> None:
        if self.closed:
            return
        if self.peer is not None:
            self.peer(message)
        else:
            self._unsent.append(message)

    def meet(self, peer: Callable[[list[bytes]], None]) -> None:
        """Somebody is at the other end."""
        self.peer = peer
        while self._unsent:
            peer(self._unsent.popleft())

    def end(self) -> None:
        """The other end has gone; another may come."""
        self.peer = None
        if self._monitor is not None:
            event = struct.pack("=HI", zmq.EVENT_DISCONNECTED, 0)
            self._monitor.put([event, self._endpoint.encode()])
        self._network.connect(self, self._endpoint)

    def recv_multipart(self, flags: int = 0, copy: bool = True) -> list[Any]:
        """As zmq's, where something has come in, or not to wait."""
        if not self.inbox:
            raise zmq.Again
        message = self.inbox.popleft()
        self._network.on_read(self, message)
        return message if copy else [Part(part) for part in message]

    def recv(self, flags: int = 0, copy: bool = True) -> Any:
        """As zmq's: the next part."""
        if not self._rest:
            self._rest.extend(self.recv_multipart(flags))
        part = self._rest.popleft()
        return part if copy else Part(part, more=bool(self._rest))

    def poll(self, timeout: float | None = None, flags: int = zmq.POLLIN) -> int:
        """As zmq's, not to wait."""
        return zmq.POLLIN if self.inbox or self._rest else 0

    def get_monitor_socket(self, events: int = 0) -> "Socket":
        """As zmq's: readable once the connection has ended."""
        self._monitor = Socket(self._network, zmq.PAIR)
        return self._monitor

    def disable_monitor(self) -> None:
        """As zmq's."""

    def setsockopt(self, option: int, value: Any) -> None:
        """As zmq's; most bounds are the kernel's here."""
        self.options[option] = value

    setsockopt_string = setsockopt

    def getsockopt(self, option: int) -> Any:
        """As zmq's, of what was set."""
        return self.options[option]

    def getsockopt_string(self, option: int) -> str:
        """As zmq's, for the endpoint."""
        return self._endpoint

    def set_hwm(self, messages: int) -> None:
        """As zmq's."""
        self.high_water = messages

    def close(self, linger: int | None = None) -> None:
        """As zmq's."""
        self.closed = True
        if self._network.bound.get(self._endpoint) is self:
            del self._network.bound[self._endpoint]


class Poller:
    """Over sockets and bells."""

    def __init__(self, scheduler: Scheduler, bell: Callable[[int], Any]) -> None:
        self._scheduler, self._bell = scheduler, bell
        self._sources: dict[Any, Any] = {}
        self.parked = False

    def register(self, source: Any, flags: int = zmq.POLLIN) -> None:
        """As zmq's."""
        self._sources[source] = self._bell(source) if isinstance(source, int) else source

    def unregister(self, source: Any) -> None:
        """As zmq's."""
        del self._sources[source]

    def poll(self, timeout: float | None = None) -> list[tuple[Any, int]]:
        """As zmq's."""
        scheduler = self._scheduler
        self.parked = True
        scheduler.pause()
        if not any(source.inbox for source in self._sources.values()) and timeout != 0:
            task = scheduler.current
            assert task is not None
            for source in self._sources.values():
                source.watching.append(task)
            until_ns = None if timeout is None else scheduler.now_ns + round(timeout * 1e6)
            scheduler.park(until_ns)
            for source in self._sources.values():
                source.watching.remove(task)
        self.parked = False
        return list(self._readable())

    def _readable(self) -> Iterator[tuple[Any, int]]:
        for key, source in self._sources.items():
            if source.inbox:
                yield key, zmq.POLLIN
