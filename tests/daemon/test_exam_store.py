"""The exam on disk: what is kept comes back, what is damaged is set aside."""

import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from structlog.testing import capture_logs

from rvsense import atomic
from rvsense.daemon.exam import Exam, Item
from rvsense.daemon.exam_store import DAMAGED_KEPT, ExamStore, decode, encode
from rvsense.frames import SceneClass

MakeHeatmap = Callable[..., NDArray[np.float32]]


def save(folder: Path, kept: dict[int, Item]) -> None:
    """One life of a store."""
    store = ExamStore(folder)
    store.start()
    store.keep(kept)
    store.stop()


def same(a: dict[int, Item], b: dict[int, Item]) -> bool:
    """To the bit."""
    return list(a) == list(b) and all(
        a[n][1] == b[n][1] and a[n][0].dtype == b[n][0].dtype and np.array_equal(a[n][0], b[n][0])
        for n in a
    )


@pytest.mark.parametrize("dtype", ["<f4", "<f2"])
def test_a_restart_finds_the_exam_as_it_was(
    tmp_path: Path, make_heatmap: MakeHeatmap, dtype: str
) -> None:
    """Frames, classes and order; a frame that left the exam is gone from the disk."""
    assert ExamStore(tmp_path / "exam").load() == {}
    exam = Exam(share=0.5, most=3)
    labels: list[SceneClass] = ["car", "empty", "car", "cyclist"]
    for seed, label in enumerate(labels):
        exam.add(make_heatmap(seed, 2).astype(dtype), label)
        save(tmp_path / "exam", dict(exam.kept()))
    loaded = ExamStore(tmp_path / "exam").load()
    assert same(loaded, dict(exam.kept()))
    assert sorted(path.name for path in (tmp_path / "exam").iterdir()) == [
        "00000001.frame", "00000002.frame", "00000003.frame"
    ]  # fmt: skip


def test_damage_costs_one_frame_and_is_logged(tmp_path: Path, make_heatmap: MakeHeatmap) -> None:
    """A flipped bit, a torn file, an empty one, and one with a foreign name: the rest is there."""
    kept: dict[int, Item] = {n: (make_heatmap(n), "car") for n in range(6)}
    save(tmp_path, kept)
    paths = sorted(tmp_path.iterdir())
    content = bytearray(paths[0].read_bytes())
    content[-1] ^= 1
    paths[0].write_bytes(content)
    paths[1].write_bytes(paths[1].read_bytes()[:-100])
    paths[2].write_bytes(b"")
    (tmp_path / "notes.frame").write_text("{}")
    (tmp_path / ".00000009.frame.xyz").write_text("left by a kill")
    with capture_logs() as logs:
        loaded = ExamStore(tmp_path).load()
    assert same(loaded, {n: kept[n] for n in (3, 4, 5)})
    assert [entry["event"] for entry in logs] == ["exam_frame_damaged"] * 4
    assert str(paths[0]) in logs[0]["path"]
    names = {path.name for path in tmp_path.iterdir()}
    assert len([name for name in names if name.startswith("damaged-")]) == DAMAGED_KEPT
    assert not any(name.startswith(".") for name in names)
    save(tmp_path, loaded)
    assert same(ExamStore(tmp_path).load(), loaded)


def test_every_byte_counts(make_heatmap: MakeHeatmap) -> None:
    """One changed bit anywhere in a file is found."""
    content = encode((make_heatmap(), "car"))
    for where in np.linspace(0, len(content) - 1, 80).astype(int).tolist():
        spoilt = bytearray(content)
        spoilt[where] ^= 1
        with pytest.raises((ValueError, KeyError, TypeError)):
            decode(bytes(spoilt))


def test_a_disk_that_fails_costs_nothing_but_the_copy(
    tmp_path: Path, make_heatmap: MakeHeatmap, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is logged, and the next label tries again."""
    store = ExamStore(tmp_path)
    kept: dict[int, Item] = {0: (make_heatmap(), "car")}

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch, capture_logs() as logs:
        patch.setattr("rvsense.atomic.write_file", full)
        store.keep(kept)
        store.start()
        store.stop()
    assert [entry["event"] for entry in logs] == ["exam_not_saved"]
    assert ExamStore(tmp_path).load() == {}
    save(tmp_path, kept)
    assert same(ExamStore(tmp_path).load(), kept)


def test_while_the_disk_hangs_only_the_newest_exam_waits(
    tmp_path: Path, make_heatmap: MakeHeatmap, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the exams that come meanwhile none but the last is held, and then written."""
    hangs, goes_on = threading.Event(), threading.Event()
    write = atomic.write_file

    def slow(path: Path, content: bytes) -> None:
        hangs.set()
        assert goes_on.wait(10.0)
        write(path, content)

    monkeypatch.setattr(atomic, "write_file", slow)
    store = ExamStore(tmp_path)
    store.start()
    store.keep({0: (make_heatmap(), "car")})
    assert hangs.wait(10.0)
    heatmaps = [make_heatmap(n) for n in range(1, 4)]
    held = [weakref.ref(heatmap) for heatmap in heatmaps]
    for number, heatmap in enumerate(heatmaps, 1):
        store.keep({number: (heatmap, "car")})
    last = heatmaps[-1].copy()
    del heatmaps, heatmap
    assert [ref() is None for ref in held] == [True, True, False]
    goes_on.set()
    store.stop()
    assert same(ExamStore(tmp_path).load(), {3: (last, "car")})
