"""The data port of a DCA1000: a UDP socket whose kernel stamps every packet on arrival."""

import contextlib
import socket
import struct
import sys
import threading
from collections.abc import Iterator
from typing import Self

from rvsense.errors import UsageError

DATA_PORT = 4098
HOST = "192.168.33.30"
"""Where a DCA1000 sends to unless its EEPROM says otherwise."""

BUFFER_BYTES = 8 * 1024 * 1024
"""Eight CRUW frames: a quarter of a second in which nobody needs to look."""

# Linux's numbers; Python's socket module does not name them.
_SO_TIMESTAMPNS = 35
_SO_RXQ_OVFL = 40
_SO_RCVBUFFORCE = 33
_TIMESPEC = struct.Struct("@qq")
_COUNT = struct.Struct("@I")
_TIMEVAL = struct.Struct("@ll")
_LOOK_US = 200_000
_LARGEST = 2048
_SILENT_NS = 1_000_000_000


def open_port(host: str, port: int) -> socket.socket:
    """A bound socket; port 0 picks a free one.

    Raises:
        UsageError: this machine has not that address, or the port is taken.
    """
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.bind((host, port))
    except OSError as error:
        sock.close()
        raise UsageError(
            f"cannot listen on {host}:{port}: {error.strerror}; give the interface that faces the "
            "DCA1000 this address (192.168.33.30/24 as delivered), or name another by --listen"
        ) from None
    return sock


class Port:
    """Receives on a bound socket, which it takes over. `queue_drops` counts the kernel's.

    One sender is heard at a time, another one when it has been silent for a second: two streams
    would tear each other apart. The packets of others are counted as `strangers`.
    """

    def __init__(self, sock: socket.socket, frame_bytes: int, from_host: str = "") -> None:
        self.queue_drops = 0
        self.strangers = 0
        self._socket = sock
        self._from_host = from_host
        self._sender: tuple[str, int] | None = None
        self._heard_ns = 0
        wanted = max(BUFFER_BYTES, 4 * frame_bytes)
        with contextlib.suppress(PermissionError):  # beyond the system's limit, if we may
            sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, wanted)
        if sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) < wanted:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, wanted)
        if (got := sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)) < 2 * frame_bytes:
            print(
                f"rvsense device radar: the kernel buffers {got} bytes, less than two frames; "
                f"set sysctl net.core.rmem_max={wanted}, or packets will be lost",
                file=sys.stderr,
            )
        sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        sock.setsockopt(socket.SOL_SOCKET, _SO_RXQ_OVFL, 1)
        # One system call a packet, where Python's own timeout takes two.
        sock.settimeout(None)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _TIMEVAL.pack(0, _LOOK_US))

    def receive(self, stop: threading.Event) -> Iterator[tuple[bytes, int]]:
        """Packets and the nanoseconds since 1970 at which they came, until `stop` is set."""
        space = socket.CMSG_SPACE(_TIMESPEC.size) + socket.CMSG_SPACE(_COUNT.size)
        while not stop.is_set():
            try:
                packet, extras, _, sender = self._socket.recvmsg(_LARGEST, space)
            except (BlockingIOError, TimeoutError):
                continue
            stamp_ns = 0
            for _, kind, data in extras:
                if kind == _SO_TIMESTAMPNS:
                    seconds, nanoseconds = _TIMESPEC.unpack(data)
                    stamp_ns = seconds * 1_000_000_000 + nanoseconds
                elif kind == _SO_RXQ_OVFL:
                    (self.queue_drops,) = _COUNT.unpack(data)
            if self._hears(sender, stamp_ns):
                yield packet, stamp_ns
            else:
                self.strangers += 1

    def _hears(self, sender: tuple[str, int], stamp_ns: int) -> bool:
        if self._from_host and sender[0] != self._from_host:
            return False
        # A clock that is set, either way, is no reason to stay with one that is gone.
        if sender != self._sender and abs(stamp_ns - self._heard_ns) <= _SILENT_NS:
            return False
        self._sender, self._heard_ns = sender, stamp_ns
        return True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
