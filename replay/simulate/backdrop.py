"""The empty picture of a site: ground, buildings, trees, poles, parked cars.

Painted once per site in neutral light at twice the size, then lit anew for every sequence:
the sky follows the weather, everything else takes its tint and exposure.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from rvsense.replay.simulate.camera import HEIGHT, NEAR_M, WIDTH
from rvsense.replay.simulate.light import Light
from rvsense.replay.simulate.plan import STREAM_SITE, stream
from rvsense.replay.simulate.sites import Facade, Site, Thing

Array = npt.NDArray[np.float64]
Pixels = npt.NDArray[np.float32]

_TILE = 1024
_WALLS = ((168, 152, 132), (142, 84, 66), (186, 184, 178), (120, 122, 126), (196, 176, 140))
_LEAVES = ((62, 92, 44), (84, 112, 52), (58, 80, 50), (120, 116, 58))


@dataclass(frozen=True)
class Backdrop:
    """A site's picture in neutral light and how much of each pixel is sky (0..1)."""

    neutral: Pixels
    sky: Pixels
    clouds: Pixels

    def lit(self, light: Light) -> npt.NDArray[np.uint8]:
        """The picture under `light`, (864, 1440, 3) uint8."""
        gain = np.array(light.tint, dtype=np.float32) * np.float32(light.exposure)
        # Overcast flattens contrast.
        flat = np.float32(0.18 * (1.0 - light.sunlit))
        scene = (self.neutral * (1.0 - flat) + 110.0 * flat) * gain
        height = np.linspace(0.0, 1.0, HEIGHT, dtype=np.float32)[:, None, None]
        share = np.clip(height / 0.62, 0.0, 1.0)
        top, low = np.array(light.sky_top, np.float32), np.array(light.sky_low, np.float32)
        sky = top + share * (low - top)
        cover = np.clip(self.clouds + np.float32(light.clouds) - 0.6, 0.0, 1.0)[..., None]
        sky = sky + cover * (np.float32(236.0) - sky) * 0.8
        sky = sky * np.float32(0.5 + 0.5 * light.exposure)
        picture = scene + self.sky[..., None] * (sky - scene)
        lit: npt.NDArray[np.uint8] = np.clip(picture, 0.0, 255.0).astype(np.uint8)
        return lit


def paint_backdrop(site: Site) -> Backdrop:
    """Paint the picture of a site; depends on the site's seed and number alone."""
    rng = stream(site.seed, STREAM_SITE, site.number, 2)
    ground = _ground(site, rng)
    size = (2 * WIDTH, 2 * HEIGHT)
    image = Image.fromarray(ground).resize(size, Image.Resampling.BILINEAR)
    mask = Image.new("L", size, 0)
    horizon = max(0, int(2 * site.camera.horizon_row))
    ImageDraw.Draw(mask).rectangle((0, 0, size[0], horizon), fill=255)
    brush = _Brush(site, image, mask)
    brush.hills(horizon, rng)
    for facade in sorted(site.facades, key=lambda f: -min(f.y0_m, f.y1_m)):
        brush.facade(facade)
    for thing in sorted(site.things, key=lambda t: -np.hypot(t.x_m, t.y_m)):
        brush.thing(thing)
    half = (WIDTH, HEIGHT)
    picture = np.asarray(image.resize(half, Image.Resampling.BOX), dtype=np.float32)
    sky = np.asarray(mask.resize(half, Image.Resampling.BOX), dtype=np.float32) / 255.0
    grain = _noise(rng, 3)[:HEIGHT, : _TILE]
    grain = np.concatenate([grain, grain[:, : WIDTH - _TILE]], axis=1)
    picture = picture * (1.0 + 0.05 * grain[..., None]).astype(np.float32)
    return Backdrop(picture, sky, _clouds(rng))


