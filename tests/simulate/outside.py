"""Who looks at the daemon from outside: subscribers, people with questions, and the monitoring."""

import json
import random
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rvsense import results
from rvsense.daemon.http_message import Request
from tests.simulate.checks import BrokenError
from tests.simulate.network import Socket

if TYPE_CHECKING:
    from tests.simulate.world import World

ROOM = 20
"""Results that a stalled subscriber's pipe holds."""
LOOK_EVERY_S = 0.7
SCRAPE_EVERY_S = 5.0
"""For a long run: as often as Prometheus, and somebody who looks now and then."""


class Subscriber:
    """Follows all results; sees by `result_seq` what it has missed."""

    def __init__(self) -> None:
        self.stalled = False
        self._pipe: deque[list[bytes]] = deque()
        self._lost: dict[str, int] = {}
        self._last: dict[str, int] = {}

    def greet(self, socket: Socket) -> None:
        """Subscribe at a daemon that has just bound its socket."""
        self._last.clear()
        self._lost.clear()
        self._pipe.clear()
        socket.subscribers.append(self)
        socket.put([b"\x01" + results.TOPIC.encode()])

    def offer(self, message: list[bytes]) -> None:
        """The daemon publishes."""
        if not message[0].startswith(results.TOPIC.encode()):
            return
        if not self.stalled:
            self._take(message)
        elif len(self._pipe) < ROOM:
            self._pipe.append(message)
        else:
            site = message[0].decode()
            self._lost[site] = self._lost.get(site, 0) + 1

    def resume(self) -> None:
        """Read again: what is old first."""
        self.stalled = False
        while self._pipe:
            self._take(self._pipe.popleft())

    def _take(self, message: list[bytes]) -> None:
        result, site = results.unpack(message), message[0].decode()
        if result.repeat:
            return
        missed = result.result_seq - self._last.get(site, result.result_seq - 1) - 1
        if missed and missed != self._lost.pop(site, 0):
            raise BrokenError("gap", f"a subscriber sees {missed} results of {site} missing")
        self._last[site] = result.result_seq


class Asker:
    """Sends requests, and counts the replies."""

    def __init__(self) -> None:
        self.asked = self.replied = 0

    def ask(self, socket: Socket | None, parts: list[bytes]) -> None:
        """One request; its reply must come."""
        if socket is None:
            return
        self.asked += 1
        name = b"asker%d" % self.asked
        socket.replies[name] = self._reply
        socket.put([name, *parts])

    def _reply(self, _: list[bytes]) -> None:
        self.replied += 1
        if self.replied > self.asked:
            raise BrokenError("requests", "more replies than requests")


class Server:
    """In place of the HTTP server: its pages are asked for directly."""

    def __init__(self, opened: Callable[["Server"], None]) -> None:
        self.routes: dict[str, Any] = {}
        self.address = "127.0.0.1:9464"
        self._opened = opened

    def __call__(self, address: str, routes: dict[str, Any], *_: Any, **__: Any) -> "Server":
        """As HttpServer's constructor."""
        self.routes = routes
        self._opened(self)
        return self

    def start(self) -> None:
        """As HttpServer's."""

    def close(self) -> None:
        """As HttpServer's."""
        self.routes = {}

    def get(self, path: str) -> Any:
        """A page's response; None where nobody serves it."""
        route = self.routes.get(path)
        return None if route is None else route(Request())


def monitor(world: "World", chance: random.Random) -> None:
    """Ask for a page every now and then, for ever: all must be well."""
    every_s = LOOK_EVERY_S if world.watched else SCRAPE_EVERY_S
    while True:
        world.scheduler.sleep(every_s)
        path = chance.choice(("/livez", "/readyz", "/statusz", "/statusz", "/metrics"))
        life, loop = world.daemon, world.checks.loop
        try:
            response = world.server.get(path)
        except TimeoutError:
            if life.alive and world.checks.loop is loop and not loop.stopping:
                raise BrokenError("S2", f"{path} got no answer") from None
            continue
        if response is None or not life.alive:
            continue
        if response.status != 200 and not loop.stopping:
            raise BrokenError("health", f"{path}: {response.body.decode()}")
        if path == "/statusz" and not json.loads(response.body)["serving"]["balanced"]:
            raise BrokenError("S1", f"statusz: {response.body.decode()}")
