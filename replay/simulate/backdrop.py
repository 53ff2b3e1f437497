"""The empty picture of a site: ground, buildings, trees, poles, parked cars.

Painted once per site in neutral light at twice the size, then lit anew for every sequence:
the sky follows the weather, everything else takes its tint and exposure.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from rvsense.replay.simulate.brush import Brush
from rvsense.replay.simulate.camera import HEIGHT, WIDTH
from rvsense.replay.simulate.ground import TILE, noise_tile, paint_ground
from rvsense.replay.simulate.light import Light
from rvsense.replay.simulate.plan import STREAM_SITE, stream
from rvsense.replay.simulate.sites import Site

Array = npt.NDArray[np.float64]
Pixels = npt.NDArray[np.float32]


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
    ground = paint_ground(site, rng)
    size = (2 * WIDTH, 2 * HEIGHT)
    image = Image.fromarray(ground).resize(size, Image.Resampling.BILINEAR)
    mask = Image.new("L", size, 0)
    horizon = max(0, int(2 * site.camera.horizon_row))
    ImageDraw.Draw(mask).rectangle((0, 0, size[0], horizon), fill=255)
    brush = Brush(site, image, mask)
    brush.hills(horizon, rng)
    for facade in sorted(site.facades, key=lambda f: -min(f.y0_m, f.y1_m)):
        brush.facade(facade)
    for thing in sorted(site.things, key=lambda t: -np.hypot(t.x_m, t.y_m)):
        brush.thing(thing)
    half = (WIDTH, HEIGHT)
    picture = np.asarray(image.resize(half, Image.Resampling.BOX), dtype=np.float32)
    sky = np.asarray(mask.resize(half, Image.Resampling.BOX), dtype=np.float32) / 255.0
    grain = noise_tile(rng, 3)[:HEIGHT, :TILE]
    grain = np.concatenate([grain, grain[:, : WIDTH - TILE]], axis=1)
    picture = picture * (1.0 + 0.05 * grain[..., None]).astype(np.float32)
    return Backdrop(picture, sky, _clouds(rng))


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
