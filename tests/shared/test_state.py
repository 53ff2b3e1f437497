"""The state directory at the start of a daemon."""

import errno
import os
from pathlib import Path

import pytest

from rvsense import state
from rvsense.errors import ConfigError, RvsenseError


@pytest.mark.parametrize(
    ("number", "status"),
    [(errno.ENOSPC, 1), (errno.EIO, 1), (errno.EDQUOT, 1), (errno.EACCES, 78), (errno.EROFS, 78)],
)
def test_a_disk_that_may_recover_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, status: int
) -> None:
    """78 would keep systemd from a restart; found by `python -m tests.simulate --seed 306`."""

    def fail(_path: Path, _data: bytes) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(RvsenseError, match="cannot be written") as raised:
        state.prepare(tmp_path)
    assert raised.value.status == status


def test_a_file_in_its_place_is_a_wrong_setting(tmp_path: Path) -> None:
    """No waiting mends that."""
    (tmp_path / "state").write_text("")
    with pytest.raises(ConfigError, match="--state-dir"):
        state.prepare(tmp_path / "state")


def test_a_damaged_lock_is_held_all_the_same(tmp_path: Path) -> None:
    """Bytes that are no text in it: who holds it, and where that can be reached, is not known."""
    with state.locked(tmp_path):
        state.say_where(tmp_path, {"requests": "tcp://127.0.0.1:1"})
        data = bytearray((tmp_path / state.LOCK).read_bytes())
        data[-9] ^= 0x80
        (tmp_path / state.LOCK).write_bytes(data)
        holder = state.holder(tmp_path)
        assert holder is not None
        assert holder.endpoints.get("requests") != "tcp://127.0.0.1:1"
    assert state.holder(tmp_path) is None
