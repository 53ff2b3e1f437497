"""Every operation of every writer goes wrong once; nothing half is left, nobody in doubt."""

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from rvsense import atomic
from tests.faults.disk import CHANGES, HOWS, FailingDisk, How, Killed
from tests.faults.every import Said, Writer, every
from tests.faults.writers import WRITERS


@pytest.mark.timeout(600)
@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("writer", WRITERS, ids=lambda writer: writer.name)
def test_whatever_goes_wrong_all_is_whole_and_can_be_done_again(
    writer: Writer, how: How, tmp_path: Path
) -> None:
    """`python -m tests.faults` prints how many operations that were."""
    torch.set_num_threads(1)
    assert every(writer, how, tmp_path).total > 0


def _in_place(folder: Path, said: Said) -> None:
    (folder / "note").write_bytes(b"new" * 9)
    said.append("new" * 9)


def _whole(folder: Path, said: Said, done: bool) -> None:
    assert (folder / "note").read_text() in ("old", "new" * 9)


def _old(folder: Path) -> None:
    folder.mkdir()
    (folder / "note").write_text("old")


@pytest.mark.parametrize("how", HOWS)
def test_a_writer_that_writes_in_place_is_found_out(how: How, tmp_path: Path) -> None:
    """Whichever way it goes wrong."""
    with pytest.raises(ExceptionGroup, match=f"careless, {how}"):
        every(Writer("careless", _old, _in_place, _whole, (OSError,)), how, tmp_path)


def test_a_writer_that_does_not_say_what_is_wrong_is_found_out(tmp_path: Path) -> None:
    """An error of another kind, or one that names no place, is no named error."""
    with pytest.raises(ExceptionGroup, match="mute, fails"):
        every(Writer("mute", _old, _in_place, lambda *_: None, ()), "fails", tmp_path)


def _with_pathlib(folder: Path) -> None:
    (folder / "a" / "b").mkdir(parents=True)
    (folder / "a" / "text").write_text("text")
    (folder / "a" / "text").rename(folder / "a" / "b" / "text")
    (folder / "a" / "b" / "text").chmod(0o600)
    assert [path.name for path in folder.glob("*/*/*")] == ["text"]
    assert (folder / "a" / "b" / "text").read_bytes() == b"text"
    shutil.rmtree(folder / "a")


def _with_atomic(folder: Path) -> None:
    atomic.write_file(folder / "one", b"1")
    atomic.write_new_file(folder / "two", b"2")
    atomic.write_folder(folder / "three", lambda path: (path / "x").touch())
    atomic.remove_folder(folder / "three")
    (folder / "one").unlink()
    (folder / "two").unlink()


def _with_libraries(folder: Path) -> None:
    np.save(folder / "array.npy", np.arange(3))
    save_file({"x": torch.zeros(2)}, folder / "x.safetensors")
    handle = os.open(folder / "raw", os.O_RDWR | os.O_CREAT)
    os.writev(handle, [b"one", b"two"])
    os.ftruncate(handle, 3)
    os.fdatasync(handle)
    os.close(handle)
    for name in os.listdir(folder):
        os.remove(folder / name)
    shutil.disk_usage(folder)


@pytest.mark.parametrize("work", [_with_pathlib, _with_atomic, _with_libraries])
@pytest.mark.parametrize("how", ["fails", "killed"])
def test_every_operation_goes_through_the_disk(
    work: Callable[[Path], None], how: How, tmp_path: Path
) -> None:
    """Each that is done can be the one that goes wrong, and no other is."""
    (tmp_path / "clean").mkdir()
    with FailingDisk(tmp_path / "clean", 10**6, how) as counting:
        work(tmp_path / "clean")
    assert os.listdir(tmp_path / "clean") == []
    total = sum(n for name, n in counting.done.items() if how == "fails" or name in CHANGES)
    for n in range(1, total + 1):
        folder = tmp_path / str(n)
        folder.mkdir()
        with FailingDisk(folder, n, how) as disk, suppress(OSError, SafetensorError, Killed):
            work(folder)
        assert disk.struck
    with FailingDisk(tmp_path / "clean", total + 1, how) as disk:
        work(tmp_path / "clean")
    assert not disk.struck


def test_other_folders_are_left_alone(tmp_path: Path) -> None:
    """Also one whose name begins as ours does."""
    (tmp_path / "ours").mkdir()
    with FailingDisk(tmp_path / "ours", 1) as disk:
        (tmp_path / "ours-not").mkdir()
        (tmp_path / "ours-not" / "x").write_text("x")
        assert not disk.done
        with pytest.raises(OSError, match="ours/x"):
            (tmp_path / "ours" / "x").write_text("x")
    assert disk.what == "create x"
