"""Capture never waits, the newest wins, what is lost is counted, and failures are told."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest
import zmq

from rvsense.errors import RvsenseError, UsageError
from rvsense.frames import AnyFrame, CameraFrame
from rvsense.replay.devices.figures import Figures
from rvsense.replay.devices.outlet import MOST, Outlet
from rvsense.replay.devices.running import check_site, run
from rvsense.wire import decode

PATIENCE_S = 30.0


class Counting:
    """A device that offers numbers, and says when it has."""

    name = "counting"
    ends_s = 3.0

    def __init__(self, numbers: Sequence[int], error: Exception | None = None) -> None:
        self.offered = threading.Event()
        self._numbers = numbers
        self._error = error

    def capture(self, offer: Callable[[int], None], stop: threading.Event) -> None:
        """All numbers at once; then the error, if there is one."""
        for number in self._numbers:
            offer(number)
        self.offered.set()
        if self._error is not None:
            raise self._error
        stop.wait(PATIENCE_S)

    def frames(self, item: int) -> Sequence[AnyFrame]:
        """A picture that is none."""
        return [CameraFrame(site="a", seq=item, stamp_ns=item, codec="jpeg", image=b"\xff\xd8")]

    def dropped(self) -> Mapping[str, int]:
        """As a radar that lacked packets."""
        return {"incomplete": 2}

    def notes(self) -> Mapping[str, int]:
        """As a camera that was lost."""
        return {"reconnections": 1}


@pytest.fixture
def receiver() -> Iterator[tuple[Callable[[], Any], str]]:
    """A PULL socket that is not bound yet, and where it will be."""
    context = zmq.Context()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    pull = context.socket(zmq.PULL)
    pull.setsockopt(zmq.RCVTIMEO, round(PATIENCE_S * 1000))

    def bind() -> Any:
        pull.bind(f"tcp://127.0.0.1:{port}")
        return pull

    yield bind, f"tcp://127.0.0.1:{port}"
    context.destroy(linger=0)


def started(device: Counting, to: str) -> tuple[threading.Thread, Figures, threading.Event]:
    """The device's loop on a thread."""
    figures, stop = Figures("a", device.name, started_ns=time.monotonic_ns()), threading.Event()
    thread = threading.Thread(target=run, args=(device, to, figures, stop))
    thread.start()
    return thread, figures, stop


def test_without_a_receiver_only_the_newest_wait(
    receiver: tuple[Callable[[], Any], str],
) -> None:
    """A daemon that comes late gets what is fresh, not what has become old meanwhile."""
    bind, to = receiver
    device = Counting(range(100))
    thread, figures, stop = started(device, to)
    assert device.offered.wait(PATIENCE_S)
    pull = bind()
    got = [decode(pull.recv_multipart()).seq for _ in range(MOST)]
    stop.set()
    thread.join(PATIENCE_S)
    assert got == list(range(100))[-MOST:]
    assert figures.captured == 100
    assert figures.dropped["overrun"] == 100 - MOST
    assert figures.sent["camera"] == MOST


def test_what_a_capture_fails_with_is_raised_though_nobody_receives() -> None:
    """A device that cannot be used must not wait for a daemon to say so."""
    device = Counting([1, 2], RvsenseError("the radar is another"))
    figures = Figures("a", device.name)
    with pytest.raises(RvsenseError, match="another"):
        run(device, "tcp://127.0.0.1:1", figures, threading.Event())
    assert figures.captured == 2


def test_a_receiver_that_goes_away_keeps_nobody(
    receiver: tuple[Callable[[], Any], str],
) -> None:
    """A run of so many seconds ends after them, though nobody takes what is in hand."""
    bind, to = receiver
    device = Counting(range(1000))
    figures = Figures("a", device.name)
    pull = bind()
    gone = threading.Timer(0.5, pull.close, kwargs={"linger": 0})
    gone.start()
    thread = threading.Thread(
        target=run, args=(device, to, figures, threading.Event()), kwargs={"seconds": 1.5}
    )
    thread.start()
    thread.join(PATIENCE_S)
    gone.join()
    assert not thread.is_alive()


def test_a_device_that_takes_long_to_end_is_waited_for() -> None:
    """A board that is being set up is stopped before the program ends."""
    stopped: list[bool] = []

    class Board(Counting):
        ends_s = PATIENCE_S

        def capture(self, offer: Callable[[int], None], stop: threading.Event) -> None:
            stop.wait(PATIENCE_S)
            time.sleep(3.5)
            stopped.append(True)

    run(Board([]), "tcp://127.0.0.1:1", Figures("a", "board"), threading.Event(), seconds=0.1)
    assert stopped


def test_what_still_waits_at_the_end_is_counted() -> None:
    """Every captured frame was sent, or is dropped for a reason."""
    device = Counting(range(10))
    figures = Figures("a", device.name)
    run(device, "tcp://127.0.0.1:1", figures, threading.Event(), seconds=0.5)
    assert figures.captured == 10
    assert figures.dropped["overrun"] + figures.dropped["undelivered"] == 10


def test_a_malformed_endpoint_is_a_clear_error() -> None:
    """Before the device is touched."""
    device = Counting([])
    with pytest.raises(UsageError, match="nowhere"):
        run(device, "nowhere", Figures("a", device.name), threading.Event())
    assert not device.offered.is_set()


def test_the_line_counts_and_ends() -> None:
    """Each item is taken, pushed out by newer ones, or still there."""
    outlet: Outlet[int] = Outlet(most=2)
    for number in range(5):
        outlet.offer(number)
    assert not outlet.ended
    outlet.close()
    assert [outlet.take(0.0), outlet.take(0.0), outlet.take(0.0)] == [3, 4, None]
    assert (outlet.captured, outlet.overrun, outlet.ended) == (5, 3, True)


def test_figures_as_json_and_for_people() -> None:
    """Rates from the first frame sent to the last, counts since the start."""
    figures = Figures("gate", "radar", started_ns=0)
    for nth in range(11):
        figures.count_sent("radar", nth * 100_000_000)
    figures.observe(14, {"incomplete": 2, "overrun": 1}, {"late_packets": 0}, 2_000_000_000)
    told = json.loads(figures.as_json())
    assert told["rate_hz"] == {"radar": 10.0}
    assert told["dropped"] == {"incomplete": 2, "overrun": 1}
    assert (told["captured"], told["sent"], told["seconds"]) == (14, {"radar": 11}, 2.0)
    line = figures.as_text(type(figures.sent)(), 1.0)
    assert line == "radar of gate: radar 11.0/s (11), 2 incomplete, 1 overrun"


@pytest.mark.parametrize("site", ["", "a b", "x" * 65, "a/b"])
def test_a_site_that_no_daemon_would_take_is_refused(site: str) -> None:
    """At the command line, not frame by frame."""
    with pytest.raises(UsageError, match="--site"):
        check_site(site)
