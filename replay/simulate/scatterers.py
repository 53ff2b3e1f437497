"""Each class as the radar meets it: point scatterers with their extent and their own motion.

An echo's strength is the square root of its radar cross-section in m². Walking people come to
about 0.5 m², a rider on a bicycle to 1 m², a car to 5-50 m² depending on the side it shows.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rvsense.replay.simulate import bodies
from rvsense.replay.simulate.actors import Actor
from rvsense.replay.simulate.tracks import Pose

Array = npt.NDArray[np.float64]

# (from, to, points, strength of each): where a person reflects.
_BONES = (
    ("pelvis", "neck", 4, 0.24),
    ("shoulder_l", "shoulder_r", 2, 0.20),
    ("head", "neck", 1, 0.16),
    ("hip_l", "knee_l", 2, 0.14),
    ("hip_r", "knee_r", 2, 0.14),
    ("knee_l", "ankle_l", 2, 0.12),
    ("knee_r", "ankle_r", 2, 0.12),
    ("ankle_l", "toe_l", 1, 0.08),
    ("ankle_r", "toe_r", 1, 0.08),
    ("shoulder_l", "elbow_l", 1, 0.10),
    ("shoulder_r", "elbow_r", 1, 0.10),
    ("elbow_l", "hand_l", 1, 0.09),
    ("elbow_r", "hand_r", 1, 0.09),
)
_RIM_POINTS = 8
_CAR_RIM_POINTS = 5
_CAR_WHEEL_M = 0.31


@dataclass(frozen=True)
class Echoes:
    """Points (times, n, 3) in ground coordinates and strengths (n,) in m."""

    points_m: Array
    strength_m: Array

    def centre_m(self) -> Array:
        """Mean position at the first time, weighted by power: (3,)."""
        power = self.strength_m**2
        centre: Array = (self.points_m[0] * power[:, None]).sum(0) / power.sum()
        return centre


def echoes(actor: Actor, pose: Pose) -> Echoes:
    """Scatterers of `actor` at every time of `pose`; strengths as at the first time."""
    rng = np.random.default_rng(actor.look_seed)
    if actor.kind == "car":
        local, strength = _car(actor, pose, rng)
    else:
        local, strength = _person(actor.joints(pose), rng)
        if actor.kind == "cyclist":
            bike, bike_strength = _bicycle(pose, rng)
            local = np.concatenate([local, bike], axis=1)
            strength = np.concatenate([strength, bike_strength])
    return Echoes(pose.place(local), strength * _fluctuation(len(strength), pose, rng))


def _fluctuation(count: int, pose: Pose, rng: np.random.Generator) -> Array:
    """Slow change of each echo with aspect, on top of the interference between them: (n,)."""
    rate_hz, phase = rng.uniform(0.3, 2.5, count), rng.uniform(0.0, 2.0 * np.pi, count)
    still: Array = 1.0 + 0.45 * np.sin(2.0 * np.pi * rate_hz * pose.time_s[0] + phase)
    return still


def _person(joints: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    points, strength = [], []
    for start, end, count, weight in _BONES:
        a, b = joints[:, bodies.INDEX[start]], joints[:, bodies.INDEX[end]]
        for share in (np.arange(count) + 0.5) / count:
            points.append(a + share * (b - a))
            strength.append(weight)
    local = np.stack(points, axis=1)
    local = local + rng.normal(0.0, 0.03, (1, local.shape[1], 3))
    return local, np.array(strength) * rng.lognormal(0.0, 0.35, len(strength))


def _bicycle(pose: Pose, rng: np.random.Generator) -> tuple[Array, Array]:
    tubes = np.array(
        [
            bodies.SADDLE_M, bodies.BOTTOM_BRACKET_M, bodies.HEAD_TUBE_M, bodies.STEM_M,
            (bodies.STEM_M[0], bodies.BAR_HALF_M, 1.02),
            (bodies.STEM_M[0], -bodies.BAR_HALF_M, 1.02),
            (0.15, 0.0, 0.55), (-0.3, 0.0, 0.45),
        ]
    )  # fmt: skip
    frame = np.broadcast_to(tubes, (len(pose.time_s), *tubes.shape))
    wheels = [
        _rim(pose, hub, bodies.WHEEL_RADIUS_M, _RIM_POINTS)
        for hub in (bodies.REAR_HUB_M, bodies.FRONT_HUB_M)
    ]
    local = np.concatenate([frame, *wheels], axis=1)
    weights = np.concatenate([np.full(len(tubes), 0.17), np.full(2 * _RIM_POINTS, 0.11)])
    return local, weights * rng.lognormal(0.0, 0.35, len(weights))


def _rim(pose: Pose, hub: tuple[float, float, float], radius_m: float, count: int) -> Array:
    """Points on a rolling wheel, (times, count, 3): the top runs at twice the speed."""
    turn = pose.travel_m[:, None] / radius_m + 2.0 * np.pi * np.arange(count) / count
    return np.stack(
        [
            hub[0] + radius_m * np.sin(turn),
            np.full(turn.shape, hub[1]),
            hub[2] + radius_m * np.cos(turn),
        ],
        axis=-1,
    )


def _car(actor: Actor, pose: Pose, rng: np.random.Generator) -> tuple[Array, Array]:
    """Bumpers, flanks, corners and wheels; what faces away is hidden, flat faces glint."""
    half_l, half_w = actor.length_m / 2.0, actor.width_m / 2.0
    ends, flanks = np.linspace(-0.8, 0.8, 7), np.linspace(-0.85, 0.85, 13)
    points, normals, weights = [], [], []
    for sign in (1.0, -1.0):
        for share in ends:
            points.append((sign * half_l, share * half_w, rng.uniform(0.4, 0.8)))
            normals.append((sign, 0.0))
            weights.append(1.0)
        for share in flanks:
            points.append((share * half_l, sign * half_w, rng.uniform(0.3, 0.95)))
            normals.append((0.0, sign))
            weights.append(0.8)
        for other in (1.0, -1.0):
            points.append((0.93 * sign * half_l, 0.93 * other * half_w, 0.6))
            normals.append((0.7071 * sign, 0.7071 * other))
            weights.append(1.6)
    body, body_normals = np.array(points), np.array(normals)
    body = body + rng.normal(0.0, 0.03, body.shape)
    wheels, wheel_normals = [], []
    for along in (0.6 * half_l, -0.6 * half_l):
        for sign in (1.0, -1.0):
            hub = (along, sign * half_w, _CAR_WHEEL_M)
            wheels.append(_rim(pose, hub, _CAR_WHEEL_M, _CAR_RIM_POINTS))
            wheel_normals += [(0.0, sign)] * _CAR_RIM_POINTS
    frame = np.broadcast_to(body, (len(pose.time_s), *body.shape))
    local = np.concatenate([frame, *wheels], axis=1)
    weight = np.concatenate([weights, np.full(len(wheel_normals), 0.4)])
    weight = weight * rng.lognormal(0.0, 0.4, len(weight))
    facing = _facing(pose, local[0], np.concatenate([body_normals, wheel_normals]))
    return local, weight * facing


def _facing(pose: Pose, local: Array, normals: Array) -> Array:
    """What a face sends back: nothing much from behind, most when seen square on: (n,)."""
    first = Pose(*(getattr(pose, name)[:1] for name in pose.__dataclass_fields__))
    seen = first.place(local[None])[0, :, :2]
    cos, sin = np.cos(first.heading_rad[0]), np.sin(first.heading_rad[0])
    outward = np.stack(
        [normals[:, 0] * cos - normals[:, 1] * sin, normals[:, 0] * sin + normals[:, 1] * cos], -1
    )
    cosine = -(seen * outward).sum(-1) / np.linalg.norm(seen, axis=-1)
    angle = np.arccos(np.clip(cosine, -1.0, 1.0))
    front: Array = 0.15 + 0.85 * cosine + 1.6 * np.exp(-((angle / np.deg2rad(9.0)) ** 2))
    return np.where(cosine > 0.0, front, 0.06)
