"""The learner's socket: takes messages of all daemons in turn, between training steps.

ROUTER takes one message of each connection in turn, so none keeps another waiting for more than
one of its own. Behind its high-water mark a daemon waits in its own outbox, which counts what it
loses there; so memory here is bounded per daemon, however many send however much.
"""

import errno
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import zmq

from rvsense import addresses, ipc, link
from rvsense.errors import ConfigError
from rvsense.inlet import Inlet
from rvsense.learner.door import Door
from rvsense.learner.peers import Send
from rvsense.learner.service import Service
from rvsense.learner.trainer import Trainer

LINGER_MS = 1000
BURST_MESSAGES = 16
"""Messages taken between two steps at most: many sites must not starve training."""
WAITING_MESSAGES = 2 * link.WINDOW
"""Of one daemon, in here; one that heeds the window never fills it."""
UNREAD_MESSAGES = 128
"""For one daemon, of which each may be a chunk of a model: 128 MiB at most. Who reads nothing is
still sent figures once a second, so it is given up after two minutes. The daemon that owns a
learner fetches nothing, and has until a thousand."""
Guard = Callable[
    ["zmq.Context[zmq.Socket[bytes]]", "zmq.Socket[bytes]"], AbstractContextManager[Door]
]

UNREACHABLE = (errno.EHOSTUNREACH, errno.EAGAIN)
"""The connection has ended, or its other end has not read for too long."""


def receive(
    endpoint: str,
    trainer: Trainer,
    state_dir: Path,
    must_stop: Callable[[], bool],
    on_bound: Callable[[str], None],
    *,
    on_turn: Callable[[int, int], None],
    owned: bool,
    hurried: Callable[[], bool] = lambda: False,
    guarded: Guard = lambda *_: nullcontext(Door()),
) -> None:
    """Serve daemons at `endpoint` until told to stop; `on_bound` is told where it really is.

    `on_turn` is told, at each turn of the loop, the step and how many daemons are served.
    `owned`: it serves the daemon that started it, and no other.
    `hurried`: whether somebody waits for it to stop.
    `guarded`: what stands at the door, from before the socket is bound.

    Raises:
        ConfigError: when the endpoint cannot be bound.
    """
    with (
        zmq.Context() as context,
        _bounded(context, endpoint, owned=owned) as socket,
        guarded(context, socket) as door,
    ):
        if problem := ipc.in_the_way(endpoint):
            raise ConfigError(f"learner endpoint {endpoint} {problem}")
        try:
            socket.bind(endpoint)
        except zmq.ZMQError as error:
            raise ConfigError(f"learner endpoint {endpoint}: {error}") from None
        on_bound(socket.getsockopt_string(zmq.LAST_ENDPOINT))
        make = partial(Service, trainer, state_dir, owned=owned, hurried=hurried)
        _serve(socket, make, must_stop, on_turn=on_turn, door=door)


def _bounded(
    context: "zmq.Context[zmq.Socket[bytes]]", endpoint: str, *, owned: bool
) -> "zmq.Socket[bytes]":
    """A socket that is not bound yet; what may wait in it is settled."""
    socket = context.socket(zmq.ROUTER)
    socket.linger = LINGER_MS
    socket.rcvhwm = WAITING_MESSAGES
    if not owned:
        socket.sndhwm = UNREAD_MESSAGES
    socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
    socket.setsockopt(zmq.MAXMSGSIZE, link.MOST_BYTES)
    socket.setsockopt(zmq.HANDSHAKE_IVL, link.HANDSHAKE_MS)
    socket.setsockopt(zmq.IPV6, addresses.is_ipv6(endpoint))
    if endpoint.startswith("tcp:"):
        socket.setsockopt(zmq.HEARTBEAT_IVL, link.HEARTBEAT_MS)
        socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, link.SILENCE_MS)
    return socket


def _serve(
    socket: "zmq.Socket[bytes]",
    make: Callable[[Send], Service],
    must_stop: Callable[[], bool],
    *,
    on_turn: Callable[[int, int], None],
    door: Door,
) -> None:
    def send(identity: bytes, message: list[Any]) -> bool:
        try:
            socket.send_multipart([identity, *message], zmq.NOBLOCK)
        except zmq.ZMQError as error:
            if error.errno in UNREACHABLE:
                return False
            raise
        return True

    service, inlet = make(send), Inlet(socket)
    trainer = service.trainer
    while not service.stopped:
        if must_stop():
            service.stop()
            break
        wait_ms = 0 if service.wants_step else int(1000 * service.seconds_to_tick())
        for _ in range(BURST_MESSAGES):
            if service.stopped or must_stop():
                break
            if not socket.poll(wait_ms):
                door.idle()
                break
            frames = inlet.take()
            if frames is not None and door.admits(frames):
                identity, *parts = (frame.bytes for frame in frames)
                service.hear(identity, parts)
            service.tick()
            wait_ms = 0
        trainer.world.keep_alive()
        if not service.stopped:
            service.work()
            on_turn(trainer.counters.step, len(service.peers))
