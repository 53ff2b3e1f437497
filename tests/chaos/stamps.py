"""Devices whose clocks jump or drift, and what a daemon makes of it."""

import math
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.chaos.feeding import Devices
from tests.chaos.report import Figure, at_most
from tests.chaos.stage import Stage

NS_PER_S = 1_000_000_000
HOUR_NS = 3600 * NS_PER_S
FRAMES_PER_S = 30
BEGIN_NS = 10 * HOUR_NS
OFFSET_NS = 7_000_000
JITTER_NS = 1_000_000
DRIFT = 200e-6
WITHIN_MS = 2.0
LEARNED_FRAMES = 5 * FRAMES_PER_S
LOOK_FRAMES = 10 * FRAMES_PER_S
LOST_PAIRS = 3
"""About a jump."""

JUMPS = (
    ("an hour back", -HOUR_NS, 0),
    ("an hour back, declared", -HOUR_NS, 1),
    ("an hour ahead", HOUR_NS, 0),
    ("an hour ahead, declared", HOUR_NS, 1),
)
"""What it is called, by how much, and by how much the epoch rises with it."""


class Pair:
    """A radar and a camera at 30 fps; the camera's clock is `OFFSET_NS` behind but for what comes.

    `truth_ns` is how far it was behind at the last frame.
    """

    def __init__(self, devices: Devices, site: str, random_: random.Random) -> None:
        self.truth_ns = OFFSET_NS
        self.site = site
        self._devices, self._random = devices, random_
        self._frames = 0

    def go_on(
        self,
        frames: int,
        *,
        set_ns: int = 0,
        camera_ns: int = 0,
        drift: float = 0.0,
        epoch: int = 0,
    ) -> None:
        """Send so many frames of both.

        `set_ns` is how far both clocks have been set, `camera_ns` how far the camera's alone;
        `drift` how much faster it runs, since the first frame.
        """
        for _ in range(frames):
            elapsed_ns = self._frames * NS_PER_S // FRAMES_PER_S
            self._frames += 1
            radar_ns = BEGIN_NS + elapsed_ns + set_ns
            self.truth_ns = OFFSET_NS - camera_ns - round(elapsed_ns * drift)
            jitter_ns = round(self._random.uniform(-JITTER_NS, JITTER_NS))
            self._devices.radar(self.site, radar_ns, epoch)
            self._devices.camera(self.site, radar_ns - self.truth_ns + jitter_ns, epoch)

    def error_ms(self, stage: Stage) -> float:
        """How far the daemon's offset is from the truth; infinite where it has none."""
        self._devices.settle()
        offset_ns = stage.status()["pairing"]["sites"][self.site]["offset_ns"]
        return math.inf if offset_ns is None else abs(offset_ns - self.truth_ns) / 1e6


@dataclass(frozen=True, slots=True)
class Story:
    """What a site's clocks went through; `pairs` could be found, the offset's errors were these."""

    what: str
    site: str
    pairs: int
    errors_ms: list[float]

    def figures(self, status: Mapping[str, Any]) -> list[Figure]:
        """With the daemon's last word, by which nothing is pending any more."""
        found = status["pairing"]["sites"][self.site]["radar"]["paired"]
        return [
            at_most(f"{self.what}: offset off by", max(self.errors_ms), WITHIN_MS, " ms of offset"),
            at_most(f"{self.what}: pairs lost of {self.pairs}", self.pairs - found, LOST_PAIRS),
        ]


def jumps(devices: Devices, stage: Stage, random_: random.Random, frames: int) -> Iterator[Story]:
    """Each jump at its own site, with so many frames before it and after it."""
    for number, (what, set_ns, epoch) in enumerate(JUMPS):
        pair = Pair(devices, f"jump-{number}", random_)
        pair.go_on(frames)
        pair.go_on(frames, set_ns=set_ns, epoch=epoch)
        yield Story(f"both stamps {what}", pair.site, 2 * frames, [pair.error_ms(stage)])
    pair = Pair(devices, "camera-jumps", random_)
    pair.go_on(frames)
    pair.go_on(frames, camera_ns=-HOUR_NS)
    pair.go_on(frames)
    what = "the camera's an hour back, and right again"
    yield Story(what, pair.site, 2 * frames, [pair.error_ms(stage)])


def drift(devices: Devices, stage: Stage, random_: random.Random, frames: int) -> Iterator[Story]:
    """The camera's clock too fast, and too slow at another site, for so many frames."""
    for what, rate in (("fast", DRIFT), ("slow", -DRIFT)):
        pair, errors_ms = Pair(devices, f"camera-{what}", random_), []
        pair.go_on(LEARNED_FRAMES, drift=rate)
        for _ in range(0, frames - LEARNED_FRAMES, LOOK_FRAMES):
            pair.go_on(LOOK_FRAMES, drift=rate)
            errors_ms.append(pair.error_ms(stage))
        minutes = devices.sent[pair.site] / FRAMES_PER_S / 60
        name = f"camera {DRIFT * 1e6:.0f} ppm too {what} for {minutes:.1f} min"
        yield Story(name, pair.site, devices.sent[pair.site], errors_ms)
