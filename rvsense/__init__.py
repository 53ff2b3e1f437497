"""rvsense: a camera teaches a radar, without labels, while the radar answers on its own."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rvsense.client import Subscriber, subscribe
    from rvsense.results import Result

__version__ = "0.1.0"
__all__ = ["Result", "Subscriber", "__version__", "subscribe"]


def __getattr__(name: str) -> Any:
    # The client pulls in zmq; `rvsense --help` should not pay for it.
    if name in ("Result", "Subscriber", "subscribe"):
        from rvsense import client

        return getattr(client, name)
    raise AttributeError(f"module 'rvsense' has no attribute {name!r}")
