"""Skeletons that walk and ride: joints in the object's own frame, shared by radar and camera.

Frame: forward, left, up in metres, origin on the ground below the centre. Every function takes
a phase (times,) and returns joints (times, joints, 3), so micro-Doppler and picture agree.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

JOINTS = (
    "head", "neck", "pelvis",
    "shoulder_l", "shoulder_r", "elbow_l", "elbow_r", "hand_l", "hand_r",
    "hip_l", "hip_r", "knee_l", "knee_r", "ankle_l", "ankle_r", "toe_l", "toe_r",
)  # fmt: skip
INDEX = {name: place for place, name in enumerate(JOINTS)}

WHEEL_RADIUS_M = 0.34
REAR_HUB_M = (-0.52, 0.0, WHEEL_RADIUS_M)
FRONT_HUB_M = (0.54, 0.0, WHEEL_RADIUS_M)
BOTTOM_BRACKET_M = (-0.08, 0.0, 0.29)
SADDLE_M = (-0.24, 0.0, 0.93)
STEM_M = (0.36, 0.0, 1.0)
HEAD_TUBE_M = (0.42, 0.0, 0.72)
CRANK_M = 0.17
BAR_HALF_M = 0.24


@dataclass(frozen=True)
class Gait:
    """How one person walks. `swing_rad` is the hip's amplitude, 0 when standing."""

    height_m: float
    swing_rad: float
    stride_m: float
    """Ground covered by two steps."""


def walker(gait: Gait, travel_m: Array, time_s: Array) -> Array:
    """Joints of a walking or standing person after `travel_m` of path."""
    h = gait.height_m
    thigh, shank, upper, lower = 0.245 * h, 0.246 * h, 0.17 * h, 0.16 * h
    phase = 2.0 * np.pi * travel_m / gait.stride_m
    swing = gait.swing_rad
    hips = (swing * np.sin(phase), -swing * np.sin(phase))
    knees = (
        0.05 + 2.0 * swing * np.maximum(0.0, np.cos(phase + 0.35)),
        0.05 + 2.0 * swing * np.maximum(0.0, -np.cos(phase + 0.35)),
    )
    reach = [thigh * np.cos(a) + shank * np.cos(a - k) for a, k in zip(hips, knees, strict=True)]
    pelvis_up = np.maximum(reach[0], reach[1]) + 0.045 * h
    sway = 0.008 * np.sin(2.0 * np.pi * 0.3 * time_s) + 0.003 * np.sin(2.0 * np.pi * 0.27 * time_s)

    joints = np.zeros((len(travel_m), len(JOINTS), 3))

    def put(name: str, forward: Array | float, left: float, up: Array) -> None:
        joints[:, INDEX[name]] = np.stack(
            [np.broadcast_to(forward, up.shape), np.full(up.shape, left), up], axis=-1
        )

    lean = 0.02 * h + sway
    shoulder_up = pelvis_up + 0.29 * h
    put("pelvis", 0.0, 0.0, pelvis_up)
    put("neck", lean, 0.0, shoulder_up + 0.03 * h)
    put("head", lean + 0.015 * h, 0.0, shoulder_up + 0.115 * h)
    for side, sign, hip, knee in (("l", 1.0, hips[0], knees[0]), ("r", -1.0, hips[1], knees[1])):
        width = 0.055 * h * sign
        put(f"hip_{side}", 0.0, width, pelvis_up)
        knee_f, knee_u = thigh * np.sin(hip), pelvis_up - thigh * np.cos(hip)
        put(f"knee_{side}", knee_f, width, knee_u)
        ankle_f, ankle_u = knee_f + shank * np.sin(hip - knee), knee_u - shank * np.cos(hip - knee)
        put(f"ankle_{side}", ankle_f, width, ankle_u)
        pitch = 0.6 * (hip - knee)
        put(
            f"toe_{side}",
            ankle_f + 0.12 * h * np.cos(pitch),
            width,
            np.maximum(0.01, ankle_u - 0.03 * h + 0.12 * h * np.sin(pitch)),
        )
        arm = -0.8 * hip + 0.05
        across = 0.115 * h * sign
        put(f"shoulder_{side}", lean, across, shoulder_up)
        elbow_f, elbow_u = lean + upper * np.sin(arm), shoulder_up - upper * np.cos(arm)
        put(f"elbow_{side}", elbow_f, 1.15 * across, elbow_u)
        bend = arm + 0.25 + 0.5 * swing
        put(
            f"hand_{side}",
            elbow_f + lower * np.sin(bend),
            1.1 * across,
            elbow_u - lower * np.cos(bend),
        )
    return joints


