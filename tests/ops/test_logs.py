"""What the log looks like, to whom."""

import contextlib
import io
import json
import logging
import os
import warnings
from pathlib import Path
from typing import Any

import pytest
import structlog

from rvsense import journal, logs


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """It is."""
        return True


def events(stream: io.StringIO) -> list[dict[str, Any]]:
    """The JSON lines written so far."""
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_json_for_machines() -> None:
    """Not on a terminal an event is one JSON line with a UTC stamp, level, event and fields."""
    stream = io.StringIO()
    logs.configure("info", stream)
    structlog.get_logger().warning("frame rejected", reason="bad_size", path=Path("x"))
    [event] = events(stream)
    assert list(event)[:3] == ["timestamp", "level", "event"]
    assert event.pop("timestamp").endswith("Z")
    assert event == {
        "event": "frame rejected",
        "level": "warning",
        "reason": "bad_size",
        "path": repr(Path("x")),
    }


def test_json_stays_json() -> None:
    """A NaN, a line break and an exception still make one line of valid JSON."""
    stream = io.StringIO()
    logs.configure("info", stream)
    try:
        raise ValueError("torn\nwrite")
    except ValueError:
        structlog.get_logger().exception("step skipped", loss=float("nan"), other=[float("inf")])
    [event] = events(stream)
    assert (event["loss"], event["other"]) == ("NaN", ["Infinity"])
    assert "ValueError: torn\nwrite" in event["exception"]


def test_keys_that_are_no_text_are_told_as_text() -> None:
    """Counts by a pair of names are logged, instead of ending who logs them."""
    stream = io.StringIO()
    logs.configure("info", stream)
    structlog.get_logger().info("counted", counts={("a", "b"): float("nan")})
    assert events(stream)[0]["counts"] == {"('a', 'b')": "NaN"}


def test_colour_for_a_terminal() -> None:
    """A terminal gets a coloured line for people."""
    stream = Terminal()
    logs.configure("info", stream)
    structlog.get_logger().info("model published", step=100)
    assert "\x1b[" in stream.getvalue()
    assert "model published" in stream.getvalue()


def test_levels_and_reload() -> None:
    """What is less urgent than the level stays out, and a reload changes it for old loggers."""
    stream = io.StringIO()
    logs.configure("warning", stream)
    logger = structlog.get_logger()
    logger.info("quiet")
    logger.error("loud")
    logs.configure("debug", stream)
    logger.debug("now heard")
    assert [event["event"] for event in events(stream)] == ["loud", "now heard"]


