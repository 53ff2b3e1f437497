"""A subscriber: an iterator over results, plain or asynchronous, that knows what it missed."""

import contextlib
import os
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any, Self

import zmq

from rvsense import addresses, curve, results
from rvsense.client.books import Books
from rvsense.client.news import MODEL_TOPIC, STATUS_TOPIC, ModelNews, unpack_model, unpack_status
from rvsense.client.silence import Silence
from rvsense.client.waiting import Waiter
from rvsense.config import Endpoints
from rvsense.errors import RvsenseError, UsageError
from rvsense.handshake import DeniedError, Handshakes
from rvsense.results import Result

DEFAULT_ENDPOINT = Endpoints().results
HEARTBEAT_MS = 2000
"""A daemon whose machine or cable has gone is noticed within two of these, and sought anew."""


class ClosedError(RvsenseError):
    """This subscriber was closed."""


class Subscriber:
    """Results of a daemon, as they come: `for result in subscriber`, or `async for`.

    ZeroMQ connects again by itself when the daemon or the network goes and comes back.

    Args:
        endpoint: the daemon's results endpoint.
        site: only this site; empty = all.
        timeout_s: iterating ends after so long without a result; None = never.
        max_age_s: results older than this on arrival are passed over and counted in `stale`.
            Their age is told by two clocks: this machine's and the daemon's.
        silence_s: SilenceError after so long without a result; None = never.
        on_silence: told the seconds instead, again and again while it lasts.
        on_model: told which model answers, at once and whenever it changes.
        on_status: told what `/statusz` has, once a second.
        keys: folder of this client's keys, as `rvsense keys new` makes one; None = that of
            $RVSENSE_KEYS, else none.

    Raises:
        UsageError: `endpoint` is none that can be connected to.
        ConfigError: `keys` cannot be used.
    """

    def __init__(
        self,
        endpoint: str = DEFAULT_ENDPOINT,
        *,
        site: str = "",
        timeout_s: float | None = None,
        max_age_s: float | None = None,
        silence_s: float | None = None,
        on_silence: Callable[[float], None] | None = None,
        on_model: Callable[[ModelNews], None] | None = None,
        on_status: Callable[[Mapping[str, Any]], None] | None = None,
        keys: str | os.PathLike[str] | None = None,
    ) -> None:
        if not addresses.is_endpoint(endpoint):
            raise UsageError(f"endpoint {endpoint!r}: {addresses.PEER_FORM} expected")
        if not addresses.is_peer(endpoint):
            raise UsageError(f"endpoint {endpoint!r}: give the host and port it really got")
        found = curve.client_keys(keys)
        self.endpoint = endpoint
        self._books = Books(site, max_age_s)
        self._silence = Silence(endpoint, silence_s, on_silence, time.monotonic())
        self._timeout_s, self._on_model, self._on_status = timeout_s, on_model, on_status
        self._lock = threading.Lock()
        self._worker: int | None = None
        self._closing = self._closed = self._denied = False
        self._context = zmq.Context()
        self._context.linger = 0
        self._socket = self._context.socket(zmq.SUB)
        self._socket.setsockopt(zmq.HEARTBEAT_IVL, HEARTBEAT_MS)
        self._socket.setsockopt(zmq.IPV6, addresses.is_ipv6(endpoint))
        self._handshakes = Handshakes(self._socket, endpoint, found)
        self._waiter = Waiter((self._socket, self._handshakes.watched))
        for topic in (results.topic(site), on_model and MODEL_TOPIC, on_status and STATUS_TOPIC):
            if topic:
                self._socket.subscribe(topic)
        try:
            self._socket.connect(endpoint)
        except zmq.ZMQError as error:
            self.close()
            reason = error.strerror
            raise UsageError(f"endpoint {endpoint!r} cannot be connected to: {reason}") from None

    @property
    def received(self) -> int:
        """Results handed on."""
        return self._books.received

    @property
    def missed(self) -> int:
        """Results that went by: we were too slow, or away."""
        return self._books.missed

    @property
    def stale(self) -> int:
        """Results passed over as too old."""
        return self._books.stale

    @property
    def restarts(self) -> int:
        """Times that the daemon's numbers began anew."""
        return self._books.restarts

    @property
    def connections(self) -> int:
        """Connections made so far: more than one when daemon or network went and came back."""
        return self._handshakes.connections

    @property
    def silent_s(self) -> float:
        """Seconds since the last result, or since the start."""
        return self._silence.lasted_s(time.monotonic())

    @property
    def is_stale(self) -> bool:
        """Whether there is no news: nothing for `silence_s` (5 s), or nothing at all yet."""
        return not self.received or self._silence.is_long(time.monotonic())

    def receive(self, timeout_s: float | None = None) -> Result | None:
        """The next new result, or None when none came in time; None = wait for ever.

        Raises:
            SilenceError: as `silence_s` asks for.
            DeniedError: the daemon does not let us in; receiving again tries again.
            ClosedError: it was closed, maybe by another thread in the meantime.
            UsageError: a callback of this very subscriber receives, or a task beside its thread.
            ResultError: what came is no result of this version.
        """
        deadline_s = _after(timeout_s)
        with self._at_work():
            while (result := self._next()) is None and not _is_over(deadline_s):
                self._waiter.wait(self._pause_s(deadline_s))
        return result

    async def receive_async(self, timeout_s: float | None = None) -> Result | None:
        """As `receive`, in an event loop.

        Raises:
            UsageError: another task, or thread, receives already.
        """
        deadline_s = _after(timeout_s)
        with self._at_work(in_a_loop=True):
            while (result := self._next()) is None and not _is_over(deadline_s):
                await self._waiter.wait_async(self._pause_s(deadline_s))
        return result

    def close(self) -> None:
        """Hang up; from any thread or task. Whoever waits for a result there finds it closed."""
        self._closing = True
        with contextlib.suppress(OSError):  # closed already
            self._waiter.wake()
        if self._lock.acquire(blocking=False):  # else who has it closes when it lets go
            try:
                self._hang_up()
            finally:
                self._lock.release()

    def __iter__(self) -> Iterator[Result]:
        return self

    def __next__(self) -> Result:
        with contextlib.suppress(ClosedError):
            if (result := self.receive(self._timeout_s)) is not None:
                return result
        raise StopIteration

    def __aiter__(self) -> AsyncIterator[Result]:
        return self

    async def __anext__(self) -> Result:
        with contextlib.suppress(ClosedError):
            if (result := await self.receive_async(self._timeout_s)) is not None:
                return result
        raise StopAsyncIteration

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    @contextlib.contextmanager
    def _at_work(self, *, in_a_loop: bool = False) -> Iterator[None]:
        """The socket is ours alone; closed on the way out if somebody asked for it meanwhile."""
        self._check_open()
        # Who waits for itself, or holds up a loop in which who has the socket is to go on, would
        # wait for ever.
        may_wait = not in_a_loop and self._worker != threading.get_ident()
        if not self._lock.acquire(blocking=may_wait):
            self._check_open()
            raise UsageError(f"somebody else receives from this subscriber of {self.endpoint}")
        self._worker = threading.get_ident()
        try:
            self._try_again()
            yield
        finally:
            self._worker = None
            self._lock.release()
            if self._closing:
                self.close()

    def _check_open(self) -> None:
        if self._closing:
            raise ClosedError(f"the subscriber of {self.endpoint} was closed")

    def _next(self) -> Result | None:
        """A result that is here already."""
        self._check_open()
        try:
            self._handshakes.check()
        except DeniedError:
            self._denied = True
            raise
        with contextlib.suppress(zmq.Again):
            while True:
                result = self._read(self._socket.recv_multipart(zmq.NOBLOCK))
                if result is not None:
                    self._silence.broken(time.monotonic())
                    return result
        self._silence.mind(time.monotonic())
        return None

    def _read(self, parts: list[bytes]) -> Result | None:
        """The result in a message, if it is one to hand on; other news go where they belong."""
        if parts[0] == MODEL_TOPIC and self._on_model is not None:
            self._on_model(unpack_model(parts))
        elif parts[0] == STATUS_TOPIC and self._on_status is not None:
            self._on_status(unpack_status(parts))
        elif self._books.take(result := results.unpack(parts), time.time_ns()):
            return result
        return None

    def _pause_s(self, deadline_s: float | None) -> float | None:
        """How long to wait before there is something else to do than to receive."""
        ends = [end for end in (deadline_s, self._silence.due_s) if end is not None]
        return max(0.0, min(ends) - time.monotonic()) if ends else None

    def _try_again(self) -> None:
        """ZeroMQ gives an endpoint up that has denied us."""
        if self._denied and not self._closing:
            self._denied = False
            with contextlib.suppress(zmq.ZMQError):
                self._socket.disconnect(self.endpoint)
            self._socket.connect(self.endpoint)

    def _hang_up(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._handshakes.close()
        self._socket.close()
        self._context.term()
        self._waiter.close()


def _after(timeout_s: float | None) -> float | None:
    return None if timeout_s is None else time.monotonic() + timeout_s


def _is_over(deadline_s: float | None) -> bool:
    return deadline_s is not None and time.monotonic() >= deadline_s
