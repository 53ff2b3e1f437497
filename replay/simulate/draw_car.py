"""Cars in the picture: a body, a cabin of glass, wheels and lights as flat convex faces."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rvsense.replay.simulate.actors import Actor
from rvsense.replay.simulate.camera import NEAR_M
from rvsense.replay.simulate.canvas import Canvas
from rvsense.replay.simulate.draw import View
from rvsense.replay.simulate.tracks import Pose

Array = npt.NDArray[np.float64]

_PAINTS = (
    (200, 202, 206), (236, 236, 234), (40, 42, 46), (120, 124, 130), (150, 28, 30),
    (34, 60, 120), (70, 84, 74), (180, 160, 120), (60, 120, 150),
)  # fmt: skip
_GLASS = np.array([52.0, 62.0, 72.0])
_BLACK = np.array([24.0, 24.0, 26.0])
_RIM = np.array([165.0, 167.0, 170.0])
_WHEEL_M = 0.32


@dataclass(frozen=True)
class Face:
    """A flat convex piece: corners (n, 3) and outward normal (3,) in the car's frame."""

    corners: Array
    normal: Array
    colour: Array
    glass: bool = False


def draw_car(frame: npt.NDArray[np.uint8], view: View, actor: Actor, pose: Pose) -> None:
    """Draw a car at a pose of one time."""
    rng = np.random.default_rng(actor.look_seed)
    paint = np.array(_PAINTS[rng.integers(len(_PAINTS))], dtype=np.float64)
    paint = np.clip(paint + rng.normal(0.0, 8.0, 3), 12.0, 245.0)
    half = np.array([actor.length_m / 2.0, actor.width_m / 2.0, actor.height_m])
    box = np.array([[f, s, u] for f in (-1, 1) for s in (-1, 1) for u in (0.0, 1.0)]) * half
    corners = pose.place(box[None])[0]
    canvas = view.canvas(frame, corners, margin_m=0.1)
    if canvas.empty:
        return
    _shadow(canvas, view, pose, half)
    groups = (_body(half, paint), _wheels(half), _cabin(half, paint, estate=rng.random() < 0.45))
    details = _details(half, paint)
    for group in (groups[0], details, groups[1], groups[2]):
        for face in group:
            _draw_face(canvas, view, pose, face)
    canvas.commit()


def _shadow(canvas: Canvas, view: View, pose: Pose, half: Array) -> None:
    base = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half[:2]
    for up, shrink in ((0.02, 1.0), (0.75 * half[2], 0.9)):
        ring = np.concatenate([base * shrink, np.full((4, 1), up)], axis=1)
        thrown = view.on_ground(pose.place(ring[None])[0])
        pixels, depth = view.camera.project(thrown)
        if depth.min() > NEAR_M:
            canvas.shadow_polygon(pixels, soft=0.06 * view.camera.fx / float(depth.mean()) + 1.0)
    canvas.apply_shadow(0.25 + 0.4 * view.light.sunlit)


def _prism(profile: Array, half_width: float, taper: float, colour: Array) -> list[Face]:
    """Faces of a side outline (n, 2: forward, up) extruded to both sides.

    `taper` narrows the part above the lowest point, as a cabin narrows to its roof.
    """
    low, high = profile[:, 1].min(), profile[:, 1].max()
    width = half_width * (1.0 - taper * (profile[:, 1] - low) / (high - low))
    left = np.column_stack([profile[:, 0], width, profile[:, 1]])
    right = left * np.array([1.0, -1.0, 1.0])
    faces = [
        Face(left, np.array([0.0, 1.0, taper]), colour),
        Face(right, np.array([0.0, -1.0, taper]), colour),
    ]
    following = np.roll(np.arange(len(profile)), -1)
    for here, there in enumerate(following):
        df, du = profile[there] - profile[here]
        normal = np.array([du, 0.0, -df]) / np.hypot(df, du)
        corners = np.array([left[here], left[there], right[there], right[here]])
        faces.append(Face(corners, normal, colour))
    return faces


def _body(half: Array, paint: Array) -> list[Face]:
    length = half[0]
    belt = 0.6 * half[2]
    profile = np.array(
        [
            (-length, 0.3), (0.97 * length, 0.26), (length, 0.36), (0.98 * length, 0.68),
            (0.9 * length, 0.78), (0.36 * length, belt), (-0.94 * length, belt), (-length, 0.75),
        ]
    )  # fmt: skip
    return _prism(profile, half[1], 0.0, paint)


def _cabin(half: Array, paint: Array, estate: bool) -> list[Face]:
    length, belt, roof = half[0], 0.59 * half[2], half[2]
    rear_roof, rear_belt = (-0.86, -0.96) if estate else (-0.52, -0.86)
    outline = np.array(
        [
            (rear_belt * length, belt), (0.42 * length, belt),
            (0.06 * length, roof), (rear_roof * length, roof),
        ]
    )  # fmt: skip
    shell = _prism(outline, 0.94 * half[1], 0.2, paint)
    middle, panes = outline.mean(0), []
    inset = middle + (outline - middle) * np.array([0.88, 0.76])
    for face in _prism(inset, 0.945 * half[1], 0.17, _GLASS)[:2]:
        panes.append(Face(face.corners, face.normal, _GLASS, glass=True))
        post = np.array([-0.28 * length, 0.0])
        bar = np.array([[post[0] - 0.04, belt], [post[0] + 0.04, belt],
                        [post[0] + 0.04, roof - 0.08], [post[0] - 0.04, roof - 0.08]])  # fmt: skip
        side = np.sign(face.corners[0, 1])
        strip = _prism(bar, 0.95 * half[1], 0.17, 0.8 * paint)[0 if side > 0 else 1]
        panes.append(strip)
    for face in shell[2:]:
        if abs(face.normal[0]) > 0.3:
            centre = face.corners.mean(0)
            panes.append(
                Face(centre + 0.86 * (face.corners - centre), face.normal, _GLASS, glass=True)
            )
    return shell + panes


