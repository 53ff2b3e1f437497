"""One learner per state directory: two would restore, save and prune the same files.

A daemon that is killed leaves its learner behind for a moment, which then saves: whoever comes
after it waits. The kernel lets go of the lock however a process ends.
"""

import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from rvsense import atomic
from rvsense.errors import ConfigError

NAME = "learner.lock"
"""Beside checkpoints/, not in it: that folder is renamed when its work is set aside."""
WAIT_S = 60.0
RETRY_S = 0.1


@contextmanager
def only_learner(
    state_dir: Path, must_stop: Callable[[], bool], wait_s: float = WAIT_S
) -> Iterator[bool]:
    """Hold `state_dir` for the body; False when `must_stop` ended the wait for it.

    Raises:
        ConfigError: when another learner still holds it after `wait_s`.
    """
    atomic.make_folder(state_dir)
    give_up_at = time.monotonic() + wait_s
    with (state_dir / NAME).open("w") as lock:
        while not (held := _take(lock)) and not must_stop():
            if time.monotonic() >= give_up_at:
                raise ConfigError(
                    f"state directory {state_dir} is in use by another learner; stop that one "
                    "or choose another with --state-dir"
                )
            time.sleep(RETRY_S)
        yield held


def _take(lock: TextIO) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
