"""Reading ahead keeps order, bounds and errors."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rvsense.replay.ahead import DEPTH, read_ahead
from rvsense.replay.layouts import open_dataset
from rvsense.replay.plan import Labels, Slot, plan


def _slots(root: Path) -> Iterator[Slot]:
    return plan(open_dataset(root).sequences, Labels(), forever=True)


def test_failure_while_reading_is_raised_not_an_early_end(rod2021: Callable[..., Path]) -> None:
    """A fault in the plan ends the run as an error: a short run must not look complete."""
    root = rod2021()

    def faulty() -> Iterator[Slot]:
        yield next(_slots(root))
        raise ZeroDivisionError

    items = read_ahead(faulty(), threading.Event())
    assert next(items).error is None
    with pytest.raises(ZeroDivisionError):
        next(items)


def test_reading_stays_a_few_frames_ahead(rod2021: Callable[..., Path]) -> None:
    """However slow the sender is, no more than the queue and one frame in hand are read."""
    read: list[int] = []
    done = threading.Event()

    def counted() -> Iterator[Slot]:
        for slot in _slots(root):
            read.append(slot.seq)
            if len(read) == DEPTH + 2:
                done.set()
            yield slot

    root = rod2021()
    stop = threading.Event()
    items = read_ahead(counted(), stop)
    next(items)
    assert done.wait(10)
    assert not threading.Event().wait(0.2)
    assert len(read) == DEPTH + 2
    stop.set()
    assert list(items) == []
    assert not any(thread.name == "read-ahead" for thread in threading.enumerate())
