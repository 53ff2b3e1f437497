"""Fetches the models that a remote learner offers, in a thread of its own: disks are slow.

Rules:
1. Of several offers the newest is fetched, after the one at hand: on a slow line models may be
   published faster than they come through, and starting over each time would never end.
2. At most WINDOW chunks are asked for at a time. When the link broke and is there again, what was
   asked is asked again; a learner that has the model no more says so, and the next offer counts.
3. A chunk that was not asked for, or that came already, is not kept: nothing piles up.
4. What is said while the disk is slow waits, so much of it: of offers the newest alone.
5. A model is handed on only when it is whole and the very one that was offered; one that serves
   already, or that was refused here before, is not fetched again.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from rvsense import current, parcel
from rvsense.errors import ModelError
from rvsense.parcel import CHUNK_BYTES, Offer
from rvsense.published import REFUSED

WINDOW = 4
"""Chunks on their way: 4 MiB, which fills 1 Gbit/s over 30 ms."""
OUTCOMES = ("landed", "gone", "damaged", "disk")
MOST_WAITING = 64
"""Events; no learner of ours says so many while a chunk is written."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """What became of an offer: one of OUTCOMES, and why."""

    id: str
    outcome: str
    size_bytes: int = 0
    seconds: float = 0.0
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Ask:
    """A chunk that the learner is to be asked for."""

    id: str
    name: str
    offset: int


class _StoppedError(Exception):
    """The daemon ends."""


class _GoneError(Exception):
    """The learner has the model no more."""


class Landing:
    """The fetching thread. Asks leave by `asks`; what came of an offer, by `fetched`.

    Args:
        state_dir: `models/` in it is where they land; only `kept` of them stay.
        most_bytes: a larger model is refused.
        serving: the id of the model that serves, or "".
        on_landed: called from the thread with the folder of each model that has landed.
        on_news: called from the thread when there is something in `asks` or `fetched`.
    """

    def __init__(
        self,
        state_dir: Path,
        *,
        kept: int,
        most_bytes: int,
        serving: Callable[[], str],
        on_landed: Callable[[Path], None],
        on_news: Callable[[], None],
    ) -> None:
        self.asks: SimpleQueue[Ask] = SimpleQueue()
        self.fetched: SimpleQueue[Fetched] = SimpleQueue()
        self.progress: dict[str, Any] | None = None
        self._state_dir, self._models = state_dir, state_dir / "models"
        self._kept, self._most_bytes = kept, most_bytes
        self._serving, self._on_landed, self._on_news = serving, on_landed, on_news
        self._inbox: SimpleQueue[tuple[str, Any, bytes]] = SimpleQueue()
        self._offered: Mapping[str, Any] = {}
        self._offer_lock = threading.Lock()
        self._newest: Mapping[str, Any] | None = None
        self._asked: deque[Ask] = deque()
        self._due: set[Ask] = set()
        self._due_lock = threading.Lock()
        self._ahead: Iterator[Ask] = iter(())
        self._offers = 0
        self._seen = 0
        self._settled = 0
        self._thread = threading.Thread(target=self._run, name="model-fetcher", daemon=True)

    def start(self) -> None:
        """Start taking offers."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread; a model that is half here leaves nothing behind."""
        self._inbox.put(("stop", None, b""))
        if self._thread.is_alive():
            self._thread.join(timeout=1)

    def offer(self, values: Mapping[str, Any]) -> None:
        """A model can be fetched; `values` are those of a `model` message."""
        with self._offer_lock:
            self._offers, self._offered = self._offers + 1, values
        self._tell("offer")

    def chunk(self, values: Mapping[str, Any], data: bytes) -> None:
        """A `chunk` message."""
        ask = Ask(values["id"], values["name"], values["offset"])
        with self._due_lock:
            if ask not in self._due:
                return
            self._due.discard(ask)
        self._inbox.put(("chunk", ask, data))

    def gone(self, id: str) -> None:
        """The learner has this model no more."""
        self._tell("gone", id)

    def linked(self) -> None:
        """The link is there, perhaps again."""
        self._tell("linked")

    def _tell(self, what: str, value: Any = None) -> None:
        if self._inbox.qsize() < MOST_WAITING:
            self._inbox.put((what, value, b""))

    @property
    def idle(self) -> bool:
        """Whether every offer has been dealt with."""
        return self._offers == self._settled

    def _run(self) -> None:
        try:
            while True:
                offered, seen = self._next()
                self._settle(offered)
                self._settled = seen
        except _StoppedError:
            return

    def _next(self) -> tuple[Mapping[str, Any], int]:
        """The newest offer, and how many there have been up to it."""
        while self._newest is None or not self._inbox.empty():
            self._hear()
        offered, self._newest = self._newest, None
        return offered, self._seen

    def _hear(self) -> tuple[Any, bytes]:
        """Deal with one event; the last chunk when it was one, else nothing."""
        what, value, data = self._inbox.get()
        match what:
            case "stop":
                raise _StoppedError
            case "offer":
                with self._offer_lock:
                    self._seen, self._newest = self._offers, self._offered
            case "linked":
                self._put(*self._asked)
            case "gone" if self._asked and value == self._asked[0].id:
                raise _GoneError
            case "chunk":
                return value, data
        return None, b""

    def _settle(self, values: Mapping[str, Any]) -> None:
        id, start = str(values.get("id")), time.monotonic()
        try:
            offer = parcel.read_offer(values, self._most_bytes)
            if offer.id == self._serving() or (self._models / (REFUSED + offer.id)).exists():
                return
            if not parcel.held(self._models, offer):
                self._ahead = _chunks(offer)
                parcel.land(self._models, offer, lambda name, size: self._read(offer, name, size))
                current.prune(self._state_dir, self._kept, offer.id)
            seconds = time.monotonic() - start
            self._on_landed(self._models / offer.id)
            self._say(Fetched(id, "landed", offer.size_bytes, seconds))
        except _GoneError:
            self._say(Fetched(id, "gone", detail="the learner has pruned it"))
        except ModelError as error:
            self._say(Fetched(id, "damaged", detail=str(error)))
        except OSError as error:
            self._say(Fetched(id, "disk", detail=str(error)))
        except _StoppedError:
            raise
        except Exception as error:  # no memory, say: this model is lost, later ones are not
            self._say(Fetched(id, "damaged", detail=repr(error)))
        finally:
            self._asked.clear()
            with self._due_lock:
                self._due.clear()
            self.progress = None

    def _read(self, offer: Offer, name: str, size: int) -> Iterator[bytes]:
        for offset in range(0, size, CHUNK_BYTES):
            while len(self._asked) < WINDOW and (ask := next(self._ahead, None)) is not None:
                self._asked.append(ask)
                self._put(ask)
            self.progress = {"id": offer.id, "file": name, "bytes": offset, "of": size}
            data = self._arrived()
            if len(data) != min(CHUNK_BYTES, size - offset):
                raise ModelError(f"{offer.id}: {name} is not as long as was offered")
            yield data

    def _arrived(self) -> bytes:
        """The chunk that was asked for first; others are of an earlier fetch."""
        while True:
            chunk, data = self._hear()
            if chunk is not None and chunk == self._asked[0]:
                self._asked.popleft()
                return data

    def _put(self, *asks: Ask) -> None:
        with self._due_lock:
            self._due.update(asks)
        for ask in asks:
            self.asks.put(ask)
        self._on_news()

    def _say(self, fetched: Fetched) -> None:
        self.fetched.put(fetched)
        self._on_news()


def _chunks(offer: Offer) -> Iterator[Ask]:
    """All that there is to ask for, in the order in which it is written."""
    for name, size in offer.files.items():
        for offset in range(0, size, CHUNK_BYTES):
            yield Ask(offer.id, name, offset)
