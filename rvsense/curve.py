"""CURVE keys as files, and sockets that speak with them (RFC 26/CurveZMQ).

A key is one line of 40 characters (Z85), as every ZeroMQ library takes it. A client has a folder:

    client.key   its secret, which nobody else may read
    client.pub   what a daemon allows it by
    server.pub   the daemon that it trusts

`use(socket, client_keys(folder))` before `connect` is all that a client needs; rvsense.handshake
does it and watches what comes of it.
"""

import contextlib
import os
import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zmq
from zmq.utils import z85

from rvsense import atomic
from rvsense.errors import ConfigError

CLIENT_SECRET, CLIENT_PUBLIC = "client.key", "client.pub"
SERVER_SECRET, SERVER_PUBLIC = "server.key", "server.pub"
VARIABLE = "RVSENSE_KEYS"
CREDENTIALS = "CREDENTIALS_DIRECTORY"
"""Where systemd's LoadCredential= puts files that the service alone can read."""

KEY = re.compile(rb"[0-9a-zA-Z.\-:+=^!/*?&<>()\[\]{}@%$#]{40}")


@dataclass(frozen=True, slots=True)
class Pair:
    """A key pair, both halves as Z85 text of 40 bytes."""

    public: bytes
    secret: bytes

    def __repr__(self) -> str:
        return f"Pair({self.public.decode()})"  # the secret must not end up in a log


@dataclass(frozen=True, slots=True)
class ClientKeys:
    """Who a client is, and which server it trusts."""

    own: Pair
    server: bytes


def new_pair() -> Pair:
    """A fresh pair, out of the system's random source."""
    return Pair(*zmq.curve_keypair())


def write_public(path: Path, key: bytes) -> None:
    """Write a public key, which anybody may read."""
    atomic.write_file(path, key + b"\n", mode=0o644)


def write_secret(path: Path, key: bytes) -> None:
    """Write a secret key that nobody but the owner can read, not even for a moment.

    Raises:
        FileExistsError: a secret is never written over.
        OSError: from the disk; nothing of it is there then.
    """
    atomic.write_new_file(path, key + b"\n", mode=0o600)


def read_public(path: Path) -> bytes:
    """The public key in a file.

    Raises:
        ConfigError: naming the file.
    """
    return parse(path, _read(path))


def read_pair(path: Path) -> Pair:
    """The pair of the secret key in a file.

    Raises:
        ConfigError: naming the file; also when others than its owner may read it.
    """
    data, mode = _read(path), _mode(path)
    # systemd guards its credentials by an access list, whose mask looks like group bits.
    if not _is_credential(path) and mode & 0o077:
        raise ConfigError(f"{path}: others may read this secret key; chmod 600 {path}")
    secret = parse(path, data)
    return Pair(zmq.curve_public(secret), secret)


def client_keys(
    folder: str | os.PathLike[str] | None, environ: Mapping[str, str] = os.environ
) -> ClientKeys | None:
    """The keys in `folder`, else in $RVSENSE_KEYS, else among systemd's credentials; else None.

    Raises:
        ConfigError: a folder is named and its keys cannot be used.
    """
    if not folder:
        folder = environ.get(VARIABLE) or None
    if folder is None and (credentials := environ.get(CREDENTIALS)):
        folder = credentials if (Path(credentials) / CLIENT_SECRET).exists() else None
    if folder is None:
        return None
    path = Path(folder).expanduser()
    return ClientKeys(read_pair(path / CLIENT_SECRET), read_public(path / SERVER_PUBLIC))


def use(socket: "zmq.Socket[Any]", keys: ClientKeys) -> None:
    """Let a client's socket speak CURVE with these keys."""
    socket.setsockopt(zmq.CURVE_PUBLICKEY, keys.own.public)
    socket.setsockopt(zmq.CURVE_SECRETKEY, keys.own.secret)
    socket.setsockopt(zmq.CURVE_SERVERKEY, keys.server)


def parse(source: object, data: bytes) -> bytes:
    """The key that `data` holds, as 40 characters; `source` is what an error names.

    Raises:
        ConfigError: it holds none.
    """
    key = data.strip()
    try:
        if not KEY.fullmatch(key):
            raise ValueError
        z85.decode(key)
    except (ValueError, struct.error):  # five characters may be more than four bytes hold
        raise ConfigError(
            f"{source}: holds no key; one line of 40 characters (Z85) expected"
        ) from None
    return key


def _read(path: Path) -> bytes:
    with _readable(path):
        return path.read_bytes()


def _mode(path: Path) -> int:
    with _readable(path):
        return path.stat().st_mode


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        remedy = "`rvsense keys` makes keys"
        if isinstance(error, PermissionError):
            remedy = "its owner can; a service is handed it by the drop-in curve.conf"
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); {remedy}") from None


def _is_credential(path: Path) -> bool:
    with contextlib.suppress(KeyError):
        return path.parent.resolve() == Path(os.environ[CREDENTIALS]).resolve()
    return False
