"""What a recorder says on standard error: lines that stay, and at a terminal one that does not."""

import shutil
import sys
import time

from rvsense.replay.recording.books import Books

EVERY_S = 1.0
_CLEAR = "\r\x1b[2K"


class Talk:
    """Lines for a person; standard output is for data."""

    def __init__(self) -> None:
        self._live = sys.stderr.isatty()
        self._shown_s = 0.0

    def say(self, line: str) -> None:
        """A line that stays."""
        clear = _CLEAR if self._live else ""
        print(f"{clear}rvsense record: {line}", file=sys.stderr, flush=True)

    def show(self, books: Books) -> None:
        """How it goes, once a second; only where somebody may be watching."""
        now_s = time.monotonic()
        if self._live and now_s - self._shown_s >= EVERY_S:
            self._shown_s = now_s
            line = books.as_text()[: shutil.get_terminal_size().columns - 1]
            print(f"{_CLEAR}{line}", end="", file=sys.stderr, flush=True)

    def end(self) -> None:
        """Leave a clean line for what comes next."""
        if self._live:
            print(_CLEAR, end="", file=sys.stderr, flush=True)
