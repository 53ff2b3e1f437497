"""The things that move in a scene: who they are, drawn once, and where they are when."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rvsense.replay.simulate.bodies import Gait, rider, walker
from rvsense.replay.simulate.tracks import Obstacle, Pass, Pose, draw_passes

Array = npt.NDArray[np.float64]

CYCLE_DEVELOPMENT_M = 4.6
"""Ground covered by a turn of the crank."""


@dataclass(frozen=True)
class Actor:
    """One object of a class on one pass. `look_seed` decides clothes, paint and scatterers."""

    kind: str
    path: Pass
    height_m: float
    length_m: float
    width_m: float
    gait: Gait | None
    pedals: bool
    engine_hum_m: float
    look_seed: int

    def present(self, time_s: float) -> bool:
        """Whether the object is in the scene at `time_s`."""
        return self.path.start_s <= time_s < self.path.end_s

    def pose(self, time_s: Array) -> Pose:
        """Pose at each time; an idling engine shakes the car by a fraction of a millimetre."""
        pose = self.path.pose(time_s)
        if self.engine_hum_m == 0.0:
            return pose
        hum = self.engine_hum_m * np.sin(2.0 * np.pi * 26.0 * time_s)
        return Pose(time_s, pose.x_m + hum, pose.y_m + hum, pose.heading_rad, pose.travel_m)

    def joints(self, pose: Pose) -> Array:
        """Joints of a person (walking or riding) in the object's frame, (times, joints, 3)."""
        if self.kind == "pedestrian" and self.gait is not None:
            return walker(self.gait, pose.travel_m, pose.time_s)
        if self.kind == "cyclist":
            return rider(self.height_m, self.crank_rad(pose), pose.time_s)
        raise ValueError(f"a {self.kind} has no joints")

    def crank_rad(self, pose: Pose) -> Array:
        """Angle of the crank; it stands still when the rider coasts."""
        turn = 2.0 * np.pi * pose.travel_m / CYCLE_DEVELOPMENT_M
        return turn if self.pedals else np.full_like(turn, 1.4)


def draw_actors(
    kinds: Sequence[str],
    rng: np.random.Generator,
    duration_s: float,
    obstacles: Sequence[Obstacle],
) -> list[Actor]:
    """For each of `kinds` one chain of passes; each pass is another person or car."""
    return [
        _draw_actor(kind, path, rng)
        for kind in kinds
        for path in draw_passes(kind, rng, duration_s, obstacles)
    ]


def _draw_actor(kind: str, path: Pass, rng: np.random.Generator) -> Actor:
    height, length, width = 1.45, 4.5, 1.8
    gait = None
    if kind == "pedestrian":
        height, length, width = rng.uniform(1.55, 1.92), 0.5, 0.5
        swing = 0.0 if path.speed_m_s == 0.0 else 0.22 + 0.13 * path.speed_m_s
        gait = Gait(height, swing, stride_m=(0.55 + 0.5 * max(path.speed_m_s, 0.5)) * height / 1.7)
    elif kind == "cyclist":
        height, length, width = rng.uniform(1.6, 1.9), 1.75, 0.6
    else:
        height, length, width = (
            rng.uniform(1.4, 1.75),
            rng.uniform(3.8, 4.9),
            rng.uniform(1.7, 1.92),
        )
    idling = kind == "car" and path.speed_m_s == 0.0 and rng.random() < 0.5
    return Actor(
        kind=kind,
        path=path,
        height_m=float(height),
        length_m=float(length),
        width_m=float(width),
        gait=gait,
        pedals=bool(rng.random() < 0.75),
        engine_hum_m=1.5e-4 if idling else 0.0,
        look_seed=int(rng.integers(2**31)),
    )
