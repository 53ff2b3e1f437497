"""Ctrl-C in a program of several processes: it reaches all of them, and only one is to decide."""

import signal
from collections.abc import Iterator
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
