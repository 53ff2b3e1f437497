"""What a disk refuses, as a user reads it."""

import errno
import os
from pathlib import Path

import pytest

from rvsense import cli
from rvsense.disk import DiskError, naming


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_the_place_and_the_reason_are_named(number: int) -> None:
    """The kernel names no file that is open already; status 1, so that it is tried again."""
    with (
        pytest.raises(DiskError, match="/var/x cannot be written") as raised,
        naming(Path("/var/x")),
    ):
        raise OSError(number, os.strerror(number))
    assert os.strerror(number) in str(raised.value)
    assert raised.value.status == 1


def test_other_errors_pass() -> None:
    """They are somebody else's."""
    with pytest.raises(KeyError), naming(Path("/var/x")):
        raise KeyError


def test_no_command_ends_with_a_traceback_for_a_disk(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line and status 1, wherever in it the disk failed."""

    def full(_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/var/x")

    monkeypatch.setattr("rvsense.commands.completion.run", full)
    assert cli.main(["completion", "bash"]) == 1
    errors = capsys.readouterr().err
    assert errors.count("\n") == 1
    assert "No space left on device: '/var/x'" in errors
