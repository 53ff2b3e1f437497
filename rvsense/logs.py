"""Logging: structlog events to one stream, for a reader, a machine or the journal.

A terminal gets coloured lines; anything else gets one JSON object a line with `timestamp` (ISO,
UTC), `level` and `event`; the journal gets these with its <N> priorities in front. Nothing is
logged while nothing happens.
"""

import contextlib
import json
import logging
import os
import sys
from collections.abc import Hashable, Mapping
from typing import Any, TextIO, cast

import structlog
from structlog.typing import EventDict, Processor

PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}
"""syslog(3) severities, as sd-daemon(3) puts them in front of a line."""


def configure(
    level: str, stream: TextIO | None = None, environ: Mapping[str, str] = os.environ
) -> None:
    """Set up structlog for this process; to be called again when the level changes.

    Args:
        level: debug, info, warning or error; what is less urgent is not logged.
        stream: where the lines go (standard error).
        environ: JOURNAL_STREAM in it tells whether `stream` is the journal's.
    """
    stream = sys.stderr if stream is None else stream
    threshold = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *_renderers(stream, environ),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.WriteLoggerFactory(cast(TextIO, _Unbreakable(stream))),
        cache_logger_on_first_use=False,  # so that a reload can change the level
    )
    # What libraries say through logging and warnings becomes events too.
    logging.basicConfig(handlers=[_Forward()], level=max(threshold, logging.WARNING), force=True)
    logging.captureWarnings(True)


class RepeatLimiter:
    """Lets the first few of a repeated event through and counts the rest.

    For every key: a window opens with an event and lasts `window_s`. Its first `first` events
    are let through, later ones are counted. `summaries` tells the count once the window is over;
    a key that was counted goes on being only counted, and a quiet window forgets the key.
    Pure: time is passed in. Keys come from closed sets. One thread uses it.
    """

    def __init__(self, first: int = 5, window_s: float = 60.0) -> None:
        self._first = first
        self._window_s = window_s
        self._windows: dict[Hashable, _Window] = {}

    def admit(self, key: Hashable, now_s: float) -> bool:
        """Whether this event is to be logged."""
        window = self._windows.get(key)
        if window is None:
            window = self._windows[key] = _Window(now_s + self._window_s, self._first)
        if window.left > 0:
            window.left -= 1
            return True
        window.counted += 1
        return False

    def summaries(self, now_s: float) -> list[tuple[Hashable, int]]:
        """(key, how many were not logged) of every window that is over."""
        told = []
        for key, window in list(self._windows.items()):
            if now_s < window.end_s:
                continue
            if window.counted:
                told.append((key, window.counted))
                self._windows[key] = _Window(now_s + self._window_s, 0)
            else:
                del self._windows[key]
        return told


class _Window:
    __slots__ = ("counted", "end_s", "left")

    def __init__(self, end_s: float, left: int) -> None:
        self.end_s = end_s
        self.left = left
        self.counted = 0


class _Unbreakable:
    """A stream that swallows its own failure: a lost terminal or a full disk stops no frame."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError, ValueError):
            return self._stream.write(text)
        return 0

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._stream.flush()


class _Forward(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        """One record of the standard library as an event."""
        logger = structlog.get_logger()
        message, error = record.getMessage(), record.exc_info or None
        logger.log(record.levelno, message, logger=record.name, exc_info=error)


def _renderers(stream: TextIO, environ: Mapping[str, str]) -> list[Processor]:
    if stream.isatty():
        return [structlog.dev.ConsoleRenderer(colors=True)]
    line: Processor = _to_journal if _is_journal(stream, environ) else _to_json
    return [structlog.processors.format_exc_info, line]


def _to_json(_logger: Any, _name: str, event: EventDict) -> str:
    # When, how grave and what stand first, where the eye looks for them.
    event = {key: event[key] for key in ("timestamp", "level", "event")} | dict(event)
    try:
        return json.dumps(event, default=repr, allow_nan=False)
    except ValueError:  # JSON has no NaN: a loss that is one is told as text
        return json.dumps(json.loads(json.dumps(event, default=repr), parse_constant=str))


def _to_journal(logger: Any, name: str, event: EventDict) -> str:
    return f"<{PRIORITIES[event['level']]}>{_to_json(logger, name, event)}"


def _is_journal(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Whether the journal reads `stream`: children inherit JOURNAL_STREAM with other streams."""
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"
