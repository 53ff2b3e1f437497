"""Where an object is at any moment: passes through the scene, one after the other.

Ground coordinates in metres, radar at the origin: x to the right, y along boresight. A heading
is the angle from the x axis towards y. A pass runs along a gentle arc; when it has left the
scene the next one begins, so a long sequence keeps having something to see.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

FAR_M = 26.0
SIDE_RAD = np.deg2rad(72.0)
ANCHOR_SIDE_RAD = np.deg2rad(32.0)
VIEW_SIDE_RAD = np.deg2rad(37.0)
"""The camera sees 40 degrees to either side, the radar more."""
OPENING_S = 1.0
"""So long the first object of a sequence stays in the camera's view."""


@dataclass(frozen=True)
class Habits:
    """How a class moves: ranges of its centre, speeds, share that stands, bends."""

    near_m: float
    far_m: float
    """Farthest anchor; a pass may well lead farther away."""
    slow_m_s: float
    fast_m_s: float
    standing: float
    curvature_per_m: float


HABITS = {
    "pedestrian": Habits(2.8, 11.0, 0.6, 1.9, 0.15, 0.06),
    "cyclist": Habits(3.2, 11.5, 1.8, 6.5, 0.06, 0.03),
    "car": Habits(5.0, 16.0, 1.0, 10.0, 0.12, 0.015),
}


@dataclass(frozen=True)
class Obstacle:
    """A disc on the ground that nothing drives or walks through."""

    x_m: float
    y_m: float
    radius_m: float


@dataclass(frozen=True)
class Pose:
    """Centre, heading and distance gone of one object; every field is (times,)."""

    time_s: Array
    x_m: Array
    y_m: Array
    heading_rad: Array
    travel_m: Array

    def place(self, local: Array) -> Array:
        """Points in the object's frame (times or 1, n, 3: forward, left, up) to (times, n, 3)."""
        cos, sin = np.cos(self.heading_rad)[:, None], np.sin(self.heading_rad)[:, None]
        forward, left, up = local[..., 0], local[..., 1], local[..., 2]
        x = self.x_m[:, None] + forward * cos - left * sin
        y = self.y_m[:, None] + forward * sin + left * cos
        return np.stack([x, y, np.broadcast_to(up, x.shape)], axis=-1)


@dataclass(frozen=True)
class Anchor:
    """A point that a path goes through, its heading there and its bend."""

    x_m: float
    y_m: float
    heading_rad: float
    curvature_per_m: float

    def arc(self, along_m: Array) -> tuple[Array, Array, Array]:
        """x, y and heading at distances `along_m` from the anchor, negative before it."""
        bend = self.curvature_per_m if abs(self.curvature_per_m) > 1e-6 else 1e-6
        heading = self.heading_rad + bend * along_m
        x = self.x_m + (np.sin(heading) - np.sin(self.heading_rad)) / bend
        y = self.y_m - (np.cos(heading) - np.cos(self.heading_rad)) / bend
        return x, y, heading


@dataclass(frozen=True)
class Pass:
    """One crossing of the scene from `start_s` to `end_s` along an arc through an anchor."""

    start_s: float
    end_s: float
    anchor: Anchor
    speed_m_s: float
    first_m: float
    """Distance along the arc from the anchor at `start_s`; negative before the anchor."""

    def pose(self, time_s: Array) -> Pose:
        """Pose at each of `time_s` (times,)."""
        along = self.first_m + self.speed_m_s * (time_s - self.start_s)
        x, y, heading = self.anchor.arc(along)
        return Pose(time_s, x, y, heading, along)


def draw_passes(
    kind: str, rng: np.random.Generator, duration_s: float, obstacles: Sequence[Obstacle]
) -> list[Pass]:
    """Passes of `kind` that fill `duration_s`, with short gaps between them."""
    passes: list[Pass] = []
    start_s = 0.0
    while start_s < duration_s:
        passes.append(_draw_pass(HABITS[kind], rng, start_s, duration_s, obstacles))
        start_s = passes[-1].end_s + rng.uniform(0.2, 1.0)
    return passes


def _draw_pass(
    habits: Habits,
    rng: np.random.Generator,
    start_s: float,
    duration_s: float,
    obstacles: Sequence[Obstacle],
) -> Pass:
    """A first pass is near its anchor when the sequence starts; later ones enter from outside."""
    while True:
        near_m = habits.near_m + 0.6
        range_m = near_m + (habits.far_m - near_m) * rng.random() ** 1.3
        azimuth = rng.uniform(-ANCHOR_SIDE_RAD, ANCHOR_SIDE_RAD)
        anchor = Anchor(
            x_m=float(range_m * np.sin(azimuth)),
            y_m=float(range_m * np.cos(azimuth)),
            heading_rad=float(rng.uniform(0.0, 2.0 * np.pi)),
            curvature_per_m=float(rng.normal(0.0, habits.curvature_per_m)),
        )
        speed = float(rng.uniform(habits.slow_m_s, habits.fast_m_s))
        if start_s == 0.0 and rng.random() < habits.standing:
            if not _blocked(np.array([anchor.x_m]), np.array([anchor.y_m]), obstacles):
                return Pass(0.0, duration_s, anchor, 0.0, 0.0)
            continue
        ends = _way(anchor, habits.near_m, obstacles)
        if ends is None:
            continue
        enter, leave = ends
        if start_s == 0.0:
            opening_s = min(duration_s, OPENING_S)
            enter = max(enter, -speed * float(rng.uniform(0.0, opening_s)))
            x, y, _ = anchor.arc(np.array([enter, enter + speed * opening_s]))
            if np.abs(np.arctan2(x, y)).max() > VIEW_SIDE_RAD:
                continue
        return Pass(start_s, start_s + (leave - enter) / speed, anchor, speed, enter)


def _way(
    anchor: Anchor, near_m: float, obstacles: Sequence[Obstacle]
) -> tuple[float, float] | None:
    """How far the scene reaches along the arc on both sides of the anchor, if it is free."""
    along = np.arange(-70.0, 70.0, 0.25)
    x, y, _ = anchor.arc(along)
    ranges = np.hypot(x, y)
    inside = (ranges < FAR_M) & (np.abs(np.arctan2(x, y)) < SIDE_RAD)
    middle = int(np.abs(along).argmin())
    before, after = ~inside[:middle], ~inside[middle:]
    if not inside[middle] or not before.any() or not after.any():
        return None
    first = int(np.flatnonzero(before)[-1]) + 1
    last = middle + int(np.flatnonzero(after)[0]) - 1
    span = slice(first, last + 1)
    # It must leave by the far end or a side: nothing vanishes in front of the radar.
    if ranges[span].min() < near_m or _blocked(x[span], y[span], obstacles):
        return None
    return float(along[first]), float(along[last])


def _blocked(x: Array, y: Array, obstacles: Sequence[Obstacle]) -> bool:
    return any(bool((np.hypot(x - o.x_m, y - o.y_m) < o.radius_m).any()) for o in obstacles)
