"""Who may connect to this daemon, and what of it is open to whom."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import zmq

from rvsense import addresses, curve, keyring
from rvsense.config import Config
from rvsense.denials import Denials
from rvsense.doorman import Doorman
from rvsense.errors import ConfigError
from rvsense.gate import Allowed
from rvsense.inlet import MOST_PARTS
from rvsense.lobby import Lobby

PLAYER = "player-of-this-daemon"
"""The name of the player's key; no file in the folder of keys is needed for it."""


class Doors:
    """The entrances: who may come in, how many, and who was turned away. I/O thread only.

    Without `access.keys` everybody may come in. With keys the daemon's own player needs one too,
    as every device: it is made now, and kept in the private folder `runtime_dir`.

    Raises:
        ConfigError: a key cannot be read.
    """

    def __init__(
        self,
        context: "zmq.Context[zmq.Socket[bytes]]",
        poller: zmq.Poller,
        config: Config,
        runtime_dir: Path,
        on_denied: Callable[[str, str], None] = lambda *_: None,
    ) -> None:
        self.denials = Denials(on_denied)
        self.doorman: Doorman | None = None
        if config.access.keys:
            folder = Path(config.access.keys).expanduser()
            server = keyring.server_pair(folder).public
            guests = (_player(runtime_dir, server),) if config.replay.path else ()
            self.doorman = Doorman(context, poller, folder, self.denials, guests=guests)
        self._lobby = Lobby(poller, config.access.max_connections, self.denials)
        self._sockets: dict[str, zmq.Socket[bytes]] = {}
        self._exposed = exposed(config)

    def arm(self, entrance: str) -> Callable[["zmq.Socket[bytes]"], None]:
        """What is to be done to an entrance's socket before it is bound."""

        def prepare(socket: "zmq.Socket[bytes]") -> None:
            self._sockets[entrance] = socket
            self._lobby.watch(socket, entrance)
            if self.doorman is not None:
                self.doorman.arm(socket, entrance)
            else:
                # Where nobody judges all come in, but for those who speak a ZeroMQ before 4: their
                # messages do not tell through which connection they came.
                socket.setsockopt(zmq.ZAP_DOMAIN, entrance.encode())

        return prepare

    def admits(self, entrance: str) -> Callable[[Sequence[zmq.Frame]], bool]:
        """Whether a message is to be looked at: its sender is still allowed in, where there are
        keys. One of far too many parts is, and its sender cut off.
        """

        def admit(message: Sequence[zmq.Frame]) -> bool:
            self._lobby.heard(entrance, message[-1])
            if len(message) > MOST_PARTS:
                self._lobby.show_out(entrance, message[-1], "flood", time.monotonic())
            return self._knows(entrance, message[-1])

        return admit

    def hears_out(self, message: zmq.Frame) -> bool:
        """Whether what a subscriber says is taken: it is allowed, and has not said too much."""
        self._lobby.heard("results", message)
        return self._lobby.hears_out("results", message, time.monotonic()) and self._knows(
            "results", message
        )

    def _knows(self, entrance: str, message: zmq.Frame) -> bool:
        return self.doorman is None or self.doorman.knows(entrance, message, time.monotonic())

    def turn(self, ready: Mapping[Any, int], now_s: float, *, reads_intake: bool = True) -> None:
        """Look after those who come and go.

        Args:
            ready: what the poller says of all sockets.
            reads_intake: it was asked about the intake, too.
        """
        if self.doorman is not None:
            self.doorman.turn(ready, now_s)
        for entrance, socket in self._sockets.items():
            if socket not in ready and (entrance != "intake" or reads_intake):
                self._lobby.idle(entrance)
        self._lobby.turn(ready, now_s)
        self.denials.summarise(now_s)

    def reload(self, now_s: float) -> bool:
        """Read again who is allowed; returns whether others are now.

        Raises:
            ConfigError: a file is no key; the old list stands.
        """
        return self.doorman is not None and self.doorman.reload(now_s)

    def as_map(self) -> dict[str, Any]:
        """For `/statusz`: whether keys are asked for, whom they let in, and what has no lock."""
        return {
            "curve": self.doorman is not None,
            "exposed": self._exposed,
            "allowed": {} if self.doorman is None else self.doorman.allowed(),
            "connections": self._lobby.connections(),
            "denied": self.denials.as_map(),
        }

    def close(self) -> None:
        """Before the sockets are closed."""
        self._lobby.close()
        if self.doorman is not None:
            self.doorman.close()


def player_keys(config: Config, runtime_dir: Path) -> Path | None:
    """The folder of keys that the player is started with; None where it needs none."""
    return _folder(runtime_dir) if config.access.keys else None


def learner_keys(config: Config) -> curve.ClientKeys | None:
    """This daemon's own keys for a remote learner.

    Raises:
        ConfigError: they cannot be used.
    """
    # The environment's are for those who follow this daemon, not for itself.
    return curve.client_keys(config.access.learner_keys, {})


def check_learner(config: Config) -> None:
    """Refuse to send images over a network in the clear, and what they teach.

    Raises:
        ConfigError: naming the remedy.
    """
    if "learner" in exposed(config) and not config.access.insecure:
        raise ConfigError(
            f"learner is {config.learner!r}: camera images would cross the network in the clear; "
            "give --learner-keys (rvsense keys new --role daemon, there), or take the risk with "
            "--insecure (access.insecure)"
        )


def exposed(config: Config) -> list[str]:
    """Where other machines are talked to without keys: what `access.insecure` gave up."""
    ends, access = config.endpoints, config.access
    doors = {"intake": ends.intake, "results": ends.results, "requests": ends.requests}
    unlocked = ({} if access.keys else doors) | {"http": ends.http}
    if config.learner and not access.learner_keys:
        unlocked["learner"] = config.learner
    return [name for name, address in unlocked.items() if not addresses.is_local(address)]


def _player(runtime_dir: Path, server: bytes) -> Allowed:
    pair, folder = curve.new_pair(), _folder(runtime_dir)
    folder.mkdir(mode=0o700)
    curve.write_secret(folder / curve.CLIENT_SECRET, pair.secret)
    curve.write_public(folder / curve.SERVER_PUBLIC, server)
    return Allowed("device", PLAYER, pair.public)


def _folder(runtime_dir: Path) -> Path:
    return runtime_dir / "player.keys"
