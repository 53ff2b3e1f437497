"""What systemd's journal asks of what we write: a <N> priority in front of each line."""

import os
import sys
from collections.abc import Mapping
from typing import TextIO

PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}
"""syslog(3) severities, as sd-daemon(3) puts them in front of a line."""


def is_journal(stream: TextIO, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether the journal reads `stream`: children inherit JOURNAL_STREAM with other streams."""
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def last_words(text: str) -> None:
    """Say on standard error why a command fails; to the journal as errors, line by line."""
    mark = f"<{PRIORITIES['error']}>" if is_journal(sys.stderr) else ""
    for line in text.splitlines():
        print(f"{mark}{line}", file=sys.stderr)
