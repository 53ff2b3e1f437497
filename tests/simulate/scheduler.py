"""One thread, many coroutines, one clock: who goes next is drawn, and time moves when all wait.

A task belongs to a process. A process that is killed never runs again: its coroutines stay where
they are, and what they still try to do (clean up, say) ends at the first thing that would wait or
touch the disk.
"""

import heapq
import random
from collections.abc import Callable
from typing import Any

from greenlet import GreenletExit, getcurrent, greenlet

START_NS = 1_000_000_000_000
SWITCH_SHARE = 0.15
"""How often a lock or a queue lets another task go first."""


class Process:
    """What is killed as a whole."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.alive = True


class Task:
    """One coroutine."""

    __slots__ = ("coroutine", "ended", "name", "process", "ready", "turn", "woken")

    def __init__(self, name: str, process: Process, coroutine: Any) -> None:
        self.name, self.process, self.coroutine = name, process, coroutine
        self.ended = self.ready = self.woken = False
        self.turn = 0


class Scheduler:
    """Runs tasks and timers; `after_event` is called after each.

    Args:
        chance: decides which of the tasks that can run does.
    """

    def __init__(self, chance: random.Random) -> None:
        self.now_ns = START_NS
        self.events = 0
        self.current: Task | None = None
        self.after_event: Callable[[], None] = lambda: None
        self._chance = chance
        self._hub = getcurrent()
        self._ready: list[Task] = []
        self._timers: list[tuple[int, int, Callable[[], None]]] = []
        self._timer_count = 0
        self._tasks: list[Task] = []

    def spawn(self, name: str, process: Process, function: Callable[[], None]) -> Task:
        """A task that begins soon."""
        task = Task(name, process, None)

        def body() -> None:
            try:
                function()
            finally:
                task.ended = True

        task.coroutine = greenlet(body, self._hub)
        self._tasks.append(task)
        self._make_ready(task)
        return task

    def at(self, at_ns: int, function: Callable[[], None]) -> None:
        """Call a function at a moment; it must not wait."""
        self._timer_count += 1
        heapq.heappush(self._timers, (max(at_ns, self.now_ns), self._timer_count, function))

    def after(self, seconds: float, function: Callable[[], None]) -> None:
        """Call a function in so many seconds; it must not wait."""
        self.at(self.now_ns + round(seconds * 1e9), function)

    def park(self, until_ns: int | None = None) -> bool:
        """Let the current task wait for `wake`; False when the time came first."""
        task = self.current
        assert task is not None
        task.woken = False
        task.turn += 1
        if until_ns is not None:
            turn = task.turn
            self.at(until_ns, lambda: self._time_out(task, turn))
        self._hub.switch()
        self.must_live()
        return task.woken

    def wake(self, task: Task) -> None:
        """Let a task that waits go on."""
        if not task.ready and not task.ended:
            task.woken = True
            self._make_ready(task)

    def sleep(self, seconds: float) -> None:
        """Let time pass for the current task."""
        self.park(self.now_ns + round(seconds * 1e9))

    def pause(self) -> None:
        """Perhaps let other tasks go first."""
        task = self.current
        if task is None:
            return
        self.must_live()
        if self._ready and self._chance.random() < SWITCH_SHARE:
            self._make_ready(task)
            self._hub.switch()
            self.must_live()

    def must_live(self) -> None:
        """End here what belongs to a process that was killed."""
        if self.current is not None and not self.current.process.alive:
            raise GreenletExit

    def end(self) -> None:
        """Let go of every task; one that is left standing would keep all that it knows."""
        for task in self._tasks:
            task.process.alive = False
        for task in self._tasks:
            if not task.ended:
                self.current = task
                task.coroutine.throw(GreenletExit)
        self.current = None
        self._tasks.clear()
        self._ready.clear()
        self._timers.clear()

    def run(self, until_ns: int) -> None:
        """Let everything happen up to a moment."""
        while True:
            if self._ready:
                self._step(self._draw())
            elif self._timers and self._timers[0][0] <= until_ns:
                self.now_ns, _, function = heapq.heappop(self._timers)
                function()
            else:
                self.now_ns = max(self.now_ns, until_ns)
                return
            self.events += 1
            self.after_event()

    def _draw(self) -> Task:
        ready = self._ready
        if len(ready) > 1:
            at = int(self._chance.random() * len(ready))
            ready[at], ready[-1] = ready[-1], ready[at]
        return ready.pop()

    def _step(self, task: Task) -> None:
        task.ready = False
        if task.ended or not task.process.alive:
            return
        self.current = task
        try:
            task.coroutine.switch()
        finally:
            self.current = None

    def _make_ready(self, task: Task) -> None:
        task.turn += 1
        task.ready = True
        self._ready.append(task)

    def _time_out(self, task: Task, turn: int) -> None:
        if task.turn == turn and not task.ready and not task.ended:
            self._make_ready(task)
