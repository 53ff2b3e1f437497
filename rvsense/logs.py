"""Logging: structlog events to one stream, for a reader, a machine or the journal.

A terminal gets coloured lines; anything else gets one JSON object a line with `timestamp` (ISO,
UTC), `level` and `event`; the journal gets these with its <N> priorities in front. Nothing is
logged while nothing happens, and whatever happens the lines of one event are bounded.
"""

import contextlib
import json
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Hashable, Mapping
from typing import Any, TextIO, cast

import structlog
from structlog.typing import EventDict, Processor

from rvsense import journal


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
            _bound(),
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


class RateBound:
    """A processor that lets so many lines of one event through in a window, and drops the rest.

    The last resort behind limits of their own: no fault fills a disk or hides the others. The
    first line of the next window says how many were `not_logged`. Safe from any thread.
    """

    MOST_EVENTS = 256
    """Told apart; a remote learner or a library may make up more, which share one bound."""

    def __init__(
        self,
        lines: int = 300,
        window_s: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lines, self._window_s, self._clock = lines, window_s, clock
        self._windows: dict[Hashable, _Window] = {}
        self._lock = threading.Lock()

    def __call__(self, _logger: Any, _name: str, event: EventDict) -> EventDict:
        """The event as it came, or with `not_logged`.

        Raises:
            DropEvent: one too many; structlog logs nothing then.
        """
        # The text of a library differs from line to line: its logger's name does not.
        key: Hashable = event.get("logger", event["event"])
        with self._lock:
            if key not in self._windows and len(self._windows) >= self.MOST_EVENTS:
                key = None
            window, now_s = self._windows.get(key), self._clock()
            if window is None or now_s >= window.end_s:
                self._windows[key] = _Window(now_s + self._window_s, self._lines - 1)
                if window is not None and window.counted:
                    event["not_logged"] = event.get("not_logged", 0) + window.counted
            elif window.left > 0:
                window.left -= 1
            else:
                window.counted += 1
                raise structlog.DropEvent
        return event


def _bound() -> RateBound:
    """The bound in force: what was counted is not forgotten where only the level changes."""
    first = next(iter(structlog.get_config()["processors"]), None)
    return first if isinstance(first, RateBound) else RateBound()


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
        """One record of the standard library as an event; a bad one is not the library's end."""
        try:
            logger = structlog.get_logger()
            message, error = record.getMessage(), record.exc_info or None
            logger.log(record.levelno, message, logger=record.name, exc_info=error)
        except Exception:
            self.handleError(record)


def _renderers(stream: TextIO, environ: Mapping[str, str]) -> list[Processor]:
    if stream.isatty():
        return [structlog.dev.ConsoleRenderer(colors=True)]
    line: Processor = _to_journal if journal.is_journal(stream, environ) else _to_json
    return [structlog.processors.format_exc_info, line]


def _to_json(_logger: Any, _name: str, event: EventDict) -> str:
    # When, how grave and what stand first, where the eye looks for them.
    event = {key: event[key] for key in ("timestamp", "level", "event")} | dict(event)
    try:
        return json.dumps(event, default=repr, allow_nan=False)
    except (ValueError, TypeError):  # JSON has no NaN, and keys of text alone: they become text
        text = json.dumps(_by_text(event), default=repr)
        return json.dumps(json.loads(text, parse_constant=str))


def _by_text(value: Any) -> Any:
    match value:
        case dict():
            return {str(key): _by_text(one) for key, one in value.items()}
        case list() | tuple():
            return [_by_text(one) for one in value]
    return value


def _to_journal(logger: Any, name: str, event: EventDict) -> str:
    return f"<{journal.PRIORITIES[event['level']]}>{_to_json(logger, name, event)}"
