"""The subscriber's side: follow a daemon's classifications.

for result in rvsense.subscribe():
    print(result.site, result.label, result.confidence)
"""

import math
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Self

import zmq

from rvsense import addresses, results
from rvsense.config import Endpoints
from rvsense.errors import UsageError
from rvsense.results import Result

DEFAULT_ENDPOINT = Endpoints().results


class Subscriber:
    """An iterator over results that knows what it missed and how old its news is.

    Args:
        endpoint: the daemon's results endpoint.
        site: only this site; empty = all.
        timeout_s: StopIteration after this long without a result; None = wait for ever.
        max_age_s: results older than this on arrival are passed over and counted in `stale`.

    Raises:
        UsageError: `endpoint` is none that can be connected to.
    """

    def __init__(
        self,
        endpoint: str = DEFAULT_ENDPOINT,
        *,
        site: str = "",
        timeout_s: float | None = None,
        max_age_s: float | None = None,
    ) -> None:
        if not addresses.is_endpoint(endpoint):
            raise UsageError(f"endpoint {endpoint!r}: {addresses.ENDPOINT_FORM} expected")
        if addresses.fixed_port(endpoint) is None:
            raise UsageError(f"endpoint {endpoint!r}: give the port that the daemon really got")
        self.missed = 0
        self.stale = 0
        self.received = 0
        self._site = site
        self._timeout_s = timeout_s
        self._max_age_s = max_age_s
        self._last_seq: dict[str, int] = {}
        self._context = zmq.Context()
        self._context.linger = 0
        self._socket = self._context.socket(zmq.SUB)
        self._socket.setsockopt(zmq.HEARTBEAT_IVL, 2000)
        self._socket.subscribe(results.topic(site))
        try:
            self._socket.connect(endpoint)
        except zmq.ZMQError as error:
            self.close()
            reason = error.strerror
            raise UsageError(f"endpoint {endpoint!r} cannot be connected to: {reason}") from None

    def __iter__(self) -> Iterator[Result]:
        return self

    def __next__(self) -> Result:
        result = self.receive(self._timeout_s)
        if result is None:
            raise StopIteration
        return result

    def receive(self, timeout_s: float | None = None) -> Result | None:
        """The next new result, or None when none came in time."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            left_s = None if deadline is None else max(0.0, deadline - time.monotonic())
            wait_ms = None if left_s is None else math.ceil(left_s * 1e3)
            if not self._socket.poll(wait_ms):
                return None
            result = results.unpack(self._socket.recv_multipart())
            if self._is_wanted(result):
                return result

    def close(self) -> None:
        """Close the socket; iterating afterwards is an error."""
        self._socket.close()
        self._context.term()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _is_wanted(self, result: Result) -> bool:
        # A topic is a prefix: `site-1` also matches `site-10`.
        if self._site and result.site != self._site:
            return False
        last = self._last_seq.get(result.site)
        # A repeat that is newer than our last was lost to us the first time.
        if result.repeat and last is not None and result.result_seq <= last:
            return False
        # A lower number is a daemon that started again, not a gap.
        if last is not None and result.result_seq > last + 1:
            self.missed += result.result_seq - last - 1
        self._last_seq[result.site] = result.result_seq
        if self._max_age_s is not None and age_s(result) > self._max_age_s:
            self.stale += 1
            return False
        self.received += 1
        return True


def age_s(result: Result) -> float:
    """Seconds since the daemon published this result, by this machine's clock."""
    return (time.time_ns() - result.published_ns) / 1e9


def subscribe(
    endpoint: str = DEFAULT_ENDPOINT,
    *,
    site: str = "",
    timeout_s: float | None = None,
    max_age_s: float | None = None,
) -> Subscriber:
    """Follow the classifications of a running daemon; see Subscriber."""
    return Subscriber(endpoint, site=site, timeout_s=timeout_s, max_age_s=max_age_s)
