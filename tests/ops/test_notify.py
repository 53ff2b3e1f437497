"""What systemd is told, over a real datagram socket."""

import os
import re
import resource
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from rvsense.notify import Notifier


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    """A socket as the service manager has it, and the name it gives to its services."""
    name = str(tmp_path / "notify") if request.param == "path" else f"@rvsense-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind("\0" + name[1:] if name.startswith("@") else name)
        channel.settimeout(5)
        yield channel, name


def test_messages_arrive(manager: tuple[socket.socket, str]) -> None:
    """Each state is one datagram in sd_notify's form, to a path and to an abstract name."""
    channel, name = manager
    notifier = Notifier({"NOTIFY_SOCKET": name})
    notifier.ready("30 frames/s,\n0 dropped")
    notifier.status("idle")
    notifier.watchdog()
    notifier.stopping("SIGTERM")
    notifier.reloading()
    assert [channel.recv(4096).decode() for _ in range(4)] == [
        "READY=1\nSTATUS=30 frames/s, 0 dropped",
        "STATUS=idle",
        "WATCHDOG=1",
        "STOPPING=1\nSTATUS=SIGTERM",
    ]
    assert re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=\d+", channel.recv(4096).decode())


def test_nobody_listens(tmp_path: Path) -> None:
    """Without a service manager, or with one that went away, telling it costs nothing."""
    assert Notifier({}).watchdog_interval_s is None
    Notifier({}).ready("up")
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "gone")}).watchdog()


def test_neither_full_tables_nor_odd_text_stop_us(
    manager: tuple[socket.socket, str],
) -> None:
    """Without a descriptor left the watchdog is still fed; what is no Unicode is told as `?`."""
    channel, name = manager
    notifier = Notifier({"NOTIFY_SOCKET": name})
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))
        notifier.watchdog()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    notifier.status("north\udcff")
    assert [channel.recv(4096) for _ in range(2)] == [b"WATCHDOG=1", b"STATUS=north?"]


def test_manager_that_does_not_read(manager: tuple[socket.socket, str]) -> None:
    """A full socket never blocks the daemon, and what got in is still whole."""
    channel, name = manager
    notifier = Notifier({"NOTIFY_SOCKET": name})
    for _ in range(2000):
        notifier.watchdog()
    assert channel.recv(4096) == b"WATCHDOG=1"


@pytest.mark.parametrize(
    ("environ", "interval_s"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({}, None),
    ],
)
def test_watchdog_interval(environ: dict[str, str], interval_s: float | None) -> None:
    """Half the manager's limit, where the limit is meant for this process."""
    assert Notifier(environ).watchdog_interval_s == interval_s
