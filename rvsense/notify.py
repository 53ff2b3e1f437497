"""Tell systemd how we are (sd_notify): one datagram of KEY=VALUE lines. No-op elsewhere."""

import contextlib
import os
import socket
import time
from collections.abc import Mapping


class Notifier:
    """Sends states to the service manager that `environ` names, if it names one.

    Sending never blocks and never raises: a service manager that is away or slow must not
    cost a frame. The protocol is sd_notify(3)'s.
    """

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        name = environ.get("NOTIFY_SOCKET", "")
        # A leading @ stands for the zero byte of Linux's abstract namespace.
        self._address = "\0" + name[1:] if name.startswith("@") else name
        self.watchdog_interval_s = _watchdog_interval_s(environ)
        # Opened once and kept: later there may be no descriptor left.
        self._channel = _channel() if self._address else None

    def ready(self, status: str) -> None:
        """Start-up (or a reload) is finished and frames are answered."""
        self._send(f"READY=1\nSTATUS={_line(status)}")

    def reloading(self) -> None:
        """A reload begins; `ready` ends it. The stamp is what Type=notify-reload asks for."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def status(self, status: str) -> None:
        """One line for `systemctl status`."""
        self._send(f"STATUS={_line(status)}")

    def watchdog(self) -> None:
        """Every loop made progress; to be called once per `watchdog_interval_s`."""
        self._send("WATCHDOG=1")

    def stopping(self, status: str) -> None:
        """Shutting down on purpose."""
        self._send(f"STOPPING=1\nSTATUS={_line(status)}")

    def _send(self, message: str) -> None:
        if self._channel is None:
            return
        with contextlib.suppress(OSError):
            self._channel.sendto(message.encode(errors="replace"), self._address)


def _channel() -> socket.socket | None:
    with contextlib.suppress(OSError):
        channel = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        channel.setblocking(False)
        return channel
    return None


def _watchdog_interval_s(environ: Mapping[str, str]) -> float | None:
    """Half of WatchdogSec=, as sd_watchdog_enabled(3) advises; None where none is asked of us."""
    timeout_us = environ.get("WATCHDOG_USEC", "")
    pid = environ.get("WATCHDOG_PID", "") or str(os.getpid())
    if not timeout_us.isdecimal() or int(timeout_us) == 0 or pid != str(os.getpid()):
        return None
    return int(timeout_us) / 2e6


def _line(status: str) -> str:
    return " ".join(status.split())
