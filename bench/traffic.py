"""Basestations: frames sent when they are due, and when the answer to each has come."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import zmq

from rvsense import results
from rvsense.frames import CameraFrame, RadarFrame
from rvsense.replay.layouts import open_dataset
from rvsense.results import Result
from rvsense.wire import encode

PERIOD_S = 1 / 30
LATE_S = 2.0
"""An answer that has not come this long after the last frame will not come."""
JOIN_S = 30.0
KEPT_MOMENTS = 64
"""Sent again and again: 32 MiB of heatmaps, more than a core's caches hold."""

Key = tuple[str, int]
"""Site and sequence number of a radar frame."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A heatmap and the JPEG of the same instant."""

    radar: RadarFrame
    camera: CameraFrame


@dataclass(frozen=True, slots=True)
class Trip:
    """What became of a frame, in seconds: until its result was here, and within the daemon."""

    round_s: float
    daemon_s: float


def moments(data: Path, count: int = KEPT_MOMENTS) -> list[Moment]:
    """The first instants of a dataset that have both streams."""
    found: list[Moment] = []
    for sequence in open_dataset(data).sequences:
        for frame_id in sorted(sequence.radar_ns.keys() & sequence.camera_ns.keys()):
            radar = sequence.read_radar(frame_id, seq=0, epoch=0)
            found.append(Moment(radar, sequence.read_camera(frame_id, seq=0, epoch=0)))
            if len(found) == count:
                return found
    return found


class Client:
    """A context manager: sends from the calling thread, takes results in one of its own."""

    def __init__(self, endpoints: Mapping[str, str]) -> None:
        self.results: dict[Key, Result] = {}
        self._sent_s: dict[Key, float] = {}
        self._came_s: dict[Key, float] = {}
        self._numbers: Counter[str] = Counter()
        self._context = zmq.Context()
        self._context.linger = 0
        self._push = self._context.socket(zmq.PUSH)
        self._push.connect(endpoints["intake"])
        self._stop = threading.Event()
        self._taking = threading.Thread(target=self._take, args=(endpoints["results"],))

    def __enter__(self) -> "Client":
        self._taking.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._taking.join()
        self._push.close()
        self._context.term()

    def join(self, moment: Moment, site: str) -> None:
        """Send frames of a site until a result comes: the subscription has arrived."""
        until = time.monotonic() + JOIN_S
        while not self.results:
            if time.monotonic() > until:
                raise SystemExit("no result came from the daemon: see its log")
            self.send(moment, site, camera=False)
            time.sleep(PERIOD_S)
        time.sleep(10 * PERIOD_S)
        self.forget()

    def send(self, moment: Moment, site: str, *, camera: bool) -> Key:
        """The radar frame, then its image, both stamped now."""
        seq, stamp_ns = self._numbers[site], time.time_ns()
        self._numbers[site] += 1
        radar = encode(replace(moment.radar, site=site, seq=seq, stamp_ns=stamp_ns))
        self._sent_s[site, seq] = time.perf_counter()
        self._push.send_multipart(radar, copy=False)
        if camera:
            image = replace(moment.camera, site=site, seq=seq, stamp_ns=stamp_ns)
            self._push.send_multipart(encode(image), copy=False)
        return site, seq

    def trips(self) -> dict[Key, Trip | None]:
        """Of all frames since `forget`, after waiting for the last; None = no answer came."""
        until = time.monotonic() + LATE_S
        while self._sent_s.keys() - self._came_s.keys() and time.monotonic() < until:
            time.sleep(0.01)
        return {key: self._trip(key) for key in self._sent_s}

    def forget(self) -> None:
        """Begin to count anew."""
        for kept in (self._sent_s, self._came_s, self.results):
            kept.clear()

    def _trip(self, key: Key) -> Trip | None:
        if key not in self._came_s:
            return None
        result = self.results[key]
        within_s = (result.published_ns - result.received_ns) / 1e9
        return Trip(self._came_s[key] - self._sent_s[key], within_s)

    def _take(self, endpoint: str) -> None:
        with self._context.socket(zmq.SUB) as socket:
            socket.set_hwm(0)
            socket.subscribe(results.topic(""))
            socket.connect(endpoint)
            while not self._stop.is_set():
                if not socket.poll(100):
                    continue
                parts = socket.recv_multipart()
                came_s = time.perf_counter()
                result = results.unpack(parts)
                if not result.repeat:
                    key = result.site, result.seq
                    self.results[key] = result
                    self._came_s[key] = came_s


def paced(
    client: Client,
    sites: Sequence[str],
    film: Sequence[Moment],
    seconds: float,
    *,
    camera: bool,
    between: Callable[[Moment, Key], None] | None = None,
) -> None:
    """Send every site's frames at 30 fps, each site at a phase of its own, drawn by its name.

    `between` is called for each frame half a period after it was sent.
    """
    phase = {site: random.Random(site).random() * PERIOD_S for site in sites}
    order = sorted(sites, key=lambda site: phase[site])
    began_s = time.perf_counter()
    for number in range(round(seconds / PERIOD_S)):
        moment = film[number % len(film)]
        for site in order:
            due_s = began_s + number * PERIOD_S + phase[site]
            _sleep_until(due_s)
            key = client.send(moment, site, camera=camera)
            if between is not None:
                _sleep_until(due_s + PERIOD_S / 2)
                between(moment, key)


def _sleep_until(due_s: float) -> None:
    wait_s = due_s - time.perf_counter()
    if wait_s > 0:
        time.sleep(wait_s)
