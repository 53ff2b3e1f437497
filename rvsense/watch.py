"""`rvsense echo` and `rvsense hz`: what a running daemon publishes, as it comes."""

import json
import statistics
import sys
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Literal

from rvsense.client import ModelNews, Subscriber
from rvsense.errors import UsageError
from rvsense.requesting import Keys, NoAnswerError
from rvsense.results import Result, as_map
from rvsense.terminal.lines import model_line, result_line, status_line

QUIET_S = 5.0
LONGEST_WAIT_S = 86400.0
LOOK_S = 0.1

Topic = Literal["results", "model", "status"]


class Patience:
    """Says on standard error for what is being waited, and gives up after `timeout_s`.

    Args:
        subscriber: who waits.
        what: for what.
        timeout_s: NoAnswerError after so long without any; None = never.
    """

    def __init__(self, subscriber: Subscriber, what: str, timeout_s: float | None) -> None:
        self._subscriber, self._what, self._timeout_s = subscriber, what, timeout_s
        self._told_s = self._heard_s = time.monotonic()

    @property
    def pause_s(self) -> float:
        """How long to wait before `check` may have something to say."""
        ends = [self._told_s + QUIET_S]
        ends += [self._heard_s + self._timeout_s] if self._timeout_s is not None else []
        return max(0.0, min(ends) - time.monotonic())

    def check(self, *, heard: bool) -> None:
        """Something has come, or nothing has.

        Raises:
            NoAnswerError: nothing has for too long.
        """
        now_s = time.monotonic()
        if heard:
            self._told_s = self._heard_s = now_s
            return
        quiet_s = now_s - self._heard_s
        if self._timeout_s is not None and quiet_s >= self._timeout_s:
            raise NoAnswerError(f"no {self._what} within {self._timeout_s:g} s: {self._why()}")
        if now_s - self._told_s >= QUIET_S:
            self._told_s = now_s
            waiting = f"no {self._what} for {quiet_s:.0f} s, waiting (Ctrl-C ends)"
            print(f"{waiting}: {self._why()}", file=sys.stderr)

    def _why(self) -> str:
        where = self._subscriber.endpoint
        if not self._subscriber.connections:
            return f"nothing publishes at {where}; `rvsense daemon` starts a daemon"
        return f"connected to {where}; do frames come in there? `rvsense top` shows it"


def echo(
    endpoint: str,
    site: str = "",
    count: int = 0,
    *,
    as_json: bool = False,
    topic: Topic = "results",
    timeout_s: float | None = None,
    keys: Keys = None,
) -> int:
    """Print each message as a line; returns after `count` of them (0 = on Ctrl-C).

    Raises:
        UsageError: the endpoint is malformed, `count` negative, or `timeout_s` no time to wait.
        NoAnswerError: none came for `timeout_s` seconds.
        DeniedError: the daemon does not let these keys in.
    """
    _check_count(count)
    _check_seconds("--timeout", timeout_s)
    lines: deque[str] = deque()

    def show(message: Result | ModelNews | Mapping[str, Any]) -> None:
        lines.append(_json(message) if as_json else _text(message))

    with Subscriber(
        endpoint,
        site=site,
        keys=keys,
        on_model=show if topic == "model" else None,
        on_status=show if topic == "status" else None,
    ) as subscriber:
        patience, printed = Patience(subscriber, _named(topic, site), timeout_s), 0
        while not count or printed < count:
            # Only a result ends its wait; other news are looked for.
            most_s = LONGEST_WAIT_S if topic == "results" else LOOK_S
            result = subscriber.receive(min(patience.pause_s, most_s))
            if result is not None and topic == "results":
                show(result)
            patience.check(heard=bool(lines))
            while lines and (not count or printed < count):
                print(lines.popleft(), flush=True)
                printed += 1
    return 0


def hz(
    endpoint: str,
    site: str = "",
    count: int = 0,
    *,
    window_s: float,
    as_json: bool = False,
    timeout_s: float | None = None,
    keys: Keys = None,
) -> int:
    """Print rate, latency (received → published) and gaps of every `window_s` seconds.

    Raises:
        UsageError: the endpoint is malformed, `count` negative, or a time none to wait.
        NoAnswerError: no result came for `timeout_s` seconds.
        DeniedError: the daemon does not let these keys in.
    """
    _check_count(count)
    _check_seconds("--window", window_s)
    _check_seconds("--timeout", timeout_s)
    windows = 0
    with Subscriber(endpoint, site=site, keys=keys) as subscriber:
        patience = Patience(subscriber, _named("results", site), timeout_s)
        while not count or windows < count:
            windows += 1
            latencies_ms, missed_before = [], subscriber.missed
            ends = time.monotonic() + window_s
            while (left_s := ends - time.monotonic()) > 0:
                result = subscriber.receive(min(left_s, patience.pause_s))
                patience.check(heard=result is not None)
                if result is not None:
                    latencies_ms.append((result.published_ns - result.received_ns) / 1e6)
            figures = rates(latencies_ms, window_s, subscriber.missed - missed_before)
            print(json.dumps(figures) if as_json else _rates_line(figures), flush=True)
    return 0


def rates(latencies_ms: list[float], window_s: float, missed: int) -> dict[str, Any]:
    """The figures of a window in which these results came; no percentile of fewer than two."""
    p50 = p99 = None
    if len(latencies_ms) > 1:
        p50 = statistics.median(latencies_ms)
        p99 = statistics.quantiles(latencies_ms, n=100, method="inclusive")[98]
    return {
        "window_s": window_s,
        "results": len(latencies_ms),
        "hz": len(latencies_ms) / window_s,
        "latency_p50_ms": p50,
        "latency_p99_ms": p99,
        "missed": missed,
    }


def _rates_line(figures: Mapping[str, Any]) -> str:
    latency = ""
    if figures["latency_p99_ms"] is not None:
        p50, p99 = figures["latency_p50_ms"], figures["latency_p99_ms"]
        latency = f"   latency p50 {p50:.1f} ms, p99 {p99:.1f} ms"
    return f"{figures['hz']:6.1f} Hz{latency}   missed {figures['missed']}"


def _named(topic: Topic, site: str) -> str:
    if topic != "results":
        return f"message of topic {topic}"
    return f"result of site {site}" if site else "result"


def _json(message: Result | ModelNews | Mapping[str, Any]) -> str:
    if isinstance(message, Result):
        return json.dumps(as_map(message))
    return json.dumps(asdict(message) if isinstance(message, ModelNews) else message)


def _text(message: Result | ModelNews | Mapping[str, Any]) -> str:
    if isinstance(message, Result):
        return result_line(message)
    return model_line(message) if isinstance(message, ModelNews) else status_line(message)


def _check_count(count: int) -> None:
    if count < 0:
        raise UsageError(f"--count {count}: a whole number from 0 expected; 0 = no end")


def _check_seconds(flag: str, seconds: float | None) -> None:
    if seconds is not None and not 0 < seconds <= LONGEST_WAIT_S:
        raise UsageError(
            f"{flag} {seconds:g}: seconds above 0, up to {LONGEST_WAIT_S:.0f}, expected"
        )
