"""Pictures are learned from and kept nowhere."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.process, pytest.mark.timeout(600)]


def test_no_file_of_a_daemon_holds_a_picture(
    cruw: Path, tmp_path: Path, start: Callable[..., Any]
) -> None:
    """After learning, with a checkpoint and models on disk, no image's bytes are in any of them."""
    state = tmp_path / "state"
    daemon = start("--replay", cruw, "--speed", "max", "--labels", "0.5", "--exit-at-end")
    status = daemon.finish()
    assert status["learner"]["figures"]["pairs"] > 0
    pictures = [path.read_bytes() for path in cruw.rglob("*.jpg")]
    marks = [picture[len(picture) // 2 :][:32] for picture in pictures]
    files = [path for path in state.rglob("*") if path.is_file()]
    assert {"checkpoints", "models", "exam"} <= {path.relative_to(state).parts[0] for path in files}
    assert len(marks) > 100
    for path in files:
        data = path.read_bytes()
        assert not [mark for mark in marks if mark in data], path
        assert b"\xff\xd8\xff\xe0\x00\x10JFIF" not in data, path