def _wheels(half: Array) -> list[Face]:
    turn = np.linspace(0.0, 2.0 * np.pi, 16, endpoint=False)
    faces = []
    for along in (0.6 * half[0], -0.6 * half[0]):
        for side in (1.0, -1.0):
            for radius, out, colour in (
                (1.14 * _WHEEL_M, 1.0, 0.4 * _BLACK), (_WHEEL_M, 1.005, _BLACK),
                (0.62 * _WHEEL_M, 1.01, _RIM), (0.2 * _WHEEL_M, 1.015, 0.5 * _RIM),
            ):  # fmt: skip
                ring = np.column_stack(
                    [
                        along + radius * np.cos(turn),
                        np.full(16, side * half[1] * out),
                        _WHEEL_M + radius * np.sin(turn),
                    ]
                )
                faces.append(Face(ring, np.array([0.0, side, 0.0]), colour))
    return faces


def _details(half: Array, paint: Array) -> list[Face]:
    """Lights, grille, plates, door lines and handles."""
    length, width = half[0], half[1]
    faces = []

    def panel(x: float, across: tuple[float, float], up: tuple[float, float], c: Array) -> None:
        (y0, y1), (z0, z1) = across, up
        corners = np.array([(x, y0, z0), (x, y1, z0), (x, y1, z1), (x, y0, z1)])
        faces.append(Face(corners, np.array([np.sign(x), 0.0, 0.0]), c))

    front, rear = 1.003 * length, -1.003 * length
    for sign in (1.0, -1.0):
        corner = (sign * 0.6 * width, sign * 0.97 * width)
        panel(front, corner, (0.56, 0.69), np.array([240.0, 240.0, 232.0]))
        panel(rear, corner, (0.62, 0.8), np.array([170.0, 24.0, 22.0]))
    panel(front, (-0.52 * width, 0.52 * width), (0.46, 0.64), _BLACK)
    panel(front, (-0.9 * width, 0.9 * width), (0.28, 0.38), 1.4 * _BLACK)
    panel(rear, (-0.9 * width, 0.9 * width), (0.3, 0.42), 1.4 * _BLACK)
    plate = np.array([226.0, 226.0, 214.0])
    panel(1.002 * front, (-0.28, 0.28), (0.44, 0.56), plate)
    panel(1.002 * rear, (-0.28, 0.28), (0.62, 0.74), plate)
    for side in (1.0, -1.0):
        y, normal = side * 1.003 * width, np.array([0.0, side, 0.0])
        for x in (0.3 * length, -0.26 * length):
            line = np.array(
                [(x, y, 0.34), (x + 0.015, y, 0.34), (x + 0.015, y, 0.86), (x, y, 0.86)]
            )
            faces.append(Face(line, normal, 0.45 * paint))
        sill = np.array([(-0.4 * length, y, 0.3), (0.4 * length, y, 0.3),
                         (0.4 * length, y, 0.37), (-0.4 * length, y, 0.37)])  # fmt: skip
        faces.append(Face(sill, normal, 0.5 * paint))
    return faces


def _draw_face(canvas: Canvas, view: View, pose: Pose, face: Face) -> None:
    world = pose.place(face.corners[None])[0]
    cos, sin = np.cos(pose.heading_rad[0]), np.sin(pose.heading_rad[0])
    f, s, u = face.normal / np.linalg.norm(face.normal)
    normal = np.array([f * cos - s * sin, f * sin + s * cos, u])
    camera = view.camera
    to_camera = np.array([0.0, 0.0, camera.height_m]) - world.mean(0)
    if to_camera @ normal <= 0.0:
        return
    outline = _clip(camera.to_camera(world))
    if len(outline) < 3:
        return
    facing = max(0.0, float(normal @ np.array(view.light.sun)))
    sunlit = view.light.sunlit
    bright = 0.6 + 0.16 * float(normal[2]) - 0.18 * sunlit + 0.6 * sunlit * facing
    colour = view.lit(face.colour) * bright
    if face.glass:
        # Glass shows the sky, more of it the flatter one looks at it.
        glance = 1.0 - float(to_camera @ normal / np.linalg.norm(to_camera))
        sky = view.lit(np.array(view.light.sky_low))
        colour = colour + (0.12 + 0.5 * glance**2) * (sky - colour)
        canvas.polygon(camera.to_pixels(outline), colour, 0.7 * colour)
        return
    canvas.polygon(camera.to_pixels(outline), 1.06 * colour, 0.86 * colour)


def _clip(seen: Array) -> Array:
    """The part of a polygon (n, 3) in camera axes that lies before the near plane."""
    kept = []
    for here, there in zip(seen, np.roll(seen, -1, axis=0), strict=True):
        if here[2] > NEAR_M:
            kept.append(here)
        if (here[2] > NEAR_M) != (there[2] > NEAR_M):
            share = (NEAR_M - here[2]) / (there[2] - here[2])
            kept.append(here + share * (there - here))
    return np.array(kept)
