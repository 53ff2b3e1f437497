"""Files and folders on a disk that fails at every possible moment."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rvsense import atomic, published
from rvsense.errors import ModelError

CALLS = ("fsync", "replace", "rename", "open", "mkdir", "chmod")


class Fault:
    """Makes the n-th of the operating system's calls fail, as a full or broken disk does."""

    def __init__(self, patch: pytest.MonkeyPatch, n: int) -> None:
        self.left = n
        for name in CALLS:
            patch.setattr(os, name, self._guarded(getattr(os, name)))

    def _guarded(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(*arguments: Any, **named: Any) -> Any:
            self.left -= 1
            if self.left == 0:
                raise OSError(28, "No space left on device")
            return call(*arguments, **named)

        return guarded

    @property
    def struck(self) -> bool:
        """Whether a call was made to fail."""
        return self.left <= 0


def every_fault(write: Callable[[], Any], check: Callable[[bool], None]) -> int:
    """Run `write` with the first call failing, then the second, …; `check(failed)` after each."""
    for n in range(1, 200):
        with pytest.MonkeyPatch.context() as patch:
            fault = Fault(patch, n)
            failed = False
            try:
                write()
            except OSError:
                failed = True
        if not fault.struck:
            assert not failed
            return n - 1
        check(failed)
    raise AssertionError("never a clean pass")


def test_a_file_is_old_or_new_at_every_fault(tmp_path: Path) -> None:
    """Whichever call fails, a reader sees one of the two contents, and nothing is left aside."""
    path = tmp_path / "note.json"
    path.write_bytes(b"old")

    def check(failed: bool) -> None:
        assert path.read_bytes() in ((b"old", b"new") if failed else (b"new",))
        path.write_bytes(b"old")
        assert os.listdir(tmp_path) == ["note.json"]

    faults = every_fault(lambda: atomic.write_file(path, b"new"), check)
    assert faults >= 4  # make it, sync it, replace, sync the folder
    assert path.read_bytes() == b"new"


def test_a_folder_is_whole_or_absent_at_every_fault(tmp_path: Path) -> None:
    """Whichever call fails, the folder is there with all its files or not at all."""
    taken = iter(range(1000))
    paths: list[Path] = []

    def fill(folder: Path) -> None:
        for name in ("a", "b"):
            (folder / name).write_text(name)

    def write() -> None:
        paths.append(tmp_path / f"model-{next(taken)}")
        atomic.write_folder(paths[-1], fill)

    def check(failed: bool) -> None:
        if paths[-1].exists() or not failed:
            assert sorted(os.listdir(paths[-1])) == ["a", "b"]
        assert not list(tmp_path.glob(".*"))

    assert every_fault(write, check) >= 5
    assert sorted(os.listdir(paths[-1])) == ["a", "b"]


def test_a_published_model_is_whole_or_absent_at_every_fault(
    tmp_path: Path, make_model: Callable[..., published.PublishedModel]
) -> None:
    """A model folder under its final name always opens; nothing else is left behind."""
    steps, before = iter(range(1, 1000)), [0]

    def check(failed: bool) -> None:
        models = published.list_models(tmp_path)
        for path in models:
            published.open_model(path)
        assert failed or len(models) > before[-1]
        before.append(len(models))
        assert not list(tmp_path.glob(".*"))

    every_fault(lambda: make_model(tmp_path, next(steps)), check)
    assert published.list_models(tmp_path)


def test_a_fill_that_fails_leaves_nothing(tmp_path: Path) -> None:
    """An error of the caller's own, or Ctrl-C, leaves no folder under any name."""

    def fill(folder: Path) -> None:
        (folder / "half").write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        atomic.write_folder(tmp_path / "model", fill)
    assert os.listdir(tmp_path) == []


def test_leftovers_go_and_the_rest_stays(tmp_path: Path) -> None:
    """What a killed writer left aside is removed, file or folder; what is finished stays."""
    (tmp_path / ".writing-abc").mkdir()
    (tmp_path / ".writing-abc" / "weights").write_text("half")
    (tmp_path / ".note.json.x").write_text("half")
    (tmp_path / "step-1").mkdir()
    atomic.remove_leftovers(tmp_path)
    assert os.listdir(tmp_path) == ["step-1"]


def test_the_same_model_twice_is_one_folder_and_a_damaged_one_is_mended(
    tmp_path: Path, make_model: Callable[..., published.PublishedModel]
) -> None:
    """Publishing again after a restore keeps a whole model and replaces a damaged one."""
    first = make_model(tmp_path, 3)
    assert make_model(tmp_path, 3).path == first.path
    (first.path / published.WEIGHTS).write_bytes(b"damaged")
    with pytest.raises(ModelError):
        published.open_model(first.path)
    published.open_model(make_model(tmp_path, 3).path)
    assert len(os.listdir(tmp_path)) == 1


def test_a_new_folder_is_synced_in_the_one_above(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a power cut takes whole checkpoints with it; `python -m tests.simulate --seed 826`."""
    synced: list[Path] = []
    sync = atomic.sync_directory

    def note(path: Path) -> None:
        synced.append(path)
        sync(path)

    monkeypatch.setattr(atomic, "sync_directory", note)
    atomic.make_folder(tmp_path / "state" / "checkpoints")
    assert (tmp_path / "state" / "checkpoints").is_dir()
    assert synced == [tmp_path, tmp_path / "state"]
    atomic.make_folder(tmp_path / "state" / "checkpoints")
    assert len(synced) == 2
