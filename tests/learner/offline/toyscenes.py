"""Toy recordings and samples in which class can be learnt: importable by other processes."""

import io
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from PIL import Image

from rvsense.errors import FrameError
from rvsense.frames import CLASSES, CameraFrame, RadarFrame, SceneObject
from rvsense.learner.offline.samples import Samples

SIDE = 128
KEY_DIM = 16
FRAME_NS = 33_333_333


@dataclass(frozen=True)
class ToyRecording:
    """A sequence of one class; `bad` frames cannot be read."""

    name: str
    scene: int
    frames: int
    site: str = "east"
    annotated: bool = True
    images: bool = True
    bad: tuple[int, ...] = ()
    brightness: int = 60

    @cached_property
    def radar_ns(self) -> dict[int, int]:
        """30 frames a second."""
        return {i: i * FRAME_NS for i in range(self.frames)}

    @cached_property
    def camera_ns(self) -> dict[int, int]:
        """Images of the same instants, or none."""
        return self.radar_ns if self.images else {}

    def objects(self, frame_id: int) -> tuple[SceneObject, ...] | None:
        """Two objects of the scene's class; none in an empty one."""
        if not self.annotated:
            return None
        if self.scene == 0:
            return ()
        return tuple(SceneObject(CLASSES[self.scene], at, 0.1) for at in (12.5, 7.5))

    def read_radar(self, frame_id: int) -> RadarFrame:
        """Noise with the scene's pattern."""
        if frame_id in self.bad:
            raise FrameError("bad_npy", f"{frame_id:06d}_0000.npy: cut")
        values = np.random.default_rng([self.scene, frame_id]).standard_normal((4, SIDE, SIDE, 2))
        values = 0.02 * values
        values[:, 20 * self.scene : 20 * self.scene + 10] += 0.2
        return RadarFrame(
            site=self.site, seq=frame_id, stamp_ns=self.radar_ns[frame_id],
            heatmap=values.astype(np.float32),
        )  # fmt: skip

    def read_camera(self, frame_id: int) -> CameraFrame:
        """A small picture of one grey."""
        out = io.BytesIO()
        grey = self.brightness + 40 * self.scene
        Image.fromarray(np.full((32, 32, 3), grey, np.uint8)).save(out, "jpeg")
        return CameraFrame(
            site=self.site, seq=frame_id, stamp_ns=self.camera_ns[frame_id],
            codec="jpeg", image=out.getvalue(),
        )  # fmt: skip


def toy_samples(sequences: int = 20, frames: int = 10, channels: int = 2) -> Samples:
    """Sequences of the four classes in turn; inputs and keys show the class, through noise."""
    generator = torch.Generator().manual_seed(0)
    count = sequences * frames
    number = torch.arange(count) // frames
    labels = number % len(CLASSES)
    inputs = torch.randn(count, channels, SIDE, SIDE, generator=generator)
    centres = torch.randn(len(CLASSES), KEY_DIM, generator=generator)
    for row, label in enumerate(labels.tolist()):
        inputs[row, :, 20 : 20 + 25 * label] += 1.5
    keys = centres[labels] + 0.3 * torch.randn(count, KEY_DIM, generator=generator)
    return Samples(
        inputs=inputs.half(),
        keys=keys.half(),
        labels=labels,
        range_m=torch.where(labels == 0, torch.nan, 3.0 + 5.0 * labels.float()),
        stamps_ns=torch.arange(count) % frames * 200_000_000,
        sequences=number,
        sites=number % 2,
    )
