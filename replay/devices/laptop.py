"""`rvsense device laptop`: a webcam, and beside it a radar that is only simulated.

For trying the whole loop without a radar. The radar's echoes are made from what moves in the
picture (`motion`, `imagined`): both streams tell of the same things, so there is something to
learn, but nothing that would be of use with a real radar. Every radar frame says so.
"""

import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from rvsense.frames import AnyFrame, RadarFrame
from rvsense.replay.devices.camera import (
    ENDS_S,
    Numbered,
    UnreadableError,
    Watch,
    picture,
    unused,
)
from rvsense.replay.devices.imagined import Body, Imagined, body, focal_of, with_speed
from rvsense.replay.devices.moments import Throttle
from rvsense.replay.devices.motion import COLUMNS, Motion
from rvsense.replay.devices.video import Source

WARNING = (
    "rvsense device laptop: THE RADAR IS SIMULATED. Its echoes are made from what moves in the "
    "camera's picture: for trying rvsense, not for use with a real radar."
)


class Laptop:
    """A camera as a device that sends radar frames as well."""

    name: Final = "laptop"
    ends_s: Final = ENDS_S

    def __init__(self, source: Source, site: str, epoch: int, fov_deg: float, seed: int) -> None:
        self._watch = Watch(source)
        self._source = source
        self._site = site
        self._epoch = epoch
        self._focal = focal_of(fov_deg)
        self._motion = Motion()
        self._radar = Imagined(seed)
        self._before: list[Body] = []
        self._before_ns = 0
        self._began_ns: int | None = None
        self._spoilt = 0

    def capture(self, offer: Callable[[Numbered], None], stop: threading.Event) -> None:
        """Offer the pictures that are to be sent."""
        print(WARNING, file=sys.stderr, flush=True)
        throttle = Throttle(self._source.fps)
        seq = 0
        for shot in self._watch.shots(stop):
            if throttle.takes(shot.stamp_ns):
                offer(Numbered(seq, shot))
                seq += 1

    def frames(self, item: Numbered) -> Sequence[AnyFrame]:
        """The picture, and what a radar might have seen at that moment."""
        stamp_ns = item.shot.stamp_ns
        try:
            seen = picture(item, self._site, self._epoch, self._source.size)
        except UnreadableError:
            self._spoilt += 1
            return []
        self._began_ns = stamp_ns if self._began_ns is None else self._began_ns
        whole = item.shot.picture
        rows = round(COLUMNS * whole.height / whole.width)
        small = whole.reformat(width=COLUMNS, height=rows, format="gray8")
        seconds = (stamp_ns - self._before_ns) / 1e9
        boxes = self._motion.boxes(small.to_ndarray())
        bodies = [with_speed(body(box, self._focal), self._before, seconds) for box in boxes]
        self._before, self._before_ns = bodies, stamp_ns
        radar = RadarFrame(
            site=self._site,
            seq=item.seq,
            stamp_ns=stamp_ns,
            epoch=self._epoch,
            source={"radar": "simulated", "echoes": len(bodies)},
            heatmap=self._radar.heatmap(bodies, (stamp_ns - self._began_ns) / 1e9),
        )
        return [seen, radar]

    def dropped(self) -> Mapping[str, int]:
        """Pictures that nobody can use."""
        return unused(self._watch.counts, self._spoilt)

    def notes(self) -> Mapping[str, int]:
        """How often the camera was lost."""
        return {"reconnections": self._watch.reconnections}
