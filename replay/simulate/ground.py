"""The ground of a site as the camera sees it: asphalt with markings, lawn behind a kerb."""

import numpy as np
import numpy.typing as npt
from PIL import Image

from rvsense.replay.simulate.sites import Site

Pixels = npt.NDArray[np.float32]

TILE = 1024
LEAVES = ((62, 92, 44), (84, 112, 52), (58, 80, 50), (120, 116, 58))


def noise_tile(rng: np.random.Generator, octaves: int) -> Pixels:
    """Tileable smooth noise, zero mean, about unit deviation: (1024, 1024)."""
    total = np.zeros((TILE, TILE), dtype=np.float32)
    for octave in range(octaves):
        cells = TILE >> (octave * 2)
        small = rng.standard_normal((cells, cells)).astype(np.float32)
        total += np.asarray(Image.fromarray(small).resize((TILE, TILE), Image.Resampling.BICUBIC))
    scaled: Pixels = total / total.std()
    return scaled


def paint_ground(site: Site, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Asphalt with patches and markings, lawn beyond a kerb: (864, 1440, 3)."""
    x, y, is_ground = site.camera.ground()
    x, y = np.clip(x, -200.0, 200.0), np.clip(y, -5.0, 300.0)
    turn = rng.uniform(-0.5, 0.5)
    along = x * np.sin(turn) + y * np.cos(turn)
    across = x * np.cos(turn) - y * np.sin(turn)
    fine, rough = noise_tile(rng, 2), noise_tile(rng, 4)
    seam = TILE * (8 + 0.5)  # keeps the edge of the tiles out of the middle

    def sample(tile: Pixels, per_m: float) -> Pixels:
        picked: Pixels = tile[
            (along * per_m + seam).astype(np.int64) % TILE,
            (across * per_m + seam).astype(np.int64) % TILE,
        ]
        return picked

    fade = np.exp(-np.hypot(x, y) / 18.0)
    tone = rng.uniform(82.0, 116.0)
    grey = tone + 7.0 * sample(fine, 55.0) * fade + 7.0 * sample(rough, 6.0)
    colour = grey[..., None] * np.array([1.0, 0.995, 0.98])
    lawn_from, kerb = rng.uniform(6.5, 12.0), rng.choice([-1.0, 1.0])
    lawn = kerb * across > lawn_from
    leaf = np.array(LEAVES[rng.integers(len(LEAVES))], dtype=np.float64)
    blades = 1.0 + (0.16 * sample(fine, 40.0) * fade + 0.1 * sample(rough, 5.0))[..., None]
    colour = np.where(lawn[..., None], leaf * blades, colour)
    colour = np.where((np.abs(kerb * across - lawn_from) < 0.12)[..., None], 164.0, colour)
    paint = (
        np.array([205.0, 203.0, 192.0]) if rng.random() < 0.7 else np.array([204.0, 170.0, 60.0])
    )
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
