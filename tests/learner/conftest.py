"""A trainer small enough for unit tests: a toy teacher of 16 dimensions, a narrow encoder."""

import io
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from rvsense.config import Learning
from rvsense.encoders import EncoderSpec, build_encoder
from rvsense.frames import CLASSES
from rvsense.learner.presets import preset_of
from rvsense.learner.teacher import Teacher
from rvsense.learner.trainer import Trainer
from rvsense.link import Label, Pair

KEY_DIM = 16
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """One thread, as the learner itself; more only fight over two cores."""
    torch.set_num_threads(1)


def toy_jpeg(scene: int, i: int) -> bytes:
    """A picture of one of four scenes, with noise of its own."""
    rng = np.random.default_rng(1000 * scene + i)
    pixels = rng.integers(0, 60, (48, 64, 3)).astype(np.uint8)
    pixels[:, :, scene % 3] += np.uint8(60 + 30 * scene)
    pixels[: 10 * scene + 4, :20] = 255
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "jpeg")
    return out.getvalue()


def toy_heatmap(scene: int, i: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Four chirps of noise with a target whose size and motion are the scene's."""
    rng = np.random.default_rng(1000 * scene + i)
    heatmap = 0.02 * rng.standard_normal((4, 128, 128, 2))
    row, column = rng.integers(20, 100, 2)
    sign = np.array([1.0, -1.0, 1.0, -1.0])[:, None, None, None] ** scene
    heatmap[:, row : row + 2 + 2 * scene, column : column + 10] += 0.3 * scene * sign
    return heatmap.astype(np.float32)


def toy_pair(i: int) -> Pair:
    """Pair i of a stream in which the scene changes every third pair."""
    scene, take = (i // 3) % 4, i // 3
    return Pair(
        site="east",
        epoch=take,
        stamp_ns=i * 200_000_000,
        radar_seq=i,
        camera_seq=i,
        skew_ns=0,
        codec="jpeg",
        heatmap=toy_heatmap(scene, i),
        image=toy_jpeg(scene, i),
    )


def toy_label(i: int) -> Label:
    """What an annotator says of the radar frame of pair i."""
    pair = toy_pair(i)
    return Label(pair.site, pair.epoch, pair.stamp_ns, CLASSES[(i // 3) % 4], pair.heatmap)


@pytest.fixture
def make_pair() -> Callable[[int], Pair]:
    """`make_pair(i)`: see `toy_pair`."""
    return toy_pair


@pytest.fixture
def make_label() -> Callable[[int], Label]:
    """`make_label(i)`: see `toy_label`."""
    return toy_label


class ToyNetwork(nn.Module):
    """Coarse colours through a fixed random layer."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3 * 7 * 7, KEY_DIM)
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            self.layer.weight.normal_(generator=generator)
            self.layer.bias.normal_(generator=generator)
        self.calls = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, 3, 224, 224) to (n, 16)."""
        self.calls += 1
        y: torch.Tensor = self.layer(nn.functional.avg_pool2d(x, 32).flatten(1))
        return y


SMALL = Learning(
    preset="edge",
    device="cpu",
    niceness=0,
    batch=6,
    queue=20,
    pool_pairs=24,
    min_pool_pairs=8,
    heldout_pairs=8,
    warmup_steps=3,
    publish_every_steps=5,
    steps_per_pair=0.5,
    max_labels=40,
    ema_samples=60,
)


def small_teacher() -> Teacher:
    """A frozen teacher that costs next to nothing."""
    network = ToyNetwork().eval().requires_grad_(False)
    return Teacher(network, lambda u8: u8.float() / 255, KEY_DIM, "toy", "random", CPU)


def small_trainer(learning: Learning, teacher: Teacher) -> Trainer:
    """A trainer from the same seed every time."""
    preset = preset_of(learning, "edge")
    key_dim = learning.short_keys or KEY_DIM
    encoder = build_encoder(EncoderSpec("residual", preset.channels, key_dim, width=4), seed=3)
    return Trainer(learning, preset, teacher, encoder, seed=3, device=CPU)


@pytest.fixture
def toy_teacher() -> Teacher:
    """See `small_teacher`."""
    return small_teacher()


@pytest.fixture
def settings() -> Learning:
    """Small numbers, so that every boundary is crossed within a few pairs."""
    return SMALL


@pytest.fixture
def make_trainer(toy_teacher: Teacher, settings: Learning) -> Callable[..., Trainer]:
    """`make_trainer(**changed_settings)`: a trainer from the same seed every time."""

    def make(**changes: object) -> Trainer:
        return small_trainer(replace(settings, **changes), toy_teacher)  # type: ignore[arg-type]

    return make
