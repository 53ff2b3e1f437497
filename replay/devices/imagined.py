"""Echoes that a radar beside the camera might have of what moves in its picture. Pure.

How far something is follows from how tall it looks: upright things are taken for people of 1.7 m,
wide ones for cars of 1.5 m. Then the simulator's own ADC and chain make a heatmap of it, in front
of the clutter of one of its sites. It is an invention, but one that picture and radar share.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rvsense.replay.devices.motion import Box
from rvsense.replay.dsp import range_azimuth, to_planes
from rvsense.replay.simulate.adc import chirp_times_s, receive, tones
from rvsense.replay.simulate.clutter import build_clutter
from rvsense.replay.simulate.scatterers import Echoes
from rvsense.replay.simulate.sites import build_site

PERSON_M, CAR_M = 1.7, 1.5
WIDE = 1.3
"""Width over height from which on something is no person."""
NEAR_M, FAR_M = 1.5, 25.0
FASTEST_M_PER_S = 8.0
POINTS = {True: 24, False: 12}
"""Scattering points of a car, and of a person."""
SAME_RAD = 0.15
FRESH = 0.3
"""Part that a new picture has in a body's range and speed."""


@dataclass(frozen=True, slots=True)
class Body:
    """Something at a place that comes nearer or goes away."""

    range_m: float
    azimuth_rad: float
    width_m: float
    height_m: float
    speed_m_per_s: float
    car: bool


def body(box: Box, focal: float) -> Body:
    """Where a box is in the world; `focal` is the camera's focal length in picture widths."""
    car = box.width > WIDE * box.height
    tall_m = CAR_M if car else PERSON_M
    range_m = min(max(focal * tall_m / box.height, NEAR_M), FAR_M)
    azimuth = math.atan((box.centre - 0.5) / focal)
    return Body(range_m, azimuth, range_m * box.width / focal, tall_m, 0.0, car)


def focal_of(fov_deg: float) -> float:
    """Focal length in picture widths of a camera that sees `fov_deg` from left to right."""
    return 0.5 / math.tan(math.radians(fov_deg) / 2)


def with_speed(now: Body, before: Sequence[Body], seconds: float) -> Body:
    """The same with the speed at which the nearest in angle of the bodies `before` has moved."""
    near = [one for one in before if abs(one.azimuth_rad - now.azimuth_rad) < SAME_RAD]
    if not near or seconds <= 0:
        return now
    last = min(near, key=lambda one: abs(one.azimuth_rad - now.azimuth_rad))
    # A box's height flickers by a row or two, and its range with it.
    range_m = last.range_m + FRESH * (now.range_m - last.range_m)
    speed = last.speed_m_per_s + FRESH * ((range_m - last.range_m) / seconds - last.speed_m_per_s)
    speed = min(max(speed, -FASTEST_M_PER_S), FASTEST_M_PER_S)
    return Body(range_m, now.azimuth_rad, now.width_m, now.height_m, speed, now.car)


class Imagined:
    """The radar that is not there, at one of the simulator's sites."""

    def __init__(self, seed: int = 0) -> None:
        self._site = build_site(seed, 0)
        self._clutter = build_clutter(self._site)
        self._rng = np.random.default_rng(seed)

    def heatmap(self, bodies: Sequence[Body], time_s: float) -> npt.NDArray[np.float32]:
        """(4, 128, 128, 2), as CRUW stores it, of these bodies `time_s` after the start."""
        times_s = chirp_times_s()
        height_m = self._site.radar_height_m
        parts = [self._clutter.at(self._rng)]
        parts.append(tones(self._clutter.leaves(time_s + times_s), height_m))
        parts += [tones(self._echoes(one, times_s), height_m) for one in bodies]
        cube = receive(parts, self._site.dc_lsb, self._rng)
        return to_planes(range_azimuth(cube))

    def _echoes(self, one: Body, times_s: npt.NDArray[np.float64]) -> Echoes:
        count = POINTS[one.car]
        rng = self._rng
        across = rng.uniform(-0.5, 0.5, count) * one.width_m
        along = rng.uniform(0.0, 0.3 if not one.car else 1.5, count)
        up = rng.uniform(0.1, one.height_m, count)
        ranges = one.range_m + one.speed_m_per_s * times_s[:, None] + along
        sine, cosine = math.sin(one.azimuth_rad), math.cos(one.azimuth_rad)
        points = np.stack(
            [
                ranges * sine + across * cosine,
                ranges * cosine - across * sine,
                np.broadcast_to(up, ranges.shape),
            ],
            axis=-1,
        )
        return Echoes(points, rng.lognormal(-0.8 if not one.car else -0.4, 0.5, count))
