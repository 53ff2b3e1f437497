"""Memory that is free goes back to the system, where the C library can do that.

A model and a checkpoint take copies of tables that grow as they fill. glibc keeps what they leave
behind, a hole too small for the next: a learner grew by what its labels take several times over
(docs/reliability.md, the soak).
"""

import ctypes
from contextlib import suppress


def give_back() -> None:
    """Do it; milliseconds, a few times a minute. Nothing with another C library than glibc."""
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)
