"""Whose connection is whose, so that one of them can be ended.

ZeroMQ asks who may come in at the handshake alone, and cannot end one connection out of many.
But every message tells who sent it and through which descriptor; shutting that down is to
ZeroMQ as if the peer had hung up. It connects again, and is judged again.
"""

import contextlib
import os
import socket
import struct
from dataclasses import dataclass

import zmq

_TCP_INFO_BYTES, _TCP_INFO_RECEIVED = 136, struct.Struct("=Q")
"""`struct tcp_info` of Linux up to `tcpi_bytes_received`, its last eight bytes."""


@dataclass(frozen=True, slots=True)
class Visit:
    """One connection; descriptors are used again, an inode of a socket is not while it lives."""

    user: str
    entrance: str
    inode: int


class Visitors:
    """The connections that something came through, by descriptor: as many as there are at once."""

    def __init__(self) -> None:
        self._visits: dict[int, Visit] = {}

    def saw(self, entrance: str, message: zmq.Frame) -> str:
        """Remember whence a message came; returns whose it is (`rvsense.gate.Allowed.user`)."""
        user, handle = str(message.get("User-Id")), int(message.get(zmq.SRCFD))
        # Looked at every time: one who comes again may get the same descriptor for another socket.
        with contextlib.suppress(OSError):  # it has gone already
            self._visits[handle] = Visit(user, entrance, os.fstat(handle).st_ino)
        return user

    def evict(self, user: str) -> list[str]:
        """End every connection of a user; returns the entrances where one was ended."""
        theirs = {handle: visit for handle, visit in self._visits.items() if visit.user == user}
        for handle in theirs:
            del self._visits[handle]
        ended = [visit for handle, visit in theirs.items() if hang_up(handle, visit.inode)]
        return sorted({visit.entrance for visit in ended})


def hang_up(handle: int, inode: int) -> bool:
    """End a connection, unless its descriptor is another's by now; returns whether it was ended."""
    try:
        with _copy(handle) as line:
            if os.fstat(line.fileno()).st_ino != inode:
                return False
            line.shutdown(socket.SHUT_RDWR)
    except OSError:  # it has gone already
        return False
    return True


def source_of(message: zmq.Frame) -> int | None:
    """The descriptor of the connection that a message came through; None where it tells of none."""
    try:
        return int(message.get(zmq.SRCFD))
    except zmq.ZMQError:
        return None


def received_bytes(handle: int) -> int | None:
    """How much has come in on a connection; None where the kernel keeps no such count."""
    try:
        # As family and kind are given, nothing is asked of the descriptor but the count.
        line = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0, fileno=handle)
    except OSError:
        return None
    try:
        info = line.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
        return int(_TCP_INFO_RECEIVED.unpack_from(info, _TCP_INFO_BYTES - 8)[0])
    except (OSError, struct.error):  # a path, which is the machine's own; or an old kernel
        return None
    finally:
        line.detach()


def _copy(handle: int) -> socket.socket:
    # A copy of the descriptor cannot become another's between the look and the end.
    copy = os.dup(handle)
    try:
        return socket.socket(fileno=copy)
    except OSError:  # no socket
        os.close(copy)
        raise
