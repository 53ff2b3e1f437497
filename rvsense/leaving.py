"""The end of a process whose threads may still compute."""

import gc
import os
import sys
import threading
from collections.abc import Callable


def leave_after(work: Callable[[], int]) -> int:
    """Do `work`; its exit status. Does not return when a thread that `work` began still runs.

    The interpreter ends such a thread wherever it next asks for the lock. Within torch that is
    std::terminate: SIGABRT, whatever the work came to. So the process then ends at once.
    """
    before = set(threading.enumerate())
    status = work()
    if set(threading.enumerate()) - before:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    # The interpreter's last collection would look through all of torch once more: half a second
    # of processor, several seconds on a busy machine, while whoever stops us waits.
    gc.freeze()
    return status
