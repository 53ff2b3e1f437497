"""The two presets: which teacher, which radar encoder, which decay."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from rvsense.config import Learning
from rvsense.encoders import EncoderSpec, RadarEncoder, build_encoder
from rvsense.errors import ConfigError
from rvsense.learner import schedule
from rvsense.learner.teacher import (
    RANDOM,
    Teacher,
    edge_teacher,
    load_tensors,
    paper_teacher,
    vgg16_file,
)


@dataclass(frozen=True, slots=True)
class Preset:
    """What distinguishes `edge` from `paper`; all other numbers are settings."""

    name: str
    channels: tuple[str, ...]
    encoder: str
    teacher: Callable[[str, torch.device], Teacher]
    decay: schedule.Shape
    augments: bool
    """The paper describes no augmentation of the heatmaps."""


PRESETS = {
    "edge": Preset("edge", ("magnitude", "motion"), "residual", edge_teacher, "sqrt", True),
    "paper": Preset("paper", ("magnitude",), "vgg16", paper_teacher, "cosine", False),
}


def device_of(learning: Learning) -> torch.device:
    """The device that `auto`, `cpu` or `cuda` means here.

    Raises:
        ConfigError: for cuda where there is none.
    """
    if learning.device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("learning.device = cuda: no CUDA device here; use cpu or auto")
    cuda = learning.device != "cpu" and torch.cuda.is_available()
    return torch.device("cuda" if cuda else "cpu")


def preset_of(learning: Learning, device: torch.device) -> Preset:
    """The named preset; `auto` is paper on CUDA and edge elsewhere."""
    if learning.preset == "auto":
        return PRESETS["paper" if device.type == "cuda" else "edge"]
    return PRESETS[learning.preset]


def initial_encoder(preset: Preset, teacher: Teacher, *, seed: int, weights: str) -> RadarEncoder:
    """The radar encoder before the first step: drawn (edge), or ImageNet's VGG-16 (paper).

    Raises:
        ConfigError: when the weights it starts from are missing or do not fit.
    """
    spec = EncoderSpec(preset.encoder, preset.channels, teacher.key_dim)
    encoder = build_encoder(spec, seed=seed)
    if preset.encoder != "vgg16" or weights == RANDOM:
        return encoder
    path = Path(weights) if weights else vgg16_file()
    named = {
        name.replace("features.", "trunk.", 1): value for name, value in load_tensors(path).items()
    }
    try:
        encoder.load_state_dict({name: named[name] for name in encoder.state_dict()}, strict=True)
    except (KeyError, RuntimeError) as error:
        raise ConfigError(f"{path}: not the weights of torchvision's VGG-16 ({error})") from None
    return encoder
