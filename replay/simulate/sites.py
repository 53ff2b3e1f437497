"""The fixed places: what stands there, where radar and camera hang, how bad the receiver is."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rvsense.replay.dsp import ANTENNAS
from rvsense.replay.simulate.camera import Camera
from rvsense.replay.simulate.light import Light, draw_weather
from rvsense.replay.simulate.plan import STREAM_SITE, stream
from rvsense.replay.simulate.tracks import Obstacle

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Thing:
    """Something that stands still: tree, pole, bush or parked car. Heights and sizes in metres."""

    kind: str
    x_m: float
    y_m: float
    size_m: float
    height_m: float
    heading_rad: float
    look_seed: int


@dataclass(frozen=True)
class Facade:
    """The front of a building from (x0, y0) to (x1, y1)."""

    x0_m: float
    y0_m: float
    x1_m: float
    y1_m: float
    height_m: float
    look_seed: int


@dataclass(frozen=True)
class Site:
    """One basestation: radar at the origin at `radar_height_m`, camera above it."""

    number: int
    seed: int
    camera: Camera
    radar_height_m: float
    things: tuple[Thing, ...]
    facades: tuple[Facade, ...]
    weather: Light
    dc_lsb: npt.NDArray[np.complex64]

    def obstacles(self) -> list[Obstacle]:
        """What tracks must go round."""
        return [Obstacle(t.x_m, t.y_m, 0.5 * t.size_m + 1.0) for t in self.things]


def build_site(seed: int, number: int) -> Site:
    """The site `number` of the world `seed`."""
    rng = stream(seed, STREAM_SITE, number)
    mast = float(rng.uniform(1.5, 3.0))
    camera = Camera(
        fx=float(rng.uniform(820.0, 880.0)),
        fy=0.0,
        cx=float(rng.uniform(705.0, 735.0)),
        cy=float(rng.uniform(520.0, 545.0)),
        height_m=mast,
        pitch_rad=float(np.deg2rad(4.0 + 5.0 * (mast - 1.5) + rng.uniform(-0.7, 0.7))),
    )
    camera = Camera(camera.fx, camera.fx, camera.cx, camera.cy, mast, camera.pitch_rad)
    level = rng.uniform(0.3, 0.95, ANTENNAS) * 30.0
    phase = rng.uniform(0.0, 2.0 * np.pi, ANTENNAS)
    return Site(
        number=number,
        seed=seed,
        camera=camera,
        radar_height_m=float(rng.uniform(0.9, 1.3)),
        things=tuple(_things(rng)),
        facades=tuple(_facades(rng)),
        weather=draw_weather(rng),
        dc_lsb=(level * np.exp(1j * phase)).astype(np.complex64),
    )


def _things(rng: np.random.Generator) -> list[Thing]:
    """Far away or well to the side, so that the middle stays free to move in."""
    things = []
    for kind, low, high in (("tree", 3, 6), ("pole", 2, 4), ("bush", 3, 7), ("car", 1, 3)):
        for _ in range(int(rng.integers(low, high))):
            if rng.random() < 0.6 or kind == "car":
                r, azimuth = rng.uniform(20.0, 30.0), rng.uniform(-0.65, 0.65)
            else:
                r, azimuth = rng.uniform(8.0, 22.0), rng.choice([-1, 1]) * rng.uniform(0.62, 0.95)
            size, height = {
                "tree": (rng.uniform(2.2, 4.5), rng.uniform(4.5, 9.0)),
                "pole": (0.2, rng.uniform(5.0, 9.0)),
                "bush": (rng.uniform(0.8, 2.2), rng.uniform(0.6, 1.3)),
                "car": (4.4, 1.5),
            }[kind]
            things.append(
                Thing(
                    kind,
                    float(r * np.sin(azimuth)),
                    float(r * np.cos(azimuth)),
                    float(size),
                    float(height),
                    float(rng.uniform(0.0, 2.0 * np.pi)),
                    int(rng.integers(2**31)),
                )
            )
    return things


def _facades(rng: np.random.Generator) -> list[Facade]:
    """A row of buildings behind everything, and sometimes one along a side."""
    facades = []
    x = -75.0
    while x < 70.0:
        width, y = rng.uniform(12.0, 30.0), rng.uniform(32.0, 60.0)
        if rng.random() < 0.75:
            height = rng.uniform(4.0, 15.0)
            facades.append(Facade(x, y, x + width, y, float(height), int(rng.integers(2**31))))
        x += width + rng.uniform(0.0, 8.0)
    if rng.random() < 0.7:
        side = float(rng.choice([-1.0, 1.0]))
        x = side * rng.uniform(13.0, 17.0)
        facades.append(
            Facade(x, 6.0, x * 1.05, 30.0, float(rng.uniform(3.5, 8.0)), int(rng.integers(2**31)))
        )
    return facades
