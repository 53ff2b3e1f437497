"""The learner steps back where cores are short, and goes first where memory is."""

import os
import time
from contextlib import suppress
from pathlib import Path

GROUP = Path("/proc/self/autogroup")
SCORE = Path("/proc/self/oom_score_adj")
SACRIFICED = 500
"""Of 1000: ended rather than a process with half of the machine's memory more than this one."""
PAUSE_S = 0.15
"""The kernel takes one such change of an ordinary user in 0.1 s from all of them; else EAGAIN."""


def yield_to_serving(niceness: int) -> None:
    """Be nicer by `niceness` to the daemon, which started this process in a session of its own.

    Where the kernel gives every session the same share of the cores (sched_autogroup), a
    process's niceness counts within its session alone: the session's own is what helps. It is
    left alone in a session that is somebody else's, a terminal's say.
    """
    os.nice(niceness)
    if os.getsid(0) == os.getpid():
        with suppress(OSError):  # a kernel without such groups: the process's own is enough
            try:
                GROUP.write_text(str(niceness))
            except BlockingIOError:
                time.sleep(PAUSE_S)
                GROUP.write_text(str(niceness))


def go_first() -> None:
    """Where memory runs out the kernel ends somebody: let it be this process, not the daemon.

    The daemon answers on, and starts another.
    """
    with suppress(OSError):  # a system without such scores
        SCORE.write_text(str(SACRIFICED))
