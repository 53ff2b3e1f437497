"""One sequence: who is in it, and its frames as radar arrays, pictures and truth."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from PIL import Image

from rvsense.frames import CLASSES
from rvsense.replay.dsp import Complex, range_azimuth, to_planes
from rvsense.replay.simulate.actors import Actor, draw_actors
from rvsense.replay.simulate.adc import chirp_times_s, receive, tones
from rvsense.replay.simulate.backdrop import Backdrop, paint_backdrop
from rvsense.replay.simulate.camera import HEIGHT, WIDTH
from rvsense.replay.simulate.clutter import Clutter, build_clutter
from rvsense.replay.simulate.draw import View
from rvsense.replay.simulate.draw_car import draw_car
from rvsense.replay.simulate.draw_person import draw_cyclist, draw_pedestrian
from rvsense.replay.simulate.light import Light, draw_light
from rvsense.replay.simulate.plan import MIXED, STREAM_SEQUENCE, SequencePlan, stream
from rvsense.replay.simulate.scatterers import echoes
from rvsense.replay.simulate.sites import Site, build_site

Picture = npt.NDArray[np.uint8]

FRAME_S = 1.0 / 30.0
JPEG_QUALITY = 87
LABEL_NEAR_M, LABEL_FAR_M = 1.0, 25.0
LABEL_SIDE_RAD = np.deg2rad(60.0)
OBJECTS = tuple(name for name in CLASSES if name != "empty")
DRAW = {"pedestrian": draw_pedestrian, "cyclist": draw_cyclist, "car": draw_car}
_PLATE_MARGIN = 64


@dataclass(frozen=True)
class Truth:
    """One annotated object of a frame."""

    kind: str
    range_m: float
    azimuth_rad: float


@dataclass(frozen=True)
class Place:
    """A site with what is computed from it once."""

    site: Site
    clutter: Clutter
    backdrop: Backdrop


@lru_cache(maxsize=32)
def place(seed: int, number: int) -> Place:
    """Site `number` of world `seed`, kept for the next sequence there."""
    site = build_site(seed, number)
    return Place(site, build_clutter(site), paint_backdrop(site))


@lru_cache(maxsize=1)
def _noise_plate() -> npt.NDArray[np.float32]:
    """Unit sensor noise, softened as demosaicing does; frames take random crops of it."""
    rng = np.random.default_rng(0)
    shape = (HEIGHT + _PLATE_MARGIN, WIDTH + _PLATE_MARGIN, 3)
    raw = rng.standard_normal(shape, dtype=np.float32)
    soft = raw + np.roll(raw, 1, axis=0) + np.roll(raw, 1, axis=1)
    plate: npt.NDArray[np.float32] = soft / soft.std()
    return plate


class Scene:
    """The frames of one planned sequence; `radar` must be asked for in frame order."""

    def __init__(self, plan: SequencePlan, seed: int, frames: int) -> None:
        self.frames = frames
        self.place = place(seed, plan.site)
        rng = stream(seed, STREAM_SEQUENCE, plan.index)
        kinds = _kinds(plan.content, rng)
        self.light: Light = draw_light(self.place.site.weather, rng)
        self.actors: list[Actor] = draw_actors(
            kinds, rng, frames * FRAME_S, self.place.site.obstacles()
        )
        self._radar_rng, self._camera_rng = rng.spawn(2)
        self._view = View(self.place.site.camera, self.light)

    def radar(self, frame: int) -> tuple[npt.NDArray[np.float32], list[Truth]]:
        """Maps (4, 128, 128, 2) of a frame and what is truly there."""
        cube, truths = self.samples(frame)
        return to_planes(range_azimuth(cube)), truths

    def samples(self, frame: int) -> tuple[Complex, list[Truth]]:
        """ADC samples (4, 8, 128) of a frame, whole numbers, and what is truly there."""
        time_s = frame * FRAME_S + chirp_times_s()
        height_m = self.place.site.radar_height_m
        clutter = self.place.clutter
        parts = [clutter.at(self._radar_rng), tones(clutter.leaves(time_s), height_m)]
        truths = []
        for actor in self._present(frame):
            seen = echoes(actor, actor.pose(time_s))
            parts.append(tones(seen, height_m))
            x, y, _ = seen.centre_m()
            truth = Truth(actor.kind, float(np.hypot(x, y)), float(np.arctan2(x, y)))
            if LABEL_NEAR_M <= truth.range_m <= LABEL_FAR_M and (
                abs(truth.azimuth_rad) <= LABEL_SIDE_RAD
            ):
                truths.append(truth)
        return receive(parts, self.place.site.dc_lsb, self._radar_rng), truths

    def pictures(self) -> Iterator[Picture]:
        """The camera's frames in order, (864, 1440, 3) uint8."""
        empty = self.place.backdrop.lit(self.light)
        levels = (_noise_plate() * np.float32(self.light.noise)).astype(np.int16)
        for frame in range(self.frames):
            picture = empty.copy()
            time_s = np.array([frame * FRAME_S])
            there = [(actor, actor.pose(time_s)) for actor in self._present(frame)]
            for actor, pose in sorted(
                there, key=lambda ap: -float(np.hypot(ap[1].x_m, ap[1].y_m)[0])
            ):
                DRAW[actor.kind](picture, self._view, actor, pose)
            top, left = self._camera_rng.integers(_PLATE_MARGIN, size=2)
            noisy = picture + levels[top : top + HEIGHT, left : left + WIDTH]
            yield np.clip(noisy, 0, 255, out=noisy).astype(np.uint8)

    def _present(self, frame: int) -> list[Actor]:
        return [actor for actor in self.actors if actor.present(frame * FRAME_S)]


def _kinds(content: str, rng: np.random.Generator) -> list[str]:
    if content == "empty":
        return []
    if content == MIXED:
        count = int(rng.integers(2, 5))
        first = rng.permutation(len(OBJECTS))[:2]
        more = rng.integers(len(OBJECTS), size=count - 2)
        return [OBJECTS[int(k)] for k in (*first, *more)]
    return [content]


def to_jpeg(picture: Picture) -> bytes:
    """A picture as JPEG bytes."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=JPEG_QUALITY, subsampling="4:2:0")
    return buffer.getvalue()
