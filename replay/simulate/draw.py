"""What every drawn object shares: a view onto a frame, depth-sorted limbs, and their shadows."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rvsense.replay.simulate.camera import NEAR_M, Camera
from rvsense.replay.simulate.canvas import Canvas
from rvsense.replay.simulate.light import Light

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Limb:
    """A tapered round piece between two ground points (3,), radii in metres, colour 0-255."""

    start_m: Array
    end_m: Array
    radius_start_m: float
    radius_end_m: float
    colour: Array
    shadow: bool = True


@dataclass(frozen=True)
class View:
    """Camera and light of a sequence, ready for drawing."""

    camera: Camera
    light: Light

    def lit(self, colour: Array) -> Array:
        """A colour as exposure and tint leave it."""
        lit: Array = colour * np.array(self.light.tint) * self.light.exposure
        return lit

    def on_ground(self, points_m: Array) -> Array:
        """Where the sun throws points (n, 3) onto the ground, (n, 3); shadows end at 4 m."""
        sun = np.array(self.light.sun)
        shift = np.minimum(points_m[:, 2:] / max(sun[2], 0.25), 4.0)
        thrown = points_m[:, :2] - sun[None, :2] * shift
        return np.concatenate([thrown, np.zeros((len(points_m), 1))], axis=1)

    def canvas(self, frame: npt.NDArray[np.uint8], points_m: Array, margin_m: float) -> Canvas:
        """A patch of `frame` around points (n, 3) and their shadows."""
        everything = np.concatenate([points_m, self.on_ground(points_m)])
        pixels, depth = self.camera.project(everything)
        ahead = depth > NEAR_M
        if not ahead.any():
            return Canvas(frame, (0, 0, 0, 0))
        margin = margin_m * self.camera.fx / float(depth[ahead].min()) + 4.0
        low, high = pixels[ahead].min(0) - margin, pixels[ahead].max(0) + margin
        return Canvas(frame, (low[0], low[1], high[0], high[1]))


def draw_limbs(canvas: Canvas, view: View, limbs: Sequence[Limb]) -> None:
    """Far limbs first."""
    ends = np.array([[limb.start_m, limb.end_m] for limb in limbs])
    pixels, depth = view.camera.project(ends)
    sun = view.light.in_camera(view.camera)
    for place in np.argsort(-depth.mean(1), kind="stable"):
        if depth[place].min() <= NEAR_M:
            continue
        limb = limbs[place]
        scale = view.camera.fx / depth[place]
        canvas.capsule(
            pixels[place],
            (limb.radius_start_m * scale[0], limb.radius_end_m * scale[1]),
            view.lit(limb.colour),
            sun,
            view.light.sunlit,
        )


def draw_limb_shadows(canvas: Canvas, view: View, limbs: Sequence[Limb]) -> None:
    """The sun's shadow of the limbs, and the dark spot under the feet that is always there."""
    casting = [limb for limb in limbs if limb.shadow]
    ends = np.array([[limb.start_m, limb.end_m] for limb in casting])
    flat = view.on_ground(ends.reshape(-1, 3)).reshape(ends.shape)
    pixels, depth = view.camera.project(flat)
    for limb, place, far in zip(casting, pixels, depth, strict=True):
        if far.min() <= NEAR_M:
            continue
        scale = view.camera.fx / float(far.mean())
        radius = 0.7 * max(limb.radius_start_m, limb.radius_end_m) * scale
        canvas.shadow_capsule(place, radius, soft=1.0 + 0.02 * scale)
    canvas.apply_shadow(0.12 + 0.5 * view.light.sunlit)
