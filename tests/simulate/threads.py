"""`threading`, `queue` and futures for coroutines: the parts of them that the daemon uses."""

from collections import deque
from collections.abc import Callable
from queue import Empty
from typing import Any

from tests.simulate.scheduler import Scheduler, Task


class BusyError(Exception):
    """The scheduler itself wants a lock that a task holds."""


class Threads:
    """Makes what the modules would make by these two modules.

    Attributes are the classes, so that a module finds `threading.Thread` and `queue.Queue`.
    """

    Empty = Empty

    def __init__(self, scheduler: Scheduler) -> None:
        def bound(kind: Any) -> Any:
            return type(kind.__name__, (kind,), {"scheduler": scheduler})

        self.Thread = bound(Thread)
        self.Lock = bound(Lock)
        self.Condition = bound(Condition)
        self.Event = bound(Event)
        self.Queue = bound(Queue)
        self.SimpleQueue = bound(Queue)
        self.Future = bound(Future)


class _Waits:
    scheduler: Scheduler

    def _park(self, waiting: deque[Task], timeout: float | None) -> bool:
        scheduler = self.scheduler
        task = scheduler.current
        assert task is not None, "the scheduler itself cannot wait"
        waiting.append(task)
        until_ns = None if timeout is None else scheduler.now_ns + round(timeout * 1e9)
        woken = scheduler.park(until_ns)
        if not woken:
            waiting.remove(task)
        return woken

    def _wake(self, waiting: deque[Task], count: int) -> None:
        while waiting and count:
            self.scheduler.wake(waiting.popleft())
            count -= 1


class Lock(_Waits):
    """A lock that its holder may take again."""

    def __init__(self) -> None:
        self._holder: Task | None = None
        self._depth = 0
        self._waiting: deque[Task] = deque()

    def acquire(self) -> bool:
        """As threading's."""
        self.scheduler.pause()
        task = self.scheduler.current
        if task is None and self._holder is not None:
            raise BusyError
        while self._holder is not None and self._holder is not task:
            self._park(self._waiting, None)
        self._holder = task
        self._depth += 1
        return True

    def release(self) -> None:
        """As threading's."""
        self._depth -= 1
        if not self._depth:
            self._holder = None
            self._wake(self._waiting, 1)

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


class Condition(Lock):
    """With a lock of its own."""

    def __init__(self) -> None:
        super().__init__()
        self._hoping: deque[Task] = deque()

    def wait(self, timeout: float | None = None) -> bool:
        """As threading's."""
        depth, self._depth = self._depth, 1
        self.release()
        woken = self._park(self._hoping, timeout)
        self.acquire()
        self._depth = depth
        return woken

    def wait_for(self, true: Callable[[], Any], timeout: float | None = None) -> Any:
        """As threading's."""
        until_ns = None if timeout is None else self.scheduler.now_ns + timeout * 1e9
        while not (value := true()):
            left_s = None if until_ns is None else (until_ns - self.scheduler.now_ns) / 1e9
            if left_s is not None and left_s <= 0:
                break
            self.wait(left_s)
        return value

    def notify(self, n: int = 1) -> None:
        """As threading's."""
        self._wake(self._hoping, n)

    def notify_all(self) -> None:
        """As threading's."""
        self._wake(self._hoping, len(self._hoping))


class Event(_Waits):
    """A flag."""

    def __init__(self) -> None:
        self._set = False
        self._waiting: deque[Task] = deque()

    def set(self) -> None:
        """As threading's."""
        self._set = True
        self._wake(self._waiting, len(self._waiting))

    def is_set(self) -> bool:
        """As threading's."""
        return self._set

    def clear(self) -> None:
        """As threading's."""
        self._set = False

    def wait(self, timeout: float | None = None) -> bool:
        """As threading's."""
        if not self._set:
            self._park(self._waiting, timeout)
        return self._set


class Thread(_Waits):
    """A task of the process that starts it."""

    def __init__(
        self,
        target: Callable[..., Any],
        name: str = "",
        args: tuple[Any, ...] = (),
        daemon: bool | None = None,
    ) -> None:
        self.name = name
        self._target, self._args = target, args
        self._task: Task | None = None
        self._joining: deque[Task] = deque()

    def start(self) -> None:
        """As threading's."""
        assert self.scheduler.current is not None
        self._task = self.scheduler.spawn(self.name, self.scheduler.current.process, self._run)

    def is_alive(self) -> bool:
        """As threading's."""
        return self._task is not None and not self._task.ended

    def join(self, timeout: float | None = None) -> None:
        """As threading's."""
        if self.is_alive():
            self._park(self._joining, timeout)

    def _run(self) -> None:
        self._target(*self._args)
        self._wake(self._joining, len(self._joining))


class Queue(_Waits):
    """Unbounded; both of queue's kinds."""

    def __init__(self) -> None:
        self.unfinished_tasks = 0
        self._items: deque[Any] = deque()
        self._waiting: deque[Task] = deque()

    @classmethod
    def __class_getitem__(cls, item: Any) -> Any:
        return cls

    def put(self, item: Any) -> None:
        """As queue's."""
        self._items.append(item)
        self.unfinished_tasks += 1
        self._wake(self._waiting, 1)
        self.scheduler.pause()

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """As queue's."""
        self.scheduler.pause()
        while not self._items:
            if not block or (not self._park(self._waiting, timeout) and timeout is not None):
                raise Empty
        return self._items.popleft()

    def get_nowait(self) -> Any:
        """As queue's."""
        return self.get(block=False)

    def empty(self) -> bool:
        """As queue's."""
        return not self._items

    def qsize(self) -> int:
        """As queue's."""
        return len(self._items)

    def task_done(self) -> None:
        """As queue's."""
        self.unfinished_tasks -= 1


class Future(_Waits):
    """A value that comes."""

    def __init__(self) -> None:
        self._value: tuple[Any] | None = None
        self._waiting: deque[Task] = deque()

    @classmethod
    def __class_getitem__(cls, item: Any) -> Any:
        return cls

    def set_result(self, value: Any) -> None:
        """As concurrent.futures'."""
        self._value = (value,)
        self._wake(self._waiting, len(self._waiting))

    def result(self, timeout: float | None = None) -> Any:
        """As concurrent.futures'."""
        if self._value is None:
            self._park(self._waiting, timeout)
        if self._value is None:
            raise TimeoutError
        return self._value[0]