def _noise(rng: np.random.Generator, octaves: int) -> Pixels:
    """Tileable smooth noise, zero mean, about unit deviation: (1024, 1024)."""
    total = np.zeros((_TILE, _TILE), dtype=np.float32)
    for octave in range(octaves):
        cells = _TILE >> (octave * 2)
        small = rng.standard_normal((cells, cells)).astype(np.float32)
        total += np.asarray(
            Image.fromarray(small).resize((_TILE, _TILE), Image.Resampling.BICUBIC)
        )
    scaled: Pixels = total / total.std()
    return scaled


def _clouds(rng: np.random.Generator) -> Pixels:
    total = np.zeros((HEIGHT, WIDTH), dtype=np.float32)
    for cells, weight in ((4, 0.5), (9, 0.3), (24, 0.15), (70, 0.08)):
        small = rng.random((cells, max(2, cells // 2))).astype(np.float32)
        total += weight * np.asarray(
            Image.fromarray(small).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
        )
    low, high = total.min(), total.max()
    clouds: Pixels = (total - low) / (high - low)
    return clouds


def _ground(site: Site, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Asphalt with patches and markings, lawn beyond a kerb: (864, 1440, 3)."""
    x, y, is_ground = site.camera.ground()
    x, y = np.clip(x, -200.0, 200.0), np.clip(y, -5.0, 300.0)
    turn = rng.uniform(-0.5, 0.5)
    along = x * np.sin(turn) + y * np.cos(turn)
    across = x * np.cos(turn) - y * np.sin(turn)
    fine, rough = _noise(rng, 2), _noise(rng, 4)

    def sample(tile: Pixels, per_m: float) -> Pixels:
        picked: Pixels = tile[
            (along * per_m).astype(np.int64) % _TILE, (across * per_m).astype(np.int64) % _TILE
        ]
        return picked

    fade = np.exp(-np.hypot(x, y) / 18.0)
    tone = rng.uniform(82.0, 116.0)
    grey = tone + 7.0 * sample(fine, 55.0) * fade + 7.0 * sample(rough, 6.0)
    colour = grey[..., None] * np.array([1.0, 0.995, 0.98])
    lawn_from, kerb = rng.uniform(6.5, 12.0), rng.choice([-1.0, 1.0])
    lawn = kerb * across > lawn_from
    leaf = np.array(_LEAVES[rng.integers(len(_LEAVES))], dtype=np.float64)
    blades = 1.0 + (0.16 * sample(fine, 40.0) * fade + 0.1 * sample(rough, 5.0))[..., None]
    colour = np.where(lawn[..., None], leaf * blades, colour)
    colour = np.where((np.abs(kerb * across - lawn_from) < 0.12)[..., None], 164.0, colour)
    paint = np.array([205.0, 203.0, 192.0]) if rng.random() < 0.7 else np.array([204.0, 170.0, 60.0])
    if rng.random() < 0.5:
        bay = rng.uniform(2.5, 2.8)
        marks = (np.abs((along % bay) - bay / 2) < 0.06) & (np.abs(across + kerb * 4.0) < 2.4)
    else:
        marks = (np.abs(across + kerb * 1.5) < 0.07) & ((along % 6.0) < 3.0)
        marks |= np.abs(across + kerb * 6.0) < 0.06
    colour = np.where((marks & ~lawn)[..., None], colour + 0.75 * (paint - colour), colour)
    haze = np.clip(np.hypot(x, y) / 220.0, 0.0, 0.6)[..., None]
    colour = colour + haze * (150.0 - colour)
    colour = np.where(is_ground[..., None], colour, 150.0)
    return np.clip(colour, 0, 255).astype(np.uint8)


class _Brush:
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
        self._polygon(np.array([(thing.x_m + a, thing.y_m, z) for a, z in points]), np.full(3, 120.0))

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
        leaf = np.array(_LEAVES[rng.integers(len(_LEAVES))], dtype=np.float64)
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
                np.array([(thing.x_m + length * a, thing.y_m, z) for a, z in ring]), np.full(3, 26.0)
            )


def _rgb(colour: Array) -> tuple[int, int, int]:
    r, g, b = (int(np.clip(c, 0, 255)) for c in colour)
    return r, g, b