def test_journal_priorities(tmp_path: Path) -> None:
    """The journal's own stream gets <N> in front; a stream inherited beside it does not."""
    for name, is_journal in (("journal", True), ("other", False)):
        with (tmp_path / name).open("w+") as stream:
            status = os.stat(tmp_path / "journal")
            logs.configure("info", stream, {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"})
            structlog.get_logger().info("up")
            structlog.get_logger().error("down")
        lines = (tmp_path / name).read_text().splitlines()
        assert [line.startswith(("<6>{", "<3>{")) for line in lines] == [is_journal] * 2


def test_last_words_are_errors_to_the_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`journalctl -p err` names each problem of a bad configuration; a person sees them plain."""
    with (tmp_path / "journal").open("w") as stream:
        status = os.fstat(stream.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino}")
        journal.last_words("rvsense: one\ntwo")
        assert capsys.readouterr().err == "rvsense: one\ntwo\n"
        monkeypatch.setattr("sys.stderr", stream)
        journal.last_words("rvsense: one\ntwo")
    assert (tmp_path / "journal").read_text() == "<3>rvsense: one\n<3>two\n"


def test_libraries_are_heard() -> None:
    """Warnings and standard-library logging become events of the same form."""
    stream = io.StringIO()
    logs.configure("info", stream)
    logging.getLogger("lib").error("it broke %d times", 3)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(False)
        logging.captureWarnings(True)
        warnings.warn("old call", UserWarning, stacklevel=1)
    first, second = events(stream)
    assert (first["event"], first["logger"], first["level"]) == ("it broke 3 times", "lib", "error")
    assert "old call" in second["event"]
    assert second["level"] == "warning"


def test_a_bad_call_of_a_library_is_not_its_end(capsys: pytest.CaptureFixture[str]) -> None:
    """A format without its number is told on standard error, as the standard library does."""
    logs.configure("info", io.StringIO())
    logging.getLogger("lib").error("it broke %d times", "x")
    assert "--- Logging error ---" in capsys.readouterr().err


def test_a_lost_stream_stops_nothing() -> None:
    """Logging to a pipe that nobody reads any more does not raise."""
    read, write = os.pipe()
    os.close(read)
    stream = os.fdopen(write, "w", buffering=1)
    logs.configure("info", stream)
    structlog.get_logger().info("anyone?")
    with pytest.raises(BrokenPipeError):
        stream.close()


def test_first_few_then_a_count() -> None:
    """The first events of a key pass, the rest is counted and told when the window is over."""
    limiter = logs.RepeatLimiter(first=2, window_s=60.0)
    assert [limiter.admit("a", 0.0) for _ in range(5)] == [True, True, False, False, False]
    assert limiter.admit("b", 1.0)
    assert limiter.summaries(59.9) == []
    assert limiter.summaries(60.0) == [("a", 3)]


def test_a_noisy_key_is_only_counted() -> None:
    """A key that goes on repeating gives one count per window and no more lines."""
    limiter = logs.RepeatLimiter(first=1, window_s=10.0)
    passed, told = 0, []
    for tenth in range(1000):
        passed += limiter.admit("a", tenth / 10)
        told += limiter.summaries(tenth / 10)
    assert passed == 1
    assert len(told) == 9
    told += limiter.summaries(1000.0)
    assert sum(count for _, count in told) + passed == 1000


def test_a_quiet_key_is_forgotten() -> None:
    """After a window without an event the key is as new, and nothing is kept for it."""
    limiter = logs.RepeatLimiter(first=1, window_s=10.0)
    assert [limiter.admit("a", 0.0), limiter.admit("a", 0.0)] == [True, False]
    assert limiter.summaries(10.0) == [("a", 1)]
    assert limiter.summaries(20.0) == []
    assert limiter.admit("a", 21.0)


def test_a_flood_is_bounded_and_counted() -> None:
    """Of one event so many lines a window; other events go on, and the next line tells."""
    now, bound = 0.0, logs.RateBound(lines=3, window_s=60.0, clock=lambda: now)

    def passed(name: str, **more: Any) -> Any:
        try:
            return dict(bound(None, "warning", {"event": name, **more}))
        except structlog.DropEvent:
            return None

    assert [passed("flood") is not None for _ in range(10)] == [True] * 3 + [False] * 7
    assert passed("other") == {"event": "other"}
    now = 60.0
    assert passed("flood") == {"event": "flood", "not_logged": 7}
    assert passed("flood", not_logged=2) == {"event": "flood", "not_logged": 2}
    assert passed("flood") is not None
    assert passed("flood") is None


def test_made_up_events_share_one_bound() -> None:
    """Neither memory nor lines grow with the names that somebody sends."""
    bound = logs.RateBound(lines=2)
    passed = 0
    for number in range(5000):
        with contextlib.suppress(structlog.DropEvent):
            bound(None, "info", {"event": f"name {number}"})
            passed += 1
    assert passed == bound.MOST_EVENTS + 2
    for number in range(5):
        with contextlib.suppress(structlog.DropEvent):
            bound(None, "warning", {"event": f"text {number}", "logger": "lib"})
            passed += 1
    assert passed == bound.MOST_EVENTS + 2


def test_what_is_configured_is_bounded() -> None:
    """The bound is in place for every logger of the process."""
    stream = io.StringIO()
    logs.configure("info", stream)
    for number in range(1000):
        structlog.get_logger().warning("flood", number=number)
    structlog.get_logger().warning("calm")
    assert [event["event"] for event in events(stream)] == ["flood"] * 300 + ["calm"]


def test_a_reload_does_not_lift_the_bound() -> None:
    """Who reloads again and again fills no disk either."""
    stream = io.StringIO()
    for _ in range(1000):
        logs.configure("info", stream)
        structlog.get_logger().info("reloaded")
    assert len(events(stream)) == 300
