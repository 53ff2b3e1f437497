"""Single keys from a terminal, without waiting for Enter and without showing them.

The terminal gets its ways back however the program ends, also by SIGTERM and by hanging up.
"""

import os
import re
import select
import signal
import sys
import termios
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

Pressed = Callable[[float], str]
"""Waits so many seconds for keys: those pressed, or "" when none was; END where none can be."""
END = "\x04"
_NAMED = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|O.)")
"""Keys that are no letter send several: `ESC O Q` is F2."""


@contextmanager
def keys() -> Iterator[Pressed]:
    """Keys while inside; where no keyboard is on standard input there are none.

    Raises:
        KeyboardInterrupt: inside, for SIGTERM and SIGHUP as for Ctrl-C. Where a finaliser has
            swallowed it, once more when keys are waited for.
    """
    came: list[int] = []

    def interrupt(number: int, _frame: object) -> None:
        came.append(number)
        raise KeyboardInterrupt

    def heeding(read: Pressed, wait_s: float) -> str:
        if came:
            raise KeyboardInterrupt
        return read(wait_s)

    signals = {number: signal.signal(number, interrupt) for number in ENDING}
    try:
        if sys.stdin.isatty():
            with _unbuffered(sys.stdin.fileno()) as read:
                yield partial(heeding, read)
        else:
            yield partial(heeding, _none)
    finally:
        for number, handler in signals.items():
            signal.signal(number, handler)


@contextmanager
def _unbuffered(handle: int) -> Iterator[Pressed]:
    before = termios.tcgetattr(handle)
    tty.setcbreak(handle)
    try:
        yield partial(_keys, handle)
    finally:
        termios.tcsetattr(handle, termios.TCSADRAIN, before)


def _keys(handle: int, wait_s: float) -> str:
    # Not through sys.stdin: what its buffer holds, select does not see.
    ready, _, _ = select.select([handle], [], [], wait_s)
    if not ready:
        return ""
    pressed = os.read(handle, 64).decode(errors="replace")
    return _NAMED.sub("", pressed) if pressed else END


def _none(wait_s: float) -> str:
    time.sleep(wait_s)
    return ""
