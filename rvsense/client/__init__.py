"""The client: follow a daemon's classifications.

    for result in rvsense.subscribe("tcp://radar-box:5561", keys="page.keys"):
        print(result.site, result.label, result.confidence)

or, in an event loop,

    async for result in rvsense.subscribe(site="north", silence_s=5):
        ...

Light to import: ZeroMQ and msgpack, nothing that learns.
"""

import os
import time
from collections.abc import Callable, Mapping
from typing import Any

from rvsense.client.news import ModelNews
from rvsense.client.silence import SilenceError
from rvsense.client.subscriber import DEFAULT_ENDPOINT, ClosedError, Subscriber
from rvsense.handshake import DeniedError
from rvsense.results import Result

__all__ = [
    "DEFAULT_ENDPOINT", "ClosedError", "DeniedError", "ModelNews", "Result", "SilenceError",
    "Subscriber", "age_s", "subscribe",
]  # fmt: skip


def age_s(result: Result) -> float:
    """Seconds since the daemon published this result, by this machine's clock."""
    return (time.time_ns() - result.published_ns) / 1e9


def subscribe(
    endpoint: str = DEFAULT_ENDPOINT,
    *,
    site: str = "",
    timeout_s: float | None = None,
    max_age_s: float | None = None,
    silence_s: float | None = None,
    on_silence: Callable[[float], None] | None = None,
    on_model: Callable[[ModelNews], None] | None = None,
    on_status: Callable[[Mapping[str, Any]], None] | None = None,
    keys: str | os.PathLike[str] | None = None,
) -> Subscriber:
    """Follow the classifications of a running daemon; see Subscriber."""
    return Subscriber(
        endpoint,
        site=site,
        timeout_s=timeout_s,
        max_age_s=max_age_s,
        silence_s=silence_s,
        on_silence=on_silence,
        on_model=on_model,
        on_status=on_status,
        keys=keys,
    )
