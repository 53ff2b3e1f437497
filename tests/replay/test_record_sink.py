"""A file that grows by whole pieces only."""

import errno
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rvsense.replay.recording.sink import Sink


@contextmanager
def file_limit(size: int) -> Iterator[None]:
    """The kernel takes no file beyond `size` bytes: the write that crosses it is a torn one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("limit", range(10, 30))
def test_a_refused_piece_leaves_the_file_as_it_was(limit: int, tmp_path: Path) -> None:
    """Wherever in the second piece the disk is full: the first stands, the second comes later."""
    sink = Sink(tmp_path / "a")
    sink.write(b"0123456789")
    sink.commit()
    sink.write(b"abcdefghij")
    sink.write(b"ABCDEFGHIJ")
    with file_limit(limit), pytest.raises(OSError, match="large") as caught:
        sink.commit()
    assert caught.value.errno == errno.EFBIG
    assert (tmp_path / "a").read_bytes() == b"0123456789"
    assert (sink.size_bytes, sink.tell()) == (10, 30)
    sink.commit()
    sink.close()
    assert (tmp_path / "a").read_bytes() == b"0123456789abcdefghijABCDEFGHIJ"


def test_short_writes_are_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel that takes three bytes at a time gets them all."""
    sink = Sink(tmp_path / "a")
    monkeypatch.setattr(os, "writev", lambda handle, rest: os.write(handle, rest[0][:3]))
    for piece in (b"0123456789", b"", b"ab", b"c"):
        sink.write(piece)
    sink.commit()
    sink.close()
    assert (tmp_path / "a").read_bytes() == b"0123456789abc"


def test_a_file_has_its_name_once_it_is_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder is synced with the first piece, and not again; where it cannot be, no harm."""
    synced: list[Path] = []

    def refused(folder: Path) -> None:
        synced.append(folder)
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr("rvsense.replay.recording.sink.sync_directory", refused)
    sink = Sink(tmp_path / "a")
    sink.sync()
    sink.sync()
    sink.close()
    assert synced == [tmp_path]


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    """A file that is there already is not written to."""
    (tmp_path / "a").write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        Sink(tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"mine"
