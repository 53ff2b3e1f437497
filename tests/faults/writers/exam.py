"""The daemon's exam on disk, a file a frame, of which one is damaged."""

from collections.abc import Mapping
from pathlib import Path

from rvsense.daemon.exam import Item
from rvsense.daemon.exam_store import ExamStore
from rvsense.errors import RvsenseError
from rvsense.frames import CLASSES
from tests.conftest import heatmap
from tests.faults.every import Said, Writer


def _frames(first: int, last: int) -> Mapping[int, Item]:
    return {n: (heatmap(n), CLASSES[n % 4]) for n in range(first, last)}


def _write(store: ExamStore) -> None:
    """What its thread does, in this one."""
    store.stop()
    store._run()


def _four_frames(folder: Path) -> None:
    store = ExamStore(folder / "exam")
    store.keep(_frames(0, 4))
    _write(store)
    damaged = folder / "exam" / "00000001.frame"
    damaged.write_bytes(damaged.read_bytes()[:-1])


def _two_leave_two_come(folder: Path, said: Said) -> None:
    store = ExamStore(folder / "exam")
    store.load()
    store.keep(_frames(2, 6))
    _write(store)


def _holds(folder: Path, said: Said, done: bool) -> None:
    kept, wanted = ExamStore(folder / "exam").load(), _frames(0, 6)
    for number, (values, label) in kept.items():
        assert (values == wanted[number][0]).all()
        assert label == wanted[number][1]
    assert {2, 3} <= kept.keys() <= {0, 2, 3, 4, 5}
    assert not done or kept.keys() == {2, 3, 4, 5}


EXAM = Writer("exam", _four_frames, _two_leave_two_come, _holds, (RvsenseError,))
