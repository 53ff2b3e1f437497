"""Devices with clocks of their own: frames go out as fast as their answers come back."""

from collections import Counter
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import zmq

from rvsense import results
from rvsense.frames import CameraFrame, RadarFrame
from rvsense.wire import encode
from tests.whole.running import PATIENCE_S

AHEAD = 32
"""Radar frames without an answer at any time: half of what a daemon keeps waiting."""
HEATMAP = np.zeros((1, 128, 128, 2), np.float16)
IMAGE = b"\xff\xd8"
"""Of a picture that nobody will look at."""
PATIENCE_MS = round(1e3 * PATIENCE_S)


class Devices:
    """A context manager: sends frames of any site, and counts the results.

    sent, answered   radar frames by site
    order_broken     results that came with a lower seq than one before
    missed           results that went by
    """

    def __init__(self, endpoints: Mapping[str, Any]) -> None:
        self.sent, self.answered = Counter[str](), Counter[str]()
        self.order_broken = self.missed = 0
        self._numbers = Counter[tuple[str, str]]()
        self._last: dict[str, int] = {}
        self._expected = Counter[str]()
        self._context = zmq.Context()
        self._context.linger = 0
        self._intake = self._context.socket(zmq.PUSH)
        self._intake.connect(endpoints["intake"])
        self._results = self._context.socket(zmq.SUB)
        self._results.set_hwm(0)
        self._results.subscribe(results.topic(""))
        self._results.connect(endpoints["results"])

    def __enter__(self) -> Self:
        self._wait_until_heard("hello")
        return self

    def __exit__(self, *_: object) -> None:
        self._context.destroy(linger=0)

    def radar(
        self, site: str, stamp_ns: int, epoch: int = 0, source: Mapping[str, str] | None = None
    ) -> None:
        """A radar frame; waits first while too many have no answer."""
        while self._waiting >= AHEAD:
            self._take(PATIENCE_MS)
        place = self._place("radar", site, stamp_ns, epoch)
        self._send(RadarFrame(**place, heatmap=HEATMAP, source=source or {}))
        self.sent[site] += 1

    def camera(self, site: str, stamp_ns: int, epoch: int = 0) -> None:
        """A camera frame."""
        place = self._place("camera", site, stamp_ns, epoch)
        self._send(CameraFrame(**place, codec="jpeg", image=IMAGE))

    def settle(self) -> None:
        """Wait for all answers."""
        while self._waiting:
            self._take(PATIENCE_MS)

    @property
    def _waiting(self) -> int:
        return sum(self.sent.values()) - sum(self.answered.values())

    def _place(self, kind: str, site: str, stamp_ns: int, epoch: int) -> dict[str, Any]:
        seq = self._numbers[kind, site]
        self._numbers[kind, site] += 1
        return {"site": site, "seq": seq, "stamp_ns": stamp_ns, "epoch": epoch}

    def _send(self, frame: RadarFrame | CameraFrame) -> None:
        self._intake.send_multipart(encode(frame))

    def _wait_until_heard(self, site: str) -> None:
        """Only once a subscription has arrived does each result come."""
        for second in range(round(PATIENCE_S)):
            self._send(RadarFrame(**self._place("radar", site, second, 0), heatmap=HEATMAP))
            if self._results.poll(1000):
                break
        while self._results.poll(1000):
            self._results.recv_multipart()

    def _take(self, timeout_ms: int) -> None:
        """Take in a result.

        Raises:
            AssertionError: none comes.
        """
        assert self._results.poll(timeout_ms), "frames are not answered any more"
        result = results.unpack(self._results.recv_multipart())
        if result.repeat:
            return
        self.answered[result.site] += 1
        self.order_broken += result.seq <= self._last.get(result.site, -1)
        self._last[result.site] = result.seq
        self.missed += result.result_seq - self._expected[result.site]
        self._expected[result.site] = result.result_seq + 1
