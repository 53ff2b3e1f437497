"""A ZeroMQ peer by hand (RFC 23/ZMTP 3.0, no security): it sends what libzmq never would."""

import socket
import struct

MORE, LONG, COMMAND = 1, 2, 4
GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)
WITHIN_S = 10.0


def connect(endpoint: str, kind: bytes) -> socket.socket:
    """A connection to `tcp://HOST:PORT` after the handshake, as PUSH, DEALER, SUB, ..."""
    host, _, port = endpoint.removeprefix("tcp://").rpartition(":")
    line = socket.create_connection((host.strip("[]"), int(port)), timeout=WITHIN_S)
    line.sendall(GREETING)
    _read(line, len(GREETING))
    body = b"\x05READY\x0bSocket-Type" + struct.pack(">I", len(kind)) + kind
    line.sendall(frame(body, COMMAND))
    _, size = _read(line, 2)
    _read(line, size)
    return line


def frame(body: bytes, flags: int = 0) -> bytes:
    """One part as it goes over the wire."""
    if len(body) < 256:
        return bytes([flags, len(body)]) + body
    return struct.pack(">BQ", flags | LONG, len(body)) + body


def _read(line: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        piece = line.recv(count - len(data))
        if not piece:
            raise ConnectionError("hung up in the handshake")
        data += piece
    return data