def rider(height_m: float, crank_rad: Array, time_s: Array) -> Array:
    """Joints of a cyclist on the bicycle above, crank turned to `crank_rad` (times,)."""
    scale = height_m / 1.76
    joints = np.zeros((len(crank_rad), len(JOINTS), 3))
    bob = 0.01 * np.sin(2.0 * crank_rad) + 0.002 * np.sin(2.0 * np.pi * 0.4 * time_s)
    hip = np.array([SADDLE_M[0] + 0.02, 0.0, SADDLE_M[2] + 0.07])

    def put(name: str, forward: Array | float, left: float, up: Array | float) -> None:
        joints[:, INDEX[name], 0] = forward
        joints[:, INDEX[name], 1] = left
        joints[:, INDEX[name], 2] = up

    shoulder_f, shoulder_u = hip[0] + 0.30 * scale, hip[2] + 0.46 * scale + bob
    put("pelvis", hip[0], 0.0, hip[2] + 0.03)
    put("neck", shoulder_f + 0.05, 0.0, shoulder_u + 0.06)
    put("head", shoulder_f + 0.11, 0.0, shoulder_u + 0.20)
    for side, sign, turn in (("l", 1.0, 0.0), ("r", -1.0, np.pi)):
        put(f"shoulder_{side}", shoulder_f, 0.19 * sign, shoulder_u)
        hand = np.array([STEM_M[0] + 0.05, BAR_HALF_M, STEM_M[2] + 0.03])
        put(f"hand_{side}", hand[0], hand[1] * sign, hand[2])
        put(
            f"elbow_{side}",
            0.5 * (shoulder_f + hand[0]) - 0.04,
            0.26 * sign,
            0.5 * (shoulder_u + hand[2]) - 0.07,
        )
        put(f"hip_{side}", hip[0], 0.09 * sign, hip[2])
        angle = crank_rad + turn
        pedal_f = BOTTOM_BRACKET_M[0] + CRANK_M * np.sin(angle)
        pedal_u = BOTTOM_BRACKET_M[2] + CRANK_M * np.cos(angle)
        ankle_f, ankle_u = pedal_f - 0.06, pedal_u + 0.09
        knee_f, knee_u = _knee((hip[0], hip[2]), ankle_f, ankle_u, 0.44 * scale)
        put(f"knee_{side}", knee_f, 0.11 * sign, knee_u)
        put(f"ankle_{side}", ankle_f, 0.11 * sign, ankle_u)
        put(f"toe_{side}", pedal_f + 0.09, 0.11 * sign, pedal_u + 0.02)
    return joints


def _knee(
    hip: tuple[float, float], ankle_f: Array, ankle_u: Array, link_m: float
) -> tuple[Array, Array]:
    """Knee of a leg of two equal links that bends forward (law of cosines)."""
    df, du = ankle_f - hip[0], ankle_u - hip[1]
    distance = np.minimum(np.hypot(df, du), 1.998 * link_m)
    angle = np.arctan2(du, df) + np.arccos(distance / (2.0 * link_m))
    return hip[0] + link_m * np.cos(angle), hip[1] + link_m * np.sin(angle)
