"""Ctrl-C in a program of several processes: it reaches all of them, and only one is to decide."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def sigint_blocked() -> Iterator[None]:
    """Processes that start in here are born deaf to Ctrl-C, also while they still import.

    The start of multiprocessing's resource tracker unblocks it again: start that one before.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def interrupts() -> Iterator[Callable[[], None]]:
    """Gives a check that raises KeyboardInterrupt once Ctrl-C has come.

    Python's own handler raises wherever the signal finds it, also in a finaliser, where the
    exception is lost and the run would go on.
    """
    came: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None  # signals are none of this thread's business
        return

    def check() -> None:
        if came:
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, lambda number, _: came.append(number))
    try:
        yield check
    finally:
        signal.signal(signal.SIGINT, before)
