"""`rvsense echo` and `rvsense hz`: look at a running daemon from a terminal."""

import json
import statistics
import sys
import time

from rvsense.client import Subscriber
from rvsense.errors import UsageError
from rvsense.results import Result, as_map

QUIET_S = 5.0
LONGEST_WINDOW_S = 86400.0


def echo(endpoint: str, site: str, count: int, as_json: bool) -> int:
    """Print each result as a line; returns after `count` of them (0 = on Ctrl-C).

    Raises:
        UsageError: the endpoint is malformed or `count` negative.
    """
    _check_count(count)
    with Subscriber(endpoint, site=site) as subscriber:
        while not count or subscriber.received < count:
            result = subscriber.receive(QUIET_S)
            if result is None:
                print(f"nothing from {endpoint} for {QUIET_S:.0f} s", file=sys.stderr)
            elif as_json:
                print(json.dumps(as_map(result)), flush=True)
            else:
                print(_line(result), flush=True)
    return 0


def hz(endpoint: str, site: str, count: int, window_s: float) -> int:
    """Print rate, latency (received → published) and gaps of every `window_s` seconds.

    Raises:
        UsageError: the endpoint is malformed, `count` negative, or `window_s` no time to wait.
    """
    _check_count(count)
    if not 0 < window_s <= LONGEST_WINDOW_S:
        raise UsageError(
            f"--window {window_s:g}: seconds above 0, up to {LONGEST_WINDOW_S:.0f}, expected"
        )
    windows = 0
    with Subscriber(endpoint, site=site) as subscriber:
        while not count or windows < count:
            windows += 1
            latencies_ms, missed_before = [], subscriber.missed
            ends = time.monotonic() + window_s
            while (left_s := ends - time.monotonic()) > 0:
                result = subscriber.receive(left_s)
                if result is not None:
                    latencies_ms.append((result.published_ns - result.received_ns) / 1e6)
            print(_rates(latencies_ms, window_s, subscriber.missed - missed_before), flush=True)
    return 0


def _check_count(count: int) -> None:
    if count < 0:
        raise UsageError(f"--count {count}: a whole number from 0 expected; 0 = no end")


def _line(result: Result) -> str:
    answer = result.label or f"({result.abstain})"
    model = "no model" if result.model is None else f"step {result.model.step}"
    latency_ms = (result.published_ns - result.received_ns) / 1e6
    return (
        f"{result.site:<12} {result.seq:>8}  {answer:<22} {result.confidence:4.2f}  "
        f"{latency_ms:6.1f} ms  {model}"
    )


def _rates(latencies_ms: list[float], window_s: float, missed: int) -> str:
    rate = f"{len(latencies_ms) / window_s:6.1f} Hz"
    if len(latencies_ms) < 2:
        return f"{rate}   missed {missed}"
    p50 = statistics.median(latencies_ms)
    p99 = statistics.quantiles(latencies_ms, n=100, method="inclusive")[98]
    return f"{rate}   latency p50 {p50:.1f} ms, p99 {p99:.1f} ms   missed {missed}"
