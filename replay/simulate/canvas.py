"""Drawing with soft edges on a patch of a frame: round limbs, flat convex faces, shadows.

Coverage comes from the distance to the outline in pixels, so no supersampling is needed.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Pixels = npt.NDArray[np.floating[Any]]
Window = tuple[slice, slice]


class Canvas:
    """A float copy of one box of a frame; `commit` writes it back.

    frame: (height, width, 3) uint8. box: left, top, right, bottom in pixels, clipped to it.
    """

    def __init__(
        self, frame: npt.NDArray[np.uint8], box: tuple[float, float, float, float]
    ) -> None:
        height, width = frame.shape[:2]
        self.left, self.right = (int(np.clip(box[k], 0, width)) for k in (0, 2))
        self.top, self.bottom = (int(np.clip(box[k], 0, height)) for k in (1, 3))
        self._target = frame[self.top : self.bottom, self.left : self.right]
        self.pixels: Pixels = self._target.astype(np.float32)
        self.shadow: Pixels = np.zeros(self.pixels.shape[:2], dtype=np.float32)

    @property
    def empty(self) -> bool:
        """Whether the box lies outside the frame."""
        return self.pixels.size == 0

    def commit(self) -> None:
        """Write the patch back into the frame."""
        np.clip(self.pixels, 0.0, 255.0, out=self.pixels)
        self._target[:] = self.pixels.astype(np.uint8)

    def capsule(
        self, axis: Array, radii: tuple[float, float], colour: Array, sun: Array, sunlit: float
    ) -> None:
        """A limb along `axis` (2 ends, 2) shaded as round, lit from `sun` (camera axes)."""
        window = self._window(axis, max(radii) + 1.0)
        if window is None:
            return
        dx, dy, radius = self._from_axis(window, axis, radii)
        distance = np.sqrt(dx * dx + dy * dy)
        cover = np.clip(radius - distance + 0.5, 0.0, 1.0)
        scale = 1.0 / np.maximum(radius, 0.5)
        nx, ny = dx * scale, dy * scale
        nz = np.sqrt(np.maximum(0.0, 1.0 - nx * nx - ny * ny))
        facing = np.maximum(0.0, nx * sun[0] + ny * sun[1] - nz * sun[2])
        # Sky light from above keeps the dark side from going black.
        bright = 0.62 - 0.14 * ny + 0.1 * nz - 0.22 * sunlit + 0.75 * sunlit * facing
        self._blend(window, cover, bright[..., None] * colour.astype(np.float32))

    def shadow_capsule(self, axis: Array, radius: float, soft: float) -> None:
        """Darken along a limb's shadow; overlapping shadows do not add up."""
        window = self._window(axis, radius + soft)
        if window is None:
            return
        dx, dy, _ = self._from_axis(window, axis, (radius, radius))
        distance = np.sqrt(dx * dx + dy * dy)
        cover = np.clip((radius + soft - distance) / (2.0 * soft), 0.0, 1.0)
        np.maximum(self.shadow[window], cover, out=self.shadow[window])

    def shadow_polygon(self, corners: Array, soft: float) -> None:
        """Darken a convex outline (n, 2)."""
        window = self._window(corners, soft)
        if window is None:
            return
        inside = self._inside(window, corners)
        cover = np.clip(inside / (2.0 * soft) + 0.5, 0.0, 1.0)
        np.maximum(self.shadow[window], cover, out=self.shadow[window])

    def apply_shadow(self, strength: float) -> None:
        """Multiply the patch by what the shadows gathered so far leave of the light."""
        self.pixels *= 1.0 - strength * self.shadow[..., None]

    def polygon(self, corners: Array, colour: Array, fade: Array | None = None) -> None:
        """A convex face (n, 2), from `colour` at its top to `fade` at its bottom row."""
        window = self._window(corners, 1.0)
        if window is None:
            return
        cover = np.clip(self._inside(window, corners) + 0.5, 0.0, 1.0)
        fill = colour.astype(np.float32)
        if fade is not None:
            _, y = self._grid(window)
            top, bottom = corners[:, 1].min(), corners[:, 1].max()
            share = np.clip((y - top) / max(bottom - top, 1.0), 0.0, 1.0)[..., None]
            fill = fill + share * (fade.astype(np.float32) - fill)
        self._blend(window, cover, fill)

    def _blend(self, window: Window, cover: Pixels, colour: Pixels) -> None:
        patch = self.pixels[window]
        patch += cover[..., None] * (colour - patch)

    def _grid(self, window: Window) -> tuple[Pixels, Pixels]:
        rows, columns = window
        x = np.arange(columns.start, columns.stop, dtype=np.float32) + (self.left + 0.5)
        y = np.arange(rows.start, rows.stop, dtype=np.float32) + (self.top + 0.5)
        return x[None, :], y[:, None]

    def _window(self, points: Array, margin: float) -> Window | None:
        low, high = points.min(0) - margin, points.max(0) + margin
        height, width = self.pixels.shape[:2]
        x0, x1 = (int(np.clip(v, 0, width)) for v in (low[0] - self.left, high[0] - self.left + 1))
        y0, y1 = (int(np.clip(v, 0, height)) for v in (low[1] - self.top, high[1] - self.top + 1))
        return (slice(y0, y1), slice(x0, x1)) if x1 > x0 and y1 > y0 else None

    def _from_axis(
        self, window: Window, axis: Array, radii: tuple[float, float]
    ) -> tuple[Pixels, Pixels, Pixels]:
        """Offset of each pixel from the nearest point of the axis, and the radius there."""
        x, y = self._grid(window)
        start, end = axis
        ax, ay = float(end[0] - start[0]), float(end[1] - start[1])
        px = x - float(start[0])
        py = y - float(start[1])
        length = max(ax * ax + ay * ay, 1e-6)
        share = np.clip((px * ax + py * ay) / length, 0.0, 1.0)
        radius = float(radii[0]) + share * float(radii[1] - radii[0])
        return px - share * ax, py - share * ay, radius

    def _inside(self, window: Window, corners: Array) -> Pixels:
        """Signed distance to the nearest edge of a convex outline, positive inside."""
        x, y = self._grid(window)
        following = np.roll(corners, -1, axis=0)
        area = float((corners[:, 0] * following[:, 1] - following[:, 0] * corners[:, 1]).sum())
        sign = 1.0 if area > 0 else -1.0
        nearest = np.full((y.shape[0], x.shape[1]), np.inf, dtype=np.float32)
        for (x0, y0), (x1, y1) in zip(corners, following, strict=True):
            length = float(np.hypot(x1 - x0, y1 - y0))
            if length < 1e-6:
                continue
            nx, ny = -sign * (y1 - y0) / length, sign * (x1 - x0) / length
            offset = np.float32(nx) * (x - np.float32(x0)) + np.float32(ny) * (y - np.float32(y0))
            np.minimum(nearest, offset, out=nearest)
        return nearest
