"""Painting what stands at a site: buildings, trees, poles, bushes and parked cars."""

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from rvsense.replay.simulate.camera import NEAR_M, WIDTH
from rvsense.replay.simulate.ground import LEAVES
from rvsense.replay.simulate.sites import Facade, Site, Thing

Array = npt.NDArray[np.float64]

_WALLS = ((168, 152, 132), (142, 84, 66), (186, 184, 178), (120, 122, 126), (196, 176, 140))


class Brush:
    """Paints standing things onto the doubled picture and takes them out of the sky mask."""

    def __init__(self, site: Site, image: Image.Image, mask: Image.Image) -> None:
        self.site = site
        self.image, self.mask = ImageDraw.Draw(image), ImageDraw.Draw(mask)

    def _polygon(self, points_m: Array, colour: Array) -> None:
        pixels, depth = self.site.camera.project(points_m)
        if depth.min() > NEAR_M:
            self._fill([(2 * u, 2 * v) for u, v in pixels], colour)

    def _fill(self, corners: list[tuple[float, float]], colour: Array) -> None:
        self.image.polygon(corners, fill=_rgb(colour))
        self.mask.polygon(corners, fill=0)

    def hills(self, horizon: int, rng: np.random.Generator) -> None:
        """A line of trees and hills on the horizon."""
        columns = np.linspace(0, 2 * WIDTH, 160)
        for level, colour in ((46, (128, 140, 146)), (24, (92, 106, 84))):
            rough = np.convolve(rng.random(170), np.ones(11) / 11, "valid")
            crest = horizon - level * (0.4 + 2.0 * np.abs(rough - 0.4))
            corners = list(zip(columns, crest, strict=True))
            self._fill([(0, horizon + 3), *corners, (2 * WIDTH, horizon + 3)], np.array(colour))

    def facade(self, facade: Facade) -> None:
        """A wall with rows of windows and a door."""
        rng = np.random.default_rng(facade.look_seed)
        wall = np.array(_WALLS[rng.integers(len(_WALLS))], dtype=np.float64) + rng.normal(0, 6, 3)
        start = np.array([facade.x0_m, facade.y0_m])
        way = np.array([facade.x1_m, facade.y1_m]) - start
        length = float(np.hypot(*way))

        def rect(s0: float, s1: float, z0: float, z1: float, colour: Array) -> None:
            ends = [start + way * s / length for s in (s0, s1)]
            points = [(*ends[0], z0), (*ends[1], z0), (*ends[1], z1), (*ends[0], z1)]
            self._polygon(np.array(points), colour)

        rect(0.0, length, 0.0, facade.height_m, wall)
        rect(0.0, length, facade.height_m - 0.4, facade.height_m + 0.1, 0.75 * wall)
        rect(0.0, length, 0.0, 0.5, 0.8 * wall)
        glass = np.array([74.0, 88.0, 102.0])
        step, width = rng.uniform(2.2, 4.0), rng.uniform(1.1, 1.9)
        floor = 1.0
        while floor + 2.0 < facade.height_m:
            for s in np.arange(0.8, length - width, step):
                pane = glass * rng.uniform(0.7, 1.5)
                rect(s - 0.1, s + width + 0.1, floor - 0.1, floor + 1.6, 1.12 * wall)
                rect(s, s + width, floor, floor + 1.5, pane)
            floor += 3.1

    def thing(self, thing: Thing) -> None:
        """A tree, pole, bush or parked car."""
        rng = np.random.default_rng(thing.look_seed)
        {"tree": self._tree, "pole": self._pole, "bush": self._bush, "car": self._parked}[
            thing.kind
        ](thing, rng)

    def _pole(self, thing: Thing, rng: np.random.Generator) -> None:
        self._upright(thing, 0.09, thing.height_m, np.full(3, 110.0))
        arm = rng.uniform(0.8, 1.6) * rng.choice([-1, 1])
        top = thing.height_m
        points = [(0, top - 0.1), (arm, top), (arm, top + 0.1), (0, top + 0.1)]
        self._polygon(
            np.array([(thing.x_m + a, thing.y_m, z) for a, z in points]), np.full(3, 120.0)
        )

    def _upright(self, thing: Thing, half_m: float, top_m: float, colour: Array) -> None:
        x, y = thing.x_m, thing.y_m
        corners = [(x - half_m, y, 0), (x, y, 0), (x, y, top_m), (x - half_m, y, top_m)]
        self._polygon(np.array(corners), 0.8 * colour)
        corners = [(x, y, 0), (x + half_m, y, 0), (x + half_m, y, top_m), (x, y, top_m)]
        self._polygon(np.array(corners), 1.15 * colour)

    def _tree(self, thing: Thing, rng: np.random.Generator) -> None:
        self._upright(thing, 0.16, 0.5 * thing.height_m, np.array([92.0, 76.0, 60.0]))
        self._crown(thing, rng, 0.62 * thing.height_m, 0.42 * thing.height_m, 260)

    def _bush(self, thing: Thing, rng: np.random.Generator) -> None:
        self._crown(thing, rng, 0.5 * thing.height_m, 0.55 * thing.height_m, 90)

    def _crown(
        self, thing: Thing, rng: np.random.Generator, middle_m: float, half_m: float, count: int
    ) -> None:
        leaf = np.array(LEAVES[rng.integers(len(LEAVES))], dtype=np.float64)
        centre = np.array([[thing.x_m, thing.y_m, middle_m]])
        pixels, depth = self.site.camera.project(centre)
        if depth[0] <= NEAR_M:
            return
        scale = 2.0 * self.site.camera.fx / float(depth[0])
        place = rng.normal(0.0, 0.42, (count, 2))
        place /= np.maximum(1.0, np.hypot(place[:, 0], place[:, 1]))[:, None]
        for dx, dy in place[np.argsort(-place[:, 1], kind="stable")]:
            u = 2.0 * pixels[0, 0] + dx * 0.5 * thing.size_m * scale
            v = 2.0 * pixels[0, 1] + dy * half_m * scale
            radius = rng.uniform(0.12, 0.26) * 0.5 * thing.size_m * scale
            shade = 0.8 - 0.35 * dy + rng.normal(0.0, 0.12)
            box = (u - radius, v - 0.8 * radius, u + radius, v + 0.8 * radius)
            self.image.ellipse(box, fill=_rgb(shade * leaf))
            self.mask.ellipse(box, fill=0)

    def _parked(self, thing: Thing, rng: np.random.Generator) -> None:
        """A distant car seen from the side, painted flat."""
        paint = rng.uniform(50.0, 210.0) + rng.normal(0.0, 18.0, 3)
        cos = np.cos(thing.heading_rad)
        length = 2.2 * (0.45 + 0.55 * abs(cos))
        low = [(-1, 0.3), (1, 0.3), (1, 0.75), (0.55, 0.9), (-1, 0.9)]
        cabin = [(-0.85, 0.9), (0.5, 0.9), (0.2, 1.45), (-0.6, 1.45)]
        glass = [(-0.72, 0.95), (0.4, 0.95), (0.16, 1.38), (-0.55, 1.38)]
        for outline, colour in ((low, paint), (cabin, paint), (glass, np.full(3, 60.0))):
            self._polygon(
                np.array([(thing.x_m + length * f, thing.y_m, z) for f, z in outline]), colour
            )
        for f in (-0.62, 0.62):
            ring = [(f + 0.15 * np.cos(a), 0.32 + 0.32 * np.sin(a)) for a in np.arange(0, 6.3, 0.5)]
            self._polygon(
                np.array([(thing.x_m + length * a, thing.y_m, z) for a, z in ring]),
                np.full(3, 26.0),
            )


def _rgb(colour: Array) -> tuple[int, int, int]:
    r, g, b = (int(np.clip(c, 0, 255)) for c in colour)
    return r, g, b
