"""Runs a device: captures on one thread, makes and sends frames on this one, until a signal."""

import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Generic, Protocol, TypeVar

from rvsense.errors import UsageError
from rvsense.frames import AnyFrame, CameraFrame, Kind
from rvsense.replay.devices.figures import Figures
from rvsense.replay.devices.outlet import Outlet
from rvsense.replay.sender import Sender
from rvsense.wire import SITE

Item = TypeVar("Item")

_LOOK_S = 0.2


class Device(Protocol, Generic[Item]):
    """What a device must do. `capture` runs on a thread of its own, the rest on the sender's."""

    @property
    def name(self) -> str:
        """What it is, in a word."""

    @property
    def ends_s(self) -> float:
        """How long `capture` may take to end once `stop` is set; it is not waited for longer."""

    def capture(self, offer: Callable[[Item], None], stop: threading.Event) -> None:
        """Offer what the device gives until it ends or `stop` is set; raises when it cannot."""

    def frames(self, item: Item) -> Sequence[AnyFrame]:
        """The messages of one captured item."""

    def dropped(self) -> Mapping[str, int]:
        """Frames that the device lost, by reason."""

    def notes(self) -> Mapping[str, int]:
        """Other counts worth a look."""


def check_site(site: str) -> str:
    """The name of a site, if it is one.

    Raises:
        UsageError: it is not.
    """
    if not SITE.fullmatch(site):
        raise UsageError(f"--site {site!r}: 1-64 of A-Z a-z 0-9 _ . - expected")
    return site


def main(
    device: Device[Item], site: str, to: str, *, keys: str | None = None, seconds: float = 0.0
) -> int:
    """Run until the device ends, a signal, or `seconds` are over; then one JSON line of figures.

    Raises:
        RvsenseError: the device cannot be opened, or what it gives cannot be used.
    """
    figures = Figures(site, device.name, started_ns=time.monotonic_ns())
    with until_signal() as stop:
        try:
            run(device, to, figures, stop, keys=keys, seconds=seconds)
        finally:
            print(figures.as_json(), flush=True)
    return 0


@contextmanager
def until_signal() -> Iterator[threading.Event]:
    """An event that SIGINT and SIGTERM set, while the context lasts."""
    stop = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, on_signal) for number in numbers}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run(
    device: Device[Item],
    to: str,
    figures: Figures,
    stop: threading.Event,
    *,
    keys: str | None = None,
    seconds: float = 0.0,
) -> None:
    """The loop of `main`, for callers that have their own way to stop it."""
    outlet: Outlet[Item] = Outlet()
    undelivered = 0

    def captured() -> None:
        try:
            device.capture(outlet.offer, stop)
        except BaseException as error:
            outlet.close(error)
        else:
            outlet.close()

    def observe() -> None:
        dropped = {**device.dropped(), "overrun": outlet.overrun, "undelivered": undelivered}
        figures.observe(outlet.captured, dropped, device.notes(), time.monotonic_ns())

    live = _Live(figures) if sys.stderr.isatty() else None
    thread = threading.Thread(target=captured, name="capture", daemon=True)
    over = threading.Timer(seconds, stop.set)
    over.daemon = True
    try:
        with Sender(to, stop, live=True, keys=keys) as sender:
            thread.start()
            if seconds:
                over.start()
            while not stop.is_set() and not outlet.ended:
                outlet.check()
                item = outlet.take(_LOOK_S) if sender.ready() else None
                for frame in device.frames(item) if item is not None else ():
                    if not (sender.ready() and sender.send(frame)):
                        undelivered += 1
                        break
                    figures.count_sent(_kind(frame), time.monotonic_ns())
                observe()
                if live:
                    live.show()
    finally:
        stop.set()
        over.cancel()
        if thread.ident is not None:
            thread.join(device.ends_s)
        while outlet.take(0.0) is not None:
            undelivered += 1
        observe()
    outlet.check()


def _kind(frame: AnyFrame) -> Kind:
    return "camera" if isinstance(frame, CameraFrame) else "radar"


class _Live:
    """A line a second on a terminal."""

    def __init__(self, figures: Figures) -> None:
        self._figures = figures
        self._shown_ns = figures.started_ns
        self._sent: Counter[Kind] = Counter()

    def show(self) -> None:
        figures = self._figures
        since_s = (figures.now_ns - self._shown_ns) / 1e9
        if since_s >= 1.0:
            print(figures.as_text(self._sent, since_s), file=sys.stderr, flush=True)
            self._shown_ns, self._sent = figures.now_ns, figures.sent.copy()
