"""The daemon's endpoints: free, or taken by whom."""

import errno
import json
import os
import re
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from typing import Any, Protocol

from rvsense import addresses, ipc, state
from rvsense.config import Config
from rvsense.doctor.findings import Finding

PATIENCE_S = 2.0
LISTENING = "0A"
MOST_BYTES = 4_000_000
"""Of a page; what holds the port may be anything."""
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""A proxy of the environment knows nothing of the daemon here."""


class Readable(Protocol):
    """A reply's body."""

    def read1(self, n: int = ..., /) -> bytes:
        """What is there, so many bytes at most; empty at the end."""


def endpoints(config: Config) -> Iterator[Finding]:
    """Each place that the daemon would listen at."""
    wanted = config.endpoints
    ours = running(wanted.http)
    for name in ("intake", "results", "requests", "http"):
        where: str = getattr(wanted, name)
        flag = f"choose another with --{name}"
        if way := ipc.in_the_way(where):
            if ours is not None and where in ours["endpoints"].values():
                yield _own(name, where, ours, config)
            else:
                yield Finding(f"port {name}", "bad", f"{where} {way}", flag)
        elif (place := _tcp(where)) is None:
            yield Finding(f"port {name}", "good", f"{where}: nothing to be in the way")
        elif (problem := _in_the_way(*place)) is None:
            yield Finding(f"port {name}", "good", f"{where} is free")
        elif isinstance(problem, socket.gaierror) and name != "http":
            text = f"{where}: {place[0]} is no address; of an interface it cannot be told"
            yield Finding(f"port {name}", "note", text)
        elif ours is not None and where in (*ours["endpoints"].values(), wanted.http):
            yield _own(name, where, ours, config)
        else:
            text = f"{where}: {str(problem.strerror).lower()}"
            if problem.errno == errno.EADDRINUSE:
                text += f", taken by {_holder(place[1])}"
            yield Finding(f"port {name}", "bad", text, flag)


def _own(name: str, where: str, status: dict[str, Any], config: Config) -> Finding:
    """A port that a daemon has: this one, or one with another state directory."""
    # systemd's /var/lib/rvsense is a link into /var/lib/private.
    if Path(status["state_dir"]).resolve() == state.state_dir(config).resolve():
        return Finding(f"port {name}", "good", f"{where}: the daemon that runs has it")
    text = f"{where}: the daemon of {status['state_dir']} has it"
    return Finding(f"port {name}", "warn", text, f"for a second daemon: --{name}, or stop that one")


def daemon(config: Config) -> Iterator[Finding]:
    """The daemon that holds the state directory, or answers where one would: how it is."""
    held_by = state.holder(state.state_dir(config))
    there = {} if held_by is None else held_by.endpoints
    http = there.get("http", config.endpoints.http)
    status = running(http)
    if status is None:
        yield Finding("daemon", "note", f"none answers at {http}", facts={"running": False})
        return
    ready, reasons = _ready(http)
    text = f"version {status['version']}, process {status['pid']}, state {status['state_dir']}"
    known = {name: status[name] for name in ("version", "pid", "state_dir", "endpoints")}
    facts = {"running": True, "ready": ready, "http": http, **known}
    if ready:
        yield Finding("daemon", "good", f"{text}: ready", facts=facts)
    else:
        yield Finding("daemon", "warn", f"{text}: not ready", "; ".join(reasons), facts)


def running(http: str) -> dict[str, Any] | None:
    """`/statusz` of the rvsense at HOST:PORT, or None."""
    _, page = _get(http, "/statusz")
    try:
        status: dict[str, Any] = json.loads(page)
        return status if {"version", "pid", "endpoints", "state_dir"} <= status.keys() else None
    except (ValueError, AttributeError):
        return None


def _ready(http: str) -> tuple[bool, list[str]]:
    status, page = _get(http, "/readyz")
    try:
        checks = json.loads(page)["checks"]
        bad = [f"{check['name']}: {check['reason']}" for check in checks if not check["ok"]]
    except (ValueError, KeyError, TypeError, AttributeError):
        bad = [page[:200]]
    return status == 200, bad


def _get(http: str, path: str) -> tuple[int, str]:
    """Status and body; (0, "") when nobody answers."""
    try:
        with _opened(f"http://{http}{path}") as reply:
            return int(reply.status), _body(reply)
    except (OSError, ValueError, HTTPException):
        return 0, ""


def _opened(url: str) -> Any:
    """The reply, whatever its status."""
    try:
        return OPENER.open(url, timeout=PATIENCE_S)
    except urllib.error.HTTPError as error:
        return error


def _body(reply: Readable) -> str:
    """As much of it as comes in time."""
    ends, body = time.monotonic() + PATIENCE_S, b""
    while len(body) < MOST_BYTES and time.monotonic() < ends and (piece := reply.read1(65536)):
        body += piece
    return body.decode(errors="replace")


def _tcp(where: str) -> tuple[str, int] | None:
    """Host and port, where a fixed one is asked for."""
    if where.startswith("ipc://") or addresses.fixed_port(where) is None:
        return None
    return addresses.split_host_port(where.removeprefix("tcp://"))


def _in_the_way(host: str, port: int) -> OSError | None:
    """Why nothing can listen there; None when it can."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return error
    return None


def _listener(port: int) -> int | None:
    """The process that listens on a port, where this user may see it."""
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            row = line.split()
            if row[3] == LISTENING and int(row[1].rpartition(":")[2], 16) == port:
                inodes.add(f"socket:[{row[9]}]")
    for folder in Path("/proc").glob("[0-9]*/fd"):
        try:
            if any(os.readlink(link) in inodes for link in folder.iterdir()):
                return int(folder.parent.name)
        except OSError:
            continue  # another user's, or gone
    return None


def _holder(port: int) -> str:
    """The process that listens there, as far as this user may know."""
    pid = _listener(port)
    if pid is not None:
        with suppress(OSError):  # gone since
            return f"process {pid} ({_command(pid)})"
    return "another process or user"


def _command(pid: int) -> str:
    words = Path(f"/proc/{pid}/cmdline").read_text(errors="replace").split("\0")
    return re.sub(r"[^\x20-\x7e]", "?", " ".join(words)).strip()[:60]
