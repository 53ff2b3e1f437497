"""Out of memory: one error for all the ways in which torch, CUDA, NumPy and Python say it."""

from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

import torch

from rvsense.errors import RvsenseError
from rvsense.learner import reserve

T = TypeVar("T")

MOST_CHARS = 160
"""Of what an allocator says; CUDA's goes on about every process there is."""
WORDS = (
    "out of memory",
    "can't allocate memory",
    "cannot allocate memory",
    "not enough memory",
    "insufficient memory",
    "bad_alloc",
    "alloc_failed",
    "could not create a memory",
    "could not create a primitive",
)
"""Of allocators that raise a plain RuntimeError: torch's on the CPU, C++'s, cuBLAS's, cuDNN's,
oneDNN's, libjpeg's; in small letters."""


class ShortageError(RvsenseError):
    """There was not enough memory for something, which then was left undone."""


def is_shortage(error: BaseException) -> bool:
    """Whether an error says that memory ran out."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError | ShortageError):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(word in text for word in WORDS)


def within_memory(work: Callable[[], T]) -> T:
    """What `work` returns.

    Raises:
        ShortageError: it ran out of memory. What it held is free again by then, which the
            traceback of its own error would keep.
        Exception: whatever else it raises.
    """
    try:
        return work()
    except (MemoryError, RuntimeError) as error:
        if not is_shortage(error):
            raise
        said = (str(error).splitlines() or [type(error).__name__])[0][:MOST_CHARS]
    _tidy_up()
    raise ShortageError(said)


def _tidy_up() -> None:
    """Make what was held usable again."""
    with suppress(MemoryError, RuntimeError):
        # Where going back through a network failed, autograd holds half of it until it goes back
        # through another one.
        torch.zeros(1, requires_grad=True).sum().backward()  # type: ignore[no-untyped-call]
    reserve.spend()
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.empty_cache()  # what is free in pieces may be enough as a whole
