"""The daemons that one learner serves: who has greeted, and who sends which site. No socket.

Rules:
1. A daemon is known from its `hello` until a message cannot be delivered to it any more. What it
   has had taken is counted from that hello.
2. A daemon that greets again, by the life that its hello names, takes the place of its former self.
3. Lock-step is between the learner and one daemon: it is refused where there are others, and
   others are refused while it lasts.
4. A site is known by its name, whoever sends it. Two daemons that send the same site are told of
   each other, and counted: their stamps will be compared as those of one clock.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rvsense.errors import FrameError

Send = Callable[[bytes, list[Any]], bool]
"""Sends a message to a daemon, by the identity of its connection; False: it is not there."""


LONGEST_NAME = 128
MOST_SITES = 1024
"""Of one daemon; it takes in 64 as it comes."""


class RefusedError(Exception):
    """This daemon cannot be served now; the text says why, and what to do."""


@dataclass(slots=True)
class Peer:
    """A daemon that has said hello."""

    name: str
    life: str
    lockstep: bool
    taken: int = 0
    sites: int = 0


class Peers:
    """All daemons that are served now, by the identity of their connection.

    gone     daemons that left, or could not be reached any more, since the start
    clashes  times that a daemon began to send a site that another one sends
    """

    def __init__(self, send: Send) -> None:
        self.gone = 0
        self.clashes = 0
        self._send = send
        self._peers: dict[bytes, Peer] = {}
        self._senders: dict[str, set[bytes]] = {}

    def __len__(self) -> int:
        return len(self._peers)

    def __contains__(self, identity: object) -> bool:
        return identity in self._peers

    def greet(self, identity: bytes, hello: Mapping[str, Any]) -> Peer:
        """Take a daemon in.

        Raises:
            RefusedError: when it, or one that is here, must be alone.
        """
        name, life = (str(hello[key])[:LONGEST_NAME] for key in ("daemon", "life"))
        new = Peer(name, life, bool(hello["lockstep"]))
        for other, peer in list(self._peers.items()):
            if other == identity or peer.life == new.life:
                self._drop(other)
        for peer in self._peers.values():
            if new.lockstep or peer.lockstep:
                alone, many = (new, peer) if new.lockstep else (peer, new)
                raise RefusedError(
                    f"lock-step (--speed max) is with one daemon alone: {alone.name} asks for it, "
                    f"and {many.name} is there; give one of them a learner of its own"
                )
        self._peers[identity] = new
        return new

    def tell(self, identity: bytes, message: list[Any]) -> None:
        """Send to one daemon; one that is not there any more is gone."""
        if not self._send(identity, message) and identity in self._peers:
            self._drop(identity)
            self.gone += 1

    def tell_all(self, message: list[Any]) -> None:
        """Send to every daemon."""
        for identity in list(self._peers):
            self.tell(identity, message)

    def take(self, identity: bytes) -> int:
        """One more message of this daemon is dealt with; returns how many since its hello."""
        self._peers[identity].taken += 1
        return self._peers[identity].taken

    def sends(self, identity: bytes, site: str) -> list[str]:
        """Note who sends a site; at a daemon's first time, the names of others who send it.

        Raises:
            FrameError: `too_many_sites`, when it would be one too many of this daemon.
        """
        senders = self._senders.get(site, set())
        if identity in senders:
            return []
        peer = self._peers[identity]
        if peer.sites >= MOST_SITES:
            raise FrameError("too_many_sites", f"a daemon may have {MOST_SITES} here")
        peer.sites += 1
        self._senders[site] = senders
        others = sorted(self._peers[other].name for other in senders)
        senders.add(identity)
        self.clashes += bool(others)
        return others

    def name(self, identity: bytes) -> str:
        """What a daemon that is here calls itself."""
        return self._peers[identity].name

    def life(self, identity: bytes) -> str:
        """What tells a daemon that is here from any other, over all its connections."""
        return self._peers[identity].life

    def _drop(self, identity: bytes) -> None:
        del self._peers[identity]
        for site, senders in list(self._senders.items()):
            senders.discard(identity)
            if not senders:
                del self._senders[site]
