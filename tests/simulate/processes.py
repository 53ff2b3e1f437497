"""What the daemon spawns: it can be killed, frozen, and waited for."""

import io
import subprocess
from collections.abc import Callable
from typing import Any

from rvsense.stopping import HURRY
from tests.simulate.scheduler import Process, Scheduler, Task


class Spawned:
    """As subprocess.Popen, of one coroutine.

    Args:
        main: what it does; its value is the exit status.
        on_term: what SIGTERM does; None = the end.
        on_end: called once it has ended, however it did.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        name: str,
        pid: int,
        main: Callable[["Spawned"], int],
        *,
        on_term: Callable[[], None] | None = None,
        on_end: Callable[[], None] = lambda: None,
    ) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self.stdout = io.StringIO()
        self.frozen_until_ns = 0
        self.process = Process(name)
        self._scheduler, self._main = scheduler, main
        self._on_term, self._on_end = on_term, on_end
        self._waiting: list[Task] = []
        scheduler.spawn(name, self.process, self._run)

    def poll(self) -> int | None:
        """As Popen's."""
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """As Popen's."""
        if self.returncode is None:
            scheduler = self._scheduler
            assert scheduler.current is not None
            self._waiting.append(scheduler.current)
            until_ns = None if timeout is None else scheduler.now_ns + round(timeout * 1e9)
            scheduler.park(until_ns)
        if self.returncode is None:
            raise subprocess.TimeoutExpired(self.process.name, timeout or 0.0)
        return self.returncode

    def terminate(self) -> None:
        """As Popen's."""
        if self._on_term is None:
            self.end(-15)
        else:
            self._on_term()

    def send_signal(self, number: int) -> None:
        """As Popen's. Of those that are no end: nothing here is done by halves."""
        assert number == HURRY

    def kill(self) -> None:
        """As Popen's."""
        self.end(-9)

    def end(self, status: int) -> None:
        """It is over, from one instant to the next."""
        if self.returncode is not None:
            return
        self.returncode = status
        self.process.alive = False
        self._on_end()
        for task in self._waiting:
            self._scheduler.wake(task)

    def freeze(self, seconds: float) -> None:
        """Let it hang for a while."""
        self.frozen_until_ns = self._scheduler.now_ns + round(seconds * 1e9)

    def thaw(self) -> None:
        """Wait here while it hangs; to be called by what it does."""
        while self._scheduler.now_ns < self.frozen_until_ns:  # a message wakes it for nothing
            self._scheduler.park(self.frozen_until_ns)

    def _run(self) -> None:
        status = self._main(self)
        self._scheduler.at(self._scheduler.now_ns, lambda: self.end(status))


class Ports:
    """Numbers for processes."""

    def __init__(self) -> None:
        self._last = 100

    def next(self) -> int:
        """A new one."""
        self._last += 1
        return self._last


def option(command: list[str], name: str) -> Any:
    """The value of a command line's option."""
    return command[command.index(name) + 1]
