"""The learner's door, where it listens with keys: daemons alone come in (rvsense.doorman).

A training step may take longer than a handshake waits, so the doorman has a thread of its own.
"""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import structlog
import zmq

from rvsense import addresses
from rvsense.config import Access
from rvsense.denials import Denials
from rvsense.doorman import Doorman
from rvsense.errors import ConfigError
from rvsense.inlet import MOST_PARTS
from rvsense.lobby import Lobby

ENTRANCE = "learner"
TURN_MS = 200
MOST_DAEMONS = 1024


def check(endpoint: str, access: Access) -> None:
    """Refuse to listen where other machines reach it and nothing protects it.

    Raises:
        ConfigError: naming the remedy.
    """
    if not (addresses.is_local(endpoint) or access.keys or access.insecure):
        raise ConfigError(
            f"--listen {endpoint}: other machines reach it, and anybody there may use it; give "
            "--keys (rvsense keys), or take the risk with --insecure (access.insecure)"
        )


class Door:
    """Who stands at it is asked of every message; without keys it is open.

    Times are seconds of a monotonic clock.

    Args:
        doorman: knows who is allowed.
        lobby: ends connections that send without end.
    """

    def __init__(self, doorman: Doorman | None = None, lobby: Lobby | None = None) -> None:
        self.at_work = threading.Lock()
        """The messages are one thread's, those who come and go another's."""
        self._doorman, self._lobby = doorman, lobby

    def admits(self, message: Sequence[zmq.Frame]) -> bool:
        """Whether a message is to be heard: its sender is still allowed; one who is not is cut off.

        So is one whose message has far too many parts, of which it is told.
        """
        if self._doorman is None or self._lobby is None:
            return True
        with self.at_work:
            now_s = time.monotonic()
            self._lobby.heard(ENTRANCE, message[-1])
            if len(message) > MOST_PARTS:
                self._lobby.show_out(ENTRANCE, message[-1], "flood", now_s)
            return self._doorman.knows(ENTRANCE, message[-1], now_s)

    def idle(self) -> None:
        """No message was waiting."""
        if self._lobby is not None:
            with self.at_work:
                self._lobby.idle(ENTRANCE)


@contextmanager
def guarded(
    context: "zmq.Context[zmq.Socket[bytes]]",
    socket: "zmq.Socket[bytes]",
    keys: str,
    reload: threading.Event,
) -> Iterator[Door]:
    """Give a socket that is not bound yet the keys in folder `keys`; "" = none.

    Whenever `reload` is set, it is read again who is allowed.

    Raises:
        ConfigError: a key cannot be read.
    """
    if not keys:
        yield Door()
        return
    poller = zmq.Poller()
    denials = Denials()
    doorman = Doorman(context, poller, Path(keys).expanduser(), denials)
    lobby = Lobby(poller, MOST_DAEMONS, denials)
    lobby.watch(socket, ENTRANCE, large_parts=2)  # a heatmap and an image
    doorman.arm(socket, ENTRANCE)
    over = threading.Event()
    door = Door(doorman, lobby)

    def work() -> None:
        while not over.is_set():
            ready = dict(poller.poll(TURN_MS))
            now_s = time.monotonic()
            with door.at_work:
                doorman.turn(ready, now_s)
                lobby.turn(ready, now_s)
                denials.summarise(now_s)
                if reload.is_set():
                    reload.clear()
                    _reload(doorman)

    thread = threading.Thread(target=work, name="door", daemon=True)
    thread.start()
    try:
        yield door
    finally:
        over.set()
        thread.join()
        lobby.close()
        doorman.close()


def _reload(doorman: Doorman) -> None:
    log = structlog.get_logger()
    try:
        changed = doorman.reload(time.monotonic())
    except ConfigError as error:
        log.error("reload_refused", error=str(error))
    else:
        log.info("reloaded", applied=["access.keys"] if changed else [], needs_restart=[])
