"""Who may come in: the server's half of ZeroMQ's authentication protocol. No I/O here.

Before a handshake ends, libzmq asks `[version, request, entrance, address, routing id, mechanism,
key]` and is told `[version, request, status, text, user id, metadata]` (RFC 27/ZAP). Whatever is
not a known key of a role that this entrance takes is turned away with one and the same word: who
knocks learns nothing about who else may.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

VERSION = b"1.0"
MECHANISM = b"CURVE"

ENTRANCES: Mapping[str, tuple[str, ...]] = {
    "intake": ("device",),
    "results": ("subscriber", "operator"),
    "requests": ("operator",),
    "learner": ("daemon",),
}
"""Entrance → the roles that it takes."""

REASONS = (
    "unknown_key",  # nobody's
    "wrong_role",  # somebody's, who has no business here
    "revoked",  # was let in before its key was revoked; cut off now
    "handshake",  # no keys at all, not for this server, or not ZeroMQ
    "full",  # there are too many already
    "topics",  # subscribed more often than anybody needs to; cut off
    "flood",  # a message without end, or what nobody asked for; cut off
)


@dataclass(frozen=True, slots=True)
class Allowed:
    """One who may come in; `public` as 40 characters (Z85)."""

    role: str
    name: str
    public: bytes

    @property
    def user(self) -> str:
        """As ZeroMQ hands it on with every message: `device/north/` and the key's beginning.

        Who gets a new key under the old name is another: what the old key has open is cut off.
        """
        return f"{self.role}/{self.name}/{fingerprint(self.public)}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to answer, and what to say of it; `reason` is None for who may come in."""

    reply: list[bytes]
    entrance: str
    address: str
    who: Allowed | None
    reason: str | None


def fingerprint(public: bytes) -> str:
    """The beginning of a public key (Z85): enough for people to tell two apart."""
    return public[:8].decode()


class Gate:
    """Decides by key and entrance; `users` are all who may come in somewhere.

    Args:
        allowed: by public key, as the 32 bytes that are sent.
    """

    def __init__(self, allowed: Mapping[bytes, Allowed]) -> None:
        self.replace(allowed)

    def replace(self, allowed: Mapping[bytes, Allowed]) -> None:
        """Go by this list from now on."""
        self._allowed = dict(allowed)
        self.users = frozenset(one.user for one in allowed.values())

    def judge(self, request: Sequence[bytes]) -> Verdict:
        """The verdict on a request, which comes from libzmq and is in form."""
        _, asked, domain, address, _, mechanism, *keys = request
        who = self._allowed.get(keys[0]) if mechanism == MECHANISM else None
        entrance = domain.decode()
        reason = _reason(who, entrance)
        status = (b"200", b"OK") if reason is None else (b"400", b"denied")
        user = b"" if who is None or reason else who.user.encode()
        reply = [VERSION, asked, *status, user, b""]
        return Verdict(reply, entrance, address.decode(), who, reason)

    def counts(self) -> dict[str, int]:
        """How many are allowed, by role."""
        roles = {role for taken in ENTRANCES.values() for role in taken}
        given = [one.role for one in self._allowed.values()]
        return {role: given.count(role) for role in sorted(roles)}


def _reason(who: Allowed | None, entrance: str) -> str | None:
    if who is None:
        return "unknown_key"
    return None if who.role in ENTRANCES.get(entrance, ()) else "wrong_role"
