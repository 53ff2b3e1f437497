"""Waiting for sockets, in a thread or in an event loop, so that another thread can end it."""

import asyncio
import contextlib
import math
import socket
from collections.abc import Sequence
from typing import Any

import zmq


class Waiter:
    """Waits until one of some ZeroMQ sockets may be readable, or somebody calls `wake`."""

    def __init__(self, sockets: Sequence["zmq.Socket[Any]"]) -> None:
        self._sockets = sockets
        self._bell, self._rope = socket.socketpair()
        self._poller = zmq.Poller()
        for item in (*sockets, self._bell):
            self._poller.register(item, zmq.POLLIN)

    def wait(self, timeout_s: float | None) -> None:
        """Until something may be there, or the time is over; None = for ever."""
        self._poller.poll(None if timeout_s is None else math.ceil(timeout_s * 1e3))

    async def wait_async(self, timeout_s: float | None) -> None:
        """As `wait`. The sockets must have been found empty since they were last used: their
        descriptors tell of a change alone.
        """
        loop = asyncio.get_running_loop()
        woken: asyncio.Future[None] = loop.create_future()
        handles = [self._bell.fileno(), *(int(item.FD) for item in self._sockets)]
        for handle in handles:
            loop.add_reader(handle, _settle, woken)
        try:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(woken, timeout_s)
        finally:
            for handle in handles:
                loop.remove_reader(handle)

    def wake(self) -> None:
        """End a wait, now or the next; from any thread."""
        self._rope.send(b"!")

    def close(self) -> None:
        """Release the descriptors."""
        self._bell.close()
        self._rope.close()


def _settle(woken: "asyncio.Future[None]") -> None:
    if not woken.done():
        woken.set_result(None)
