"""A pinhole camera above the radar, looking along its boresight and a little down."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

WIDTH, HEIGHT = 1440, 864
NEAR_M = 0.4


@dataclass(frozen=True)
class Camera:
    """Intrinsics in pixels, mast height in metres, pitch downwards in radians."""

    fx: float
    fy: float
    cx: float
    cy: float
    height_m: float
    pitch_rad: float

    def to_camera(self, points_m: Array) -> Array:
        """Ground points (..., 3: right, ahead, up) to camera axes (..., 3: right, down, depth)."""
        cos, sin = np.cos(self.pitch_rad), np.sin(self.pitch_rad)
        x, y, up = points_m[..., 0], points_m[..., 1], points_m[..., 2] - self.height_m
        return np.stack([x, -y * sin - up * cos, y * cos - up * sin], axis=-1)

    def to_pixels(self, seen: Array) -> Array:
        """Camera axes (..., 3) to pixels (..., 2). The caller keeps depth above `NEAR_M`."""
        depth = seen[..., 2]
        u = self.cx + self.fx * seen[..., 0] / depth
        v = self.cy + self.fy * seen[..., 1] / depth
        return np.stack([u, v], axis=-1)

    def project(self, points_m: Array) -> tuple[Array, Array]:
        """Pixels (..., 2) and depth (...) of ground points (..., 3)."""
        seen = self.to_camera(points_m)
        depth = seen[..., 2]
        clear = np.concatenate([seen[..., :2], np.maximum(depth, NEAR_M)[..., None]], axis=-1)
        return self.to_pixels(clear), depth

    @property
    def horizon_row(self) -> float:
        """Image row of the horizon."""
        return float(self.cy - self.fy * np.tan(self.pitch_rad))

    def ground(self) -> tuple[Array, Array, npt.NDArray[np.bool_]]:
        """Ground x and y in metres under every pixel, and where there is ground: (864, 1440)."""
        right = (np.arange(WIDTH) + 0.5 - self.cx) / self.fx
        down = (np.arange(HEIGHT) + 0.5 - self.cy) / self.fy
        cos, sin = np.cos(self.pitch_rad), np.sin(self.pitch_rad)
        fall = down * cos + sin
        is_ground = fall > 2e-3
        distance = self.height_m / np.where(is_ground, fall, 1.0)
        y = np.broadcast_to((distance * (cos - down * sin))[:, None], (HEIGHT, WIDTH))
        x = distance[:, None] * right[None, :]
        return x, y, np.broadcast_to(is_ground[:, None], (HEIGHT, WIDTH))


def calibration_yaml(camera: Camera, name: str) -> str:
    """The camera as ROS camera_info YAML, as CRUW's calib/<date>/cam_0.yaml; no distortion."""
    fx, fy, cx, cy = camera.fx, camera.fy, camera.cx, camera.cy

    def row(*values: float) -> str:
        return "[" + ", ".join(f"{value:.6f}" for value in values) + "]"

    return "\n".join(
        [
            f"image_width: {WIDTH}",
            f"image_height: {HEIGHT}",
            f"camera_name: {name}",
            "camera_matrix:\n  rows: 3\n  cols: 3",
            f"  data: {row(fx, 0, cx, 0, fy, cy, 0, 0, 1)}",
            "distortion_model: plumb_bob",
            "distortion_coefficients:\n  rows: 1\n  cols: 5",
            f"  data: {row(0, 0, 0, 0, 0)}",
            "rectification_matrix:\n  rows: 3\n  cols: 3",
            f"  data: {row(1, 0, 0, 0, 1, 0, 0, 0, 1)}",
            "projection_matrix:\n  rows: 3\n  cols: 4",
            f"  data: {row(fx, 0, cx, 0, 0, fy, cy, 0, 0, 0, 1, 0)}",
            "",
        ]
    )
