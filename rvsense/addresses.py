"""What an address may look like: ZeroMQ endpoints to bind, and HOST:PORT. No look-ups."""

import ipaddress
import re

ENDPOINT_FORM = "tcp://HOST:PORT (PORT 0 or * picks a free one) or ipc://PATH"
PEER_FORM = "tcp://HOST:PORT or ipc://PATH"
HOST_PORT_FORM = "HOST:PORT (PORT 0 picks a free one, an IPv6 HOST stands in [brackets])"
MAX_IPC_PATH_BYTES = 107
"""What fits into the kernel's sun_path with its closing zero."""

_HOST = r"(?P<host>\*|\[[0-9A-Fa-f:.]+(?:%[\w.-]+)?\]|[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?)"
_TCP = re.compile(rf"tcp://{_HOST}:(?P<port>\*|[0-9]{{1,5}})", re.ASCII)
_HOST_PORT = re.compile(rf"{_HOST}:(?P<port>[0-9]{{1,5}})", re.ASCII)


def is_endpoint(text: str) -> bool:
    """Whether `text` is an endpoint that a ZeroMQ socket of another process can reach."""
    if text.startswith("ipc://"):
        path = text.removeprefix("ipc://").encode()
        return 0 < len(path) <= MAX_IPC_PATH_BYTES
    match = _TCP.fullmatch(text)
    return match is not None and (match["port"] == "*" or int(match["port"]) <= 65535)


def is_peer(text: str) -> bool:
    """Whether `text` is an endpoint to connect to: unlike one to bind, with nothing left open."""
    if not is_endpoint(text):
        return False
    match = _TCP.fullmatch(text)
    return match is None or (match["host"] != "*" and match["port"].strip("*0") != "")


def is_ipv6(endpoint: str) -> bool:
    """Whether a socket is to be told to speak IPv6 for this endpoint.

    Only where the address is written out: with IPv6 on ZeroMQ looks up a name for it alone, and
    `localhost` would miss who listens at 127.0.0.1.
    """
    return endpoint.startswith("tcp://[")


def split_host_port(text: str) -> tuple[str, int]:
    """`[::1]:9464` as (`::1`, 9464); the host `*` means every interface and becomes empty.

    Raises:
        ValueError: when `text` is not HOST_PORT_FORM.
    """
    match = _HOST_PORT.fullmatch(text)
    if match is None or int(match["port"]) > 65535:
        raise ValueError(f"{text!r} is not {HOST_PORT_FORM}")
    host = match["host"].strip("[]")
    return ("" if host == "*" else host), int(match["port"])


def is_local(text: str) -> bool:
    """Whether an endpoint or HOST:PORT to bind is out of reach for other machines.

    A name that would have to be looked up is taken to be within their reach.
    """
    if text.startswith("ipc://"):
        return True
    host = text.removeprefix("tcp://").rpartition(":")[0].strip("[]")
    if host in ("localhost", "lo"):
        return True
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


def fixed_port(text: str) -> str | None:
    """What of an endpoint or HOST:PORT two listeners cannot share; None where it is picked."""
    if text.startswith("ipc://"):
        return text
    host, _, port = text.removeprefix("tcp://").rpartition(":")
    return None if port == "*" or int(port) == 0 else f"{host}:{int(port)}"
