"""The end of a child that does not end by itself."""

import subprocess
from contextlib import suppress
from typing import Any

DYING_S = 0.5


def kill(process: subprocess.Popen[Any]) -> None:
    """SIGKILL, and a moment for it to work: a disk that hangs may keep a process for long."""
    process.kill()
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=DYING_S)
