"""Files of each kind that rvsense reads, damaged and made up, and what may come of reading one.

A module has `kinds(work)`: the kinds of file that it makes, each with what reads it. What is read
into `work` must stay there: a pickle in many of these files would leave a mark (`trap`).
"""

import os
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from tests.fuzz.drive import Case


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of file: `make` draws one, `read` says what came of it and raises what may not."""

    name: str
    make: Callable[[Random], Case]
    read: Callable[[Case], str]
    share: float
    """Of all files."""


MARK = "unpickled"


class Trap:
    """A pickle of this makes a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, (str(self._path),))


def trap(work: Path) -> bytes:
    """A pickle that leaves its mark in `work` when it is loaded."""
    return pickle.dumps(Trap(work / MARK))


def sprung(work: Path) -> bool:
    """Whether a trap was."""
    return (work / MARK).exists()
