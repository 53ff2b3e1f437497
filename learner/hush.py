"""Keeps libraries from writing to standard error by themselves.

libjpeg says a line of each image that is not quite whole. Whoever sends such images would fill a
disk with these; what is wrong with an image that cannot be used is said within bounds, elsewhere.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

STDERR = 2
_one_at_a_time = threading.Lock()


def own_stderr() -> TextIO:
    """A stream to where standard error leads, for what is to be said also while it is hushed."""
    return os.fdopen(os.dup(STDERR), "w", buffering=1)


@contextmanager
def hushed() -> Iterator[None]:
    """What is written to the descriptor of standard error meanwhile goes nowhere."""
    with _one_at_a_time:
        try:
            before = os.dup(STDERR)
        except OSError:  # there is none
            yield
            return
        nowhere = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        os.dup2(nowhere, STDERR)
        os.close(nowhere)
        try:
            yield
        finally:
            os.dup2(before, STDERR)
            os.close(before)
