"""What the radar sees of a site with nobody in it: the same for every sequence there.

Ground and walls, poles, parked cars, and the coupling ridge before the first two metres stand
still and are summed into ADC samples once; leaves move a little in the wind.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rvsense.replay.dsp import ANTENNAS, CRUW_FORMAT_1, Complex
from rvsense.replay.simulate.adc import CHIRPS, GAIN_LSB_M, high_pass, tones
from rvsense.replay.simulate.plan import STREAM_SITE, stream
from rvsense.replay.simulate.scatterers import Echoes
from rvsense.replay.simulate.sites import Site, Thing

Array = npt.NDArray[np.float64]

DIFFUSE_POINTS = 1000
VALUE_PER_LSB = 64.5 * 8 / 1e4
"""Value in the map of a tone of 1 LSB (Hann sum 64.5, Taylor sum 8, division by 1e4)."""
PHASE_JITTER_RAD = 0.01


@dataclass(frozen=True)
class Clutter:
    """ADC samples of what stands still, (chirps, 8, samples), and the leaves that do not."""

    still: Complex
    leaves_m: Array
    leaves_strength_m: Array
    sway_m: Array
    sway_rad: Array

    def at(self, rng: np.random.Generator) -> Complex:
        """The still part in one frame: the oscillator's phase wanders by a hundredth."""
        wander = np.exp(1j * rng.normal(0.0, PHASE_JITTER_RAD, len(CHIRPS)))
        jittered: Complex = self.still * wander.astype(np.complex64)[:, None, None]
        return jittered

    def leaves(self, time_s: Array) -> Echoes:
        """Moving leaves at each time (times,): amplitude and frequency of a light wind."""
        swing = np.sin(2.0 * np.pi * 0.9 * time_s[:, None] + self.sway_rad)
        points = self.leaves_m[None] + swing[..., None] * self.sway_m[None, :, None] * np.array(
            [0.6, 0.8, 0.0]
        )
        return Echoes(points, self.leaves_strength_m)


def build_clutter(site: Site) -> Clutter:
    """Clutter of a site; depends on the site's seed and number alone."""
    rng = stream(site.seed, STREAM_SITE, site.number, 1)
    points, strength = _diffuse(rng)
    leaves = []
    for thing in site.things:
        local, weight = _of_thing(thing, rng)
        points.append(local)
        strength.append(weight)
        if thing.kind in ("tree", "bush"):
            leaves.append(_leaves(thing, rng))
    for facade in site.facades:
        share = rng.random(60)[:, None]
        start, end = np.array([facade.x0_m, facade.y0_m]), np.array([facade.x1_m, facade.y1_m])
        ground = start + share * (end - start)
        points.append(np.column_stack([ground, rng.uniform(0.3, 4.0, 60)]))
        strength.append(rng.lognormal(-1.0, 0.6, 60))
    every = np.concatenate(points)
    echo = Echoes(np.repeat(every[None], 2 * len(CHIRPS), axis=0), np.concatenate(strength))
    still = tones(echo, site.radar_height_m) + _coupling(rng)
    leaf = np.concatenate(leaves)
    return Clutter(
        still=still,
        leaves_m=leaf[:, :3],
        leaves_strength_m=leaf[:, 3],
        sway_m=rng.uniform(2e-4, 2e-3, len(leaf)),
        sway_rad=rng.uniform(0.0, 2.0 * np.pi, len(leaf)),
    )


def _diffuse(rng: np.random.Generator) -> tuple[list[Array], list[Array]]:
    """Rough ground: faint echoes everywhere, patchy, fading with range."""
    ranges = rng.uniform(2.0, 28.0, DIFFUSE_POINTS)
    sine = rng.uniform(-1.0, 1.0, DIFFUSE_POINTS)
    x, y = ranges * sine, ranges * np.sqrt(1.0 - sine**2)
    patch = 1.0 + 0.6 * np.sin(0.5 * x + rng.uniform(0, 6)) * np.sin(0.4 * y + rng.uniform(0, 6))
    value = 0.026 * np.exp(-ranges / 22.0) * patch * rng.lognormal(0.0, 0.7, DIFFUSE_POINTS)
    strength = value / VALUE_PER_LSB / GAIN_LSB_M * ranges**2
    return [np.column_stack([x, y, np.zeros(DIFFUSE_POINTS)])], [strength]


def _of_thing(thing: Thing, rng: np.random.Generator) -> tuple[Array, Array]:
    """Still points of a tree's trunk, a pole, a bush or a parked car."""
    count, level = {"tree": (6, 0.35), "pole": (5, 0.5), "bush": (6, 0.2), "car": (16, 0.7)}[
        thing.kind
    ]
    spread = 0.4 * thing.size_m if thing.kind in ("car", "bush") else 0.1
    across = rng.normal(0.0, 0.5 * spread, (count, 2))
    up = rng.uniform(0.2, min(thing.height_m, 3.5), count)
    points = np.column_stack([across + np.array([thing.x_m, thing.y_m]), up])
    return points, level * rng.lognormal(0.0, 0.4, count)


def _leaves(thing: Thing, rng: np.random.Generator) -> Array:
    """Leaves of a crown: (n, 4: x, y, z, strength)."""
    count = 6
    spread = rng.normal(0.0, 0.3 * thing.size_m, (count, 2)) + np.array([thing.x_m, thing.y_m])
    up = rng.uniform(0.5, 1.0, count) * min(thing.height_m, 4.0)
    return np.column_stack([spread, up, rng.lognormal(-1.9, 0.5, count)])


def _coupling(rng: np.random.Generator) -> Complex:
    """Leakage between the antennas and their cover at 0.8-1.9 m: no direction, (chirps, 8, n)."""
    ranges = rng.uniform(0.85, 1.9, 7)
    beat = CRUW_FORMAT_1.beat_hz(ranges)
    level = rng.uniform(5.0, 16.0, (ANTENNAS, 7)) * np.abs(high_pass(beat))
    phase = rng.uniform(0.0, 2.0 * np.pi, (ANTENNAS, 7))
    sample = np.arange(CRUW_FORMAT_1.samples) / CRUW_FORMAT_1.sample_rate_hz
    wave = np.exp(2j * np.pi * beat[:, None] * sample)
    once = (level * np.exp(1j * phase)) @ wave
    return np.repeat(once[None], len(CHIRPS), axis=0).astype(np.complex64)
