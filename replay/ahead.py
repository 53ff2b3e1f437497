"""Reading a few frames ahead of the sender, on one thread, so that a slow disk does not show.

Order is kept. A frame that cannot be read takes its place in the order as its error.
"""

import queue
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from rvsense.errors import FrameError
from rvsense.replay.sender import Packed

DEPTH = 8
_POLL_S = 0.1


class Readable(Protocol):
    """A place in the order of a run, whose messages are still to be read."""

    def messages(self) -> list[Packed]:
        """The messages to send, in order. Raises FrameError where they are no good."""


S = TypeVar("S", bound=Readable)


@dataclass(frozen=True, slots=True)
class Read(Generic[S]):
    """A slot with its messages in sending order, or with the reason why there are none."""

    slot: S
    messages: list[Packed]
    error: FrameError | None = None


def read_ahead(slots: Iterable[S], stop: threading.Event) -> Iterator[Read[S]]:
    """Every slot with its messages, in order, until the slots end or `stop` is set.

    Raises:
        Exception: whatever stopped the reading thread; it is raised here, in its place.
    """
    ready: queue.Queue[Read[S] | Exception | None] = queue.Queue(maxsize=DEPTH)
    done = threading.Event()

    def put(item: Read[S] | Exception | None) -> bool:
        while not done.is_set():
            try:
                ready.put(item, timeout=_POLL_S)
            except queue.Full:
                continue
            return True
        return False

    def work() -> None:
        try:
            for slot in slots:
                if not put(_read(slot)):
                    return
            put(None)
        except Exception as error:
            put(error)

    reader = threading.Thread(target=work, name="read-ahead", daemon=True)
    reader.start()
    try:
        while not stop.is_set():
            try:
                item = ready.get(timeout=_POLL_S)
            except queue.Empty:
                continue
            if item is None:
                return
            if isinstance(item, Exception):
                raise item
            yield item
    finally:
        done.set()
        reader.join()


def _read(slot: S) -> Read[S]:
    try:
        return Read(slot, slot.messages())
    except FrameError as error:
        return Read(slot, [], error)
