"""SIGINT and SIGTERM stop the daemon, SIGHUP reloads its configuration."""

import signal
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

from rvsense.daemon.loop import Loop
from rvsense.errors import ConfigError


class Signals:
    """Notes signals from the first moment on; they are acted upon between two turns."""

    def __init__(self) -> None:
        self.stop = False
        self.hangup = False
        self._wake: Callable[[], None] | None = None
        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        self._before = {number: signal.signal(number, self._came) for number in numbers}

    def wake_with(self, wake: Callable[[], None]) -> None:
        """Call this, too, when a signal comes: somebody waits in a poll."""
        self._wake = wake

    def act(self, loop: Loop) -> None:
        """Stop or reload as asked; a bad configuration was logged and keeps the old."""
        loop.stopping = loop.stopping or self.stop
        if self.hangup:
            self.hangup = False
            with suppress(ConfigError):
                loop.reload()

    def restore(self) -> None:
        """Put the handlers back that were there before."""
        for number, old in self._before.items():
            signal.signal(number, old)

    def _came(self, number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGHUP:
            self.hangup = True
        else:
            self.stop = True
        if self._wake is not None:
            self._wake()
