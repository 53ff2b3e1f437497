"""rvsense: a camera teaches a radar, without labels, while the radar answers on its own."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rvsense.client import (
        ClosedError,
        DeniedError,
        ModelNews,
        Result,
        SilenceError,
        Subscriber,
        subscribe,
    )

__version__ = "0.9.0"
__all__ = [
    "ClosedError", "DeniedError", "ModelNews", "Result", "SilenceError", "Subscriber",
    "__version__", "subscribe",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    # The client pulls in zmq; `rvsense --help` should not pay for it.
    if name in __all__:
        from rvsense import client

        return getattr(client, name)
    raise AttributeError(f"module 'rvsense' has no attribute {name!r}")
