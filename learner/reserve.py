"""Memory that is set aside for the moment when there is no more, and what makes the rest usable.

Where a limit is reached, most of what a failed step has given back lies in pieces in the heap.
Smaller tensors fit into them; new networks' code (oneDNN's, made at run time for each size of a
batch) and the system's own buffers do not: they want fresh pages, and would fail for ever. So the
first shortage gives them the reserve, and from then on large blocks go back to the system as soon
as they are free (glibc; elsewhere that is left out).
"""

import ctypes
import mmap
from contextlib import suppress

RESERVE_BYTES = 32 * 1024 * 1024
"""Of addresses alone: no page of it is touched."""
LARGE_BYTES = 1024 * 1024
_M_MMAP_THRESHOLD = -3  # malloc.h

_set_aside: list[mmap.mmap] = []


def set_aside() -> None:
    """Take the reserve, once in a process."""
    if not _set_aside:
        with suppress(OSError):  # so short already: do without
            _set_aside.append(mmap.mmap(-1, RESERVE_BYTES, flags=mmap.MAP_PRIVATE))


def spend() -> None:
    """Give back the reserve, and what is free; cheap when it is called again."""
    while _set_aside:
        _set_aside.pop().close()
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt") and hasattr(libc, "malloc_trim"):
        libc.mallopt(_M_MMAP_THRESHOLD, LARGE_BYTES)
        libc.malloc_trim(0)
